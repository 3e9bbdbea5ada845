"""A worker process: its folder, its start, its events, and how it ended.

The parent sleeps in a read of the worker's progress pipe, and in `wait` after it: it never polls,
so it takes no core from what it measures. The worker's stdout and stderr go to an unparsed log.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import harness
from harness.engine.answers import Nonsense, read_event, read_line
from harness.environments.passed_on import inductor_cache, keep_downloads, lend_downloads, redact
from harness.errors import EnvironmentMissing, is_out_of_memory
from harness.job.answers import EpochEnd, Event, Phase
from harness.job.asked import Job, MakeData
from harness.job.wire import plain
from harness.spec.files import scratch

TAIL_BYTES = 4000
GRACE_S = 30.0  # for a worker that has said its last to be gone: a framework's way down can hang


class DoesNotStart(EnvironmentMissing):
    """An environment is there, and its Python is no program."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a worker process ended."""

    result: dict[str, Any] | None  # what it wrote, if that is whole
    returncode: int
    timed_out: bool
    total_s: float
    log: str
    last: str  # what it was doing when last heard of
    nonsense: str = ""  # why it was ended: it said what is no event


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that was started, and where it speaks and writes."""

    popen: subprocess.Popen[bytes]
    events: int  # descriptor to read them from
    result: Path
    log: Path
    began: float  # time.monotonic()
    variables: Mapping[str, str]  # its own

    def wait_for_end(self, last: str, *, timed_out: bool) -> Ended:
        """Wait for its end, and return how that was."""
        self.wait()
        total_s = time.monotonic() - self.began
        result, log = redact(_read_json(self.result), self.variables), self._log_tail()
        return Ended(result, self.popen.returncode, timed_out, total_s, log, last)

    def _log_tail(self) -> str:
        """Return the end of its log, without passwords, those that the cut divides included."""
        return str(redact(_read_tail(self.log), self.variables))[-TAIL_BYTES:]

    def wait(self) -> None:
        """Return once it is gone; it is killed where that takes too long."""
        try:
            self.popen.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self.popen.wait()

    def kill(self) -> None:
        """Kill the worker and whatever it started."""
        # macOS answers the latter for a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)


@contextlib.contextmanager
def start_worker(
    python: Path,
    job: Job[Any],
    variables: Mapping[str, str],
    stdin: int = subprocess.DEVNULL,
) -> Iterator[Worker]:
    """Start a worker on a job; it never outlives this context.

    Args:
        python: of its environment.
        job: what it is asked.
        variables: its environment variables, but for those of its folder.
        stdin: as of `subprocess.Popen`; PIPE where it is to be told what to do.

    Raises:
        DoesNotStart: that Python does not.
    """
    with scratch() as folder:
        result, log = folder / "result.json", folder / "log"
        asked = {"kind": type(job).__name__, "job": job, "result": result}
        (folder / "job.json").write_text(json.dumps(asked, default=plain))
        whole = _furnish(folder, variables)
        of_user = isinstance(job, MakeData) or getattr(job, "model", None) is not None
        working = None if of_user else folder / "work"  # a user's code finds its files as ever
        began = time.monotonic()
        popen, receiver = _spawn(python, folder, working, whole, stdin, began)
        worker = Worker(popen, receiver, result, log, began, whole)
        try:
            yield worker
        finally:  # Ctrl-C passes here too
            worker.kill()
            popen.wait()
            if popen.stdin:
                with contextlib.suppress(BrokenPipeError):
                    popen.stdin.close()
            os.close(receiver)
            if popen.returncode == 0:
                keep_downloads(folder / "keras")


def _spawn(
    python: Path,
    folder: Path,
    working: Path | None,
    variables: Mapping[str, str],
    stdin: int,
    began: float,
) -> tuple[subprocess.Popen[bytes], int]:
    """Return a worker's process, and the descriptor from which its events are read."""
    receiver, sender = os.pipe()
    arguments = [str(folder / "job.json"), str(sender), repr(began)]
    try:
        with (folder / "log").open("wb") as output:
            popen = subprocess.Popen(
                [str(python), "-m", "harness.worker", *arguments],
                env=variables,
                cwd=working,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(sender,),
                start_new_session=True,  # a group that ends whole, and deaf to Ctrl-C
            )
    except OSError as error:
        os.close(receiver)
        raise DoesNotStart(f"its Python does not start ({error.strerror})") from None
    finally:
        os.close(sender)
    return popen, receiver


