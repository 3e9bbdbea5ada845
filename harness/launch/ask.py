"""One worker process for each run: its environment, its start, the wait, and what became of it -> Record.

The parent sleeps in a read of the worker's progress pipe, and in `wait` after it: it never polls, so it takes no core
from the process it measures. The worker prints where it likes: its stdout and stderr go to a log that nobody parses.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import harness
from harness.errors import EnvironmentMissing
from harness.launch.plan import Planned
from harness.records.record import Host, Measurement, Record
from harness.spec.config import Backend
from harness.spec.faults import sentences

ALLOWED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_HOME")
POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
TAIL_BYTES = 4000
OUT_OF_MEMORY = (  # as frameworks and the system say it, in lower case
    *("memoryerror", "bad_alloc", "out of memory", "resource_exhausted", "oom when allocating"),
    *("can't allocate memory", "cannot allocate memory", "failed to map segment"),
)

Event = Mapping[str, Any]
"""What a worker says at a boundary: phase; or epoch, epochs (in all), loss, accuracy, seconds, feed_s."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a worker process ended."""

    result: dict[str, Any] | None  # what it wrote, if that is whole
    returncode: int
    timed_out: bool
    total_s: float
    log: str
    last: str  # what it was doing when last heard of


def python_of(backend: Backend, root: Path) -> Path:
    """Return the Python of a backend's environment, which nox keeps in .nox beside backends.toml.

    Raises:
        EnvironmentMissing: there is none; the message is what to type.
    """
    python = root / ".nox" / backend.environment / "bin" / "python"
    if not os.access(python, os.X_OK):
        raise EnvironmentMissing(f"{backend.environment}: environment missing. Run: nox -s {backend.environment}")
    return python


def run(planned: Planned, root: Path, host: Host, on_event: Callable[[Event], None] = lambda event: None) -> Record:
    """Return the record of one planned run, measured in a fresh process; a run that fails is a record too."""
    request, backend = planned.request, planned.backend
    started = datetime.now(UTC)
    record = Record(
        harness=harness.__version__,
        run_id=f"{started:%Y%m%dT%H%M%SZ}-{request.backend}-{request.implementation}-s{request.seed}-{secrets.token_hex(3)}",
        request=request,
        host=host,
        started_at=started.isoformat(timespec="milliseconds"),
        total_s=0.0,
        status="failed",
    )
    variables = environment(backend, request.backend, request.device, request.threads)
    try:
        ended = process(python_of(backend, root), job(planned), variables, on_event, limit_s=request.time_limit_s)
    except EnvironmentMissing as error:
        return record.model_copy(update={"reason": _unstarted(error, backend)})
    status, reason, measured = _judged(ended, backend, request.time_limit_s)
    log_tail = "" if status == "ok" else ended.log
    return record.model_copy(
        update={"total_s": ended.total_s, "status": status, "reason": reason, "log_tail": log_tail, "measured": measured}
    )


def job(planned: Planned) -> dict[str, Any]:
    """Return what a worker reads: the request, and where its files are.

    A caller may add "turns": the path of a FIFO from which the worker reads a line before each epoch. That is how
    several live workers take turns on one machine.
    """
    return {
        "task": "measure",
        "request": planned.request.model_dump(mode="json"),
        "dataset": str(planned.dataset),
        "weights": str(planned.weights) if planned.weights else None,
        "order": str(planned.order) if planned.order else None,
    }


def look(name: str, backend: Backend, root: Path, limit_s: float = 120.0) -> dict[str, Any]:
    """Return what a backend sees in its own environment: versions, devices, settings; or {"refused": why}."""
    return work({"task": "look"}, name, backend, root, limit_s=limit_s)


def gradients(name: str, backend: Backend, root: Path, limit_s: float = 120.0) -> dict[str, Any]:
    """Return the textbook's gradients as a backend derives them, see `harness.worker.gradients`; or {"refused": why}."""
    return work({"task": "gradients"}, name, backend, root, limit_s=limit_s)


def work(
    task: Mapping[str, Any],
    name: str,
    backend: Backend,
    root: Path,
    *,
    device: str = "auto",
    threads: int | str = "auto",
    limit_s: float,
    on_event: Callable[[Event], None] = lambda event: None,
) -> dict[str, Any]:
    """Return what a worker of that backend answers to a task, in a fresh process; or {"refused": why}."""
    try:
        variables = environment(backend, name, device, threads)
        ended = process(python_of(backend, root), {**task, "backend": name, "threads": threads}, variables, on_event, limit_s=limit_s)
    except EnvironmentMissing as error:
        return {"refused": _unstarted(error, backend)}
    if ended.result is None or ended.timed_out or ended.returncode != 0:
        return {"refused": _failure(ended, backend, limit_s)}
    return ended.result


def environment(backend: Backend, name: str, device: str, threads: int | str) -> dict[str, str]:
    """Return a worker's whole environment: a few variables of this process, and what makes the run what it is."""
    variables = {key: os.environ[key] for key in ALLOWED if key in os.environ}
    variables |= {"KERAS_BACKEND": name, "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1"}
    if threads != "auto":
        variables |= dict.fromkeys(POOLS, str(threads))
    if device == "cpu":
        variables |= {"CUDA_VISIBLE_DEVICES": "-1", **backend.cpu_variables}
    return variables | backend.variables


