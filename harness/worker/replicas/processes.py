"""The processes of the other replicas: started, told what to do, and asked how they ended."""

from __future__ import annotations

import json
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from harness.errors import Refused
from harness.job.wire import plain

READY = b"ready\n"
START_S = 90.0  # for a process to import its framework, or to build a model
LIMIT_S = 20.0  # for one message between processes; where one has ended, the others know at once
END_S = 5.0  # for one that has failed to be gone
TIMED_OUT = re.compile("timed? ?out", re.IGNORECASE)  # as gloo and PyTorch's store say it


@cache
def others() -> list[subprocess.Popen[bytes]]:
    """Return the list of the processes of the other replicas, by their numbers from 1 on."""
    return []


def start(module: str, n_replicas: int, *more: str) -> None:
    """Start a process for each other replica, and return once all of them are there.

    Args:
        module: that each runs, with its number, how many replicas there are, and what follows.
        n_replicas: of the group, this process among them.
        more: arguments that all have.

    Raises:
        Refused: one does not start, or takes too long.
    """
    for rank in range(1, n_replicas):
        command = [sys.executable, "-m", module, str(rank), str(n_replicas), *more]
        pipe = subprocess.PIPE
        others().append(subprocess.Popen(command, stdin=pipe, stdout=pipe))
    await_others("its process did not start")


def await_others(otherwise: str) -> None:
    """Return once every other replica has said that it is ready.

    Args:
        otherwise: what is said where one does not.

    Raises:
        Refused: one does not, or takes too long.
    """
    for rank, each in enumerate(others(), start=1):
        who = f"replica {rank} of {1 + len(others())}"
        if each.stdout is None or not select.select([each.stdout], [], [], START_S)[0]:
            raise Refused(f"{who}: {otherwise} within {START_S:g} s")
        if each.stdout.readline() != READY:
            raise Refused(f"{who}: {otherwise}")


def tell(verb: str, **more: Any) -> None:
    """Have every other replica do something, which the caller does at the same time."""
    line = json.dumps({"do": verb, **more}, default=_plain).encode() + b"\n"
    for each in others():
        if each.stdin:
            each.stdin.write(line)
            each.stdin.flush()


def _plain(value: Any) -> Any:
    return vars(value) if hasattr(value, "__dict__") else plain(value)


@contextmanager
def explained() -> Iterator[None]:
    """Turn the end or the silence of another replica into a sentence.

    Raises:
        Refused: one has ended, or did not answer in time.
    """
    try:
        yield
    except (RuntimeError, OSError) as error:
        raise Refused(_explain(error)) from None


def _explain(error: Exception) -> str:
    """Return why this process does not hear another one."""
    n_replicas, until = 1 + len(others()), time.monotonic() + END_S
    why = "the others cannot go on without it"
    for rank, each in enumerate(others(), start=1):
        try:
            status = each.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            continue
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        return f"replica {rank} of {n_replicas} ended {how}: {why}"
    reason = str(error).strip().splitlines()[0][:160]
    if TIMED_OUT.search(reason):
        who = "replica 1 of 2" if n_replicas == 2 else f"one of {n_replicas} replicas"
        return f"{who} lives and has not answered for {LIMIT_S:g} s: {why}"
    return f"the replicas do not hear each other: {reason}"