def _furnish(folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Make what a worker finds in its folder, and return all of its variables.

    Its code is this program's own, on a path that holds nothing else: its environment needs no
    install. Nothing is imported from where the caller stands, which may be a clone of Keras.
    """
    for name in ("work", "path", "t"):
        (folder / name).mkdir()
    (folder / "path" / "harness").symlink_to(Path(harness.__file__).parent)
    nvml = importlib.util.find_spec("pynvml")  # one file: a worker asks for its machine's GPUs
    if nvml and nvml.origin:
        (folder / "path" / "pynvml.py").symlink_to(nvml.origin)
    lend_downloads(folder / "keras")
    return {
        **inductor_cache(),
        **variables,
        "PYTHONPATH": str(folder / "path"),
        "PYTHONSAFEPATH": "1",
        "KERAS_HOME": str(folder / "keras"),
        # TensorFlow leaves a file there for each function that it converts; the name is short
        # since paths of sockets are.
        "TMPDIR": str(folder / "t"),
    }


def run_process(
    python: Path,
    job: Job[Any],
    variables: Mapping[str, str],
    on_event: Callable[[Event], None] = lambda event: None,
) -> Ended:
    """Return how a worker ended that was started on a job; it never outlives this call.

    Args:
        python: of its environment.
        job: what it is asked.
        variables: its environment variables, but for those of its folder.
        on_event: told each of its events.

    Raises:
        DoesNotStart: that Python does not.
    """
    with start_worker(python, job, variables) as worker:
        last, timed_out, nonsense = _pass_events_on(worker, on_event, job.time_limit_s)
        return replace(worker.wait_for_end(last, timed_out=timed_out), nonsense=nonsense)


def _pass_events_on(
    worker: Worker, on_event: Callable[[Event], None], limit_s: float
) -> tuple[str, bool, str]:
    """Pass a worker's events on until it ends.

    Returns:
        What it did last, whether its time ran out, and why it was ended where it said nonsense.
    """
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        worker.kill()

    timer = threading.Timer(limit_s, expire)
    timer.daemon = True
    last, nonsense = "starting", ""
    try:
        timer.start()
        with open(worker.events, "rb", closefd=False) as events:
            for line in events:
                try:
                    event = read_event(read_line(line))
                except Nonsense as error:
                    nonsense = str(error)
                    worker.kill()
                    break
                match event:
                    case Phase():
                        last = event.phase
                    case EpochEnd():
                        last = f"after epoch {event.epoch} of {event.epochs}"
                on_event(event)
        worker.popen.wait()
    finally:
        timer.cancel()
    return last, expired.is_set(), nonsense


def explain_no_start(error: EnvironmentMissing, mend: str) -> str:
    """Return one sentence on an environment that is not there, or does not start."""
    broken = isinstance(error, DoesNotStart)
    return f"environment broken ({error}). {mend}" if broken else str(error)


def explain_failure(ended: Ended, mend: str, limit_s: float) -> str:
    """Return one sentence on a worker that ended without a result.

    Args:
        ended: how it ended.
        mend: what to type where its environment is broken.
        limit_s: its time limit.
    """
    heard = f"last heard of: {ended.last}"
    if ended.nonsense:
        return f"{ended.nonsense}; {heard}"
    if ended.timed_out:
        return f"no result within its time limit of {limit_s:g} s; {heard}"
    final = (ended.log.strip().splitlines() or ["it printed nothing"])[-1].strip()
    if is_out_of_memory(ended.log):
        return f"out of memory; {heard}; {final}"
    if ended.returncode == -signal.SIGKILL:
        return f"killed by SIGKILL, from outside or by a system out of memory; {heard}"
    if ended.returncode < 0:
        return f"ended by {signal.Signals(-ended.returncode).name}; {heard}; {final}"
    if ended.returncode == 0:
        return f"ended without a result, exit status 0; {heard}; {final}"
    if ended.last in ("starting", "import"):
        return f"environment broken ({final}). {mend}"
    return f"exit status {ended.returncode}; {heard}; {final}"


def _read_json(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _read_tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2 * TAIL_BYTES))
        return file.read().decode(errors="replace")