def process(
    python: Path,
    task: Mapping[str, Any],
    variables: Mapping[str, str],
    on_event: Callable[[Event], None] = lambda event: None,
    *,
    limit_s: float,
) -> Ended:
    """Start a worker on a job, hear its events, and return how it ended. It never outlives this call.

    Raises:
        EnvironmentMissing: that Python does not start.
    """
    with tempfile.TemporaryDirectory(prefix="harness-") as name:
        folder = Path(name)
        result, log = folder / "result.json", folder / "log"
        (folder / "job.json").write_text(json.dumps({**task, "result": str(result)}))
        # The worker's code is this program's own, on a path that holds nothing else: its environment needs no install.
        (folder / "path").mkdir()
        (folder / "path" / "harness").symlink_to(Path(harness.__file__).parent)
        home = {"PYTHONPATH": str(folder / "path"), "KERAS_HOME": str(folder / "keras")}
        receiver, sender = os.pipe()
        start = time.monotonic()
        command = [str(python), "-m", "harness.worker", str(folder / "job.json"), str(sender), repr(start)]
        try:
            with log.open("wb") as output:
                worker = subprocess.Popen(
                    command,
                    env={**variables, **home},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(sender,),
                    start_new_session=True,  # its own group: ended whole, and deaf to the terminal's Ctrl-C
                )
        except OSError as error:
            os.close(receiver)
            raise EnvironmentMissing(f"its Python does not start ({error.strerror})") from None
        finally:
            os.close(sender)
        last, timed_out = _heard(worker, receiver, on_event, limit_s)
        total_s = time.monotonic() - start
        return Ended(_json(result), worker.returncode, timed_out, total_s, _tail(log), last)


def _heard(worker: subprocess.Popen[bytes], receiver: int, on_event: Callable[[Event], None], limit_s: float) -> tuple[str, bool]:
    """Pass a worker's events on until it ends; return what it did last, and whether its time ran out."""
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _end(worker)

    timer = threading.Timer(limit_s, expire)
    timer.daemon = True
    last = "starting"
    try:
        timer.start()
        with os.fdopen(receiver) as events:
            for line in events:
                event = json.loads(line)
                last = event["phase"] if "phase" in event else f"after epoch {event['epoch']} of {event['epochs']}"
                on_event(event)
        worker.wait()
    finally:  # Ctrl-C passes here too
        timer.cancel()
        _end(worker)
        worker.wait()
    return last, expired.is_set()


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Kill the worker and whatever it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS answers the latter for a group of zombies
        os.killpg(worker.pid, signal.SIGKILL)


def _judged(ended: Ended, backend: Backend, limit_s: float) -> tuple[str, str, Measurement | None]:
    """Return status, reason and measurement."""
    if ended.result is None or ended.timed_out or ended.returncode != 0:
        return "failed", _failure(ended, backend, limit_s), None
    if "refused" in ended.result:
        return "failed", str(ended.result["refused"]), None
    try:
        measured = Measurement.model_validate_json(json.dumps(ended.result["measured"]))
    except (KeyError, ValueError) as error:
        said = sentences(error, Measurement)[0] if isinstance(error, ValidationError) else str(error)
        return "failed", f"the worker's result is not a measurement: {said}", None
    return ("diverged" if ended.result["diverged"] else "ok"), ended.result["diverged"], measured


def _unstarted(error: EnvironmentMissing, backend: Backend) -> str:
    said = str(error)
    if said.startswith(backend.environment):
        return said
    return f"{backend.environment}: environment broken ({said}). Build it anew: nox -s {backend.environment} --reuse-venv=never"


def _failure(ended: Ended, backend: Backend, limit_s: float) -> str:
    """Return one sentence on a worker that ended without a result."""
    lines = [line.strip() for line in ended.log.splitlines() if line.strip()]
    final = lines[-1] if lines else "it printed nothing"
    if ended.timed_out:
        return f"no result within its time limit of {limit_s:g} s; last heard of: {ended.last}"
    if any(said in ended.log.lower() for said in OUT_OF_MEMORY):
        return f"out of memory; last heard of: {ended.last}; {final}"
    if ended.returncode == -signal.SIGKILL:
        return f"killed by SIGKILL, from outside or by a system out of memory; last heard of: {ended.last}"
    if ended.returncode < 0:
        return f"ended by {signal.Signals(-ended.returncode).name}; last heard of: {ended.last}; {final}"
    if ended.returncode == 0:
        return f"ended without a result, exit status 0; last heard of: {ended.last}; {final}"
    if ended.last in ("starting", "import"):
        rebuild = f"nox -s {backend.environment} --reuse-venv=never"
        return f"{backend.environment}: environment broken ({final}). Build it anew: {rebuild}"
    return f"exit status {ended.returncode}; last heard of: {ended.last}; {final}"


def _json(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        return file.read().decode(errors="replace")
