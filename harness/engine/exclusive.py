"""One measurement at a time on a machine: the second one waits, or is refused.

The lock is a file in the user's state folder, named after the machine's present boot, which all
containers of a machine share, since a home folder may be shared by several machines. The system
lets go of it when its holder is gone, however that ended. It is one user's: a file that several
users may write to could be replaced by a link, so another user's measurement is not waited for.
Beside a session it shows as load.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_state_path

from harness.errors import MachineBusy
from harness.job.machine import boot

POLL_S = 1.0  # seldom: who waits takes no core from what is measured
SAID_AGAIN_S = 10.0  # after which another holder is named


@contextmanager
def hold_machine(verb: str, say: Callable[[str], None], *, wait: bool = True) -> Iterator[None]:
    """Hold this machine for what is to be measured; another measurement is waited for.

    Where no lock can be kept, that is said, and nobody is waited for.

    Args:
        verb: what is to be measured, for whoever comes next: "bench".
        say: told in one sentence who is waited for, and since when.
        wait: for another one to end.

    Raises:
        MachineBusy: another one measures, and is not to be waited for.
    """
    file = _file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file, mode=0o600, thread_local=False)
        _acquire(lock, file, say, wait=wait)
    except OSError as error:
        say(
            f"{file}: no lock can be kept there ({error.strerror}), "
            "so another measurement would not be noticed"
        )
        yield
        return
    try:
        _introduce(file, verb)
        yield
    finally:
        lock.release()


def _file() -> Path:
    """Return the file whose lock is this machine's; named after its host where no boot is known."""
    machine = (boot() or re.sub(r"[^A-Za-z0-9.-]", "-", platform.node()))[:32] or "machine"
    return user_state_path("keras-backend-harness") / f"measuring-{machine}.lock"


def _acquire(lock: FileLock, file: Path, say: Callable[[str], None], *, wait: bool) -> None:
    """Return once the lock is held, with a sentence for each other holder on the way."""
    said, limit_s = "", 0.0
    while True:
        try:
            lock.acquire(timeout=limit_s, poll_interval=POLL_S)
        except Timeout:
            holder = _holder(file)
            if not wait:
                raise MachineBusy(
                    f"this machine is measured on: {holder}. Wait for it: leave --no-wait out"
                ) from None
            if holder != said:
                say(
                    f"waiting: this machine is measured on: {holder}. "
                    "Two at once would disturb each other"
                )
            said, limit_s = holder, SAID_AGAIN_S
        else:
            return


def _introduce(file: Path, verb: str) -> None:
    """Say beside the lock who holds it; measuring goes on where that cannot be written."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    holder = {"pid": os.getpid(), "verb": verb, "since": since}
    with suppress(OSError):
        file.with_suffix(".json").write_text(json.dumps(holder))


def _holder(file: Path) -> str:
    """Return who holds the lock, as written beside it, in at most 300 characters."""
    try:
        with file.with_suffix(".json").open() as written:
            holder = json.loads(written.read(4096))
        verb, pid, since = str(holder["verb"]), int(holder["pid"]), str(holder["since"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "by another harness, which does not say what it is"
    return ascii(f"harness {verb[:20]}, process {pid % 10**10}, since {since[:40]}").strip("'")
