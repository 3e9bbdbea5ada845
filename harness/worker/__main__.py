"""Job in, result out, both files: `python -m harness.worker JOB PROGRESS_FD SPAWNED_AT`.

Affinity is set before anything heavy is imported. Events go down the progress pipe at boundaries
only. The result appears whole under its name, or not at all. A traceback goes to the log, and the
exit status is then 1.
"""

from __future__ import annotations

import time

STARTED_AT = time.monotonic()  # first: what came before it is the price of a process

import ctypes  # noqa: E402
import importlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from types import SimpleNamespace  # noqa: E402
from typing import Any  # noqa: E402

from harness.errors import Refused  # noqa: E402

Say = Callable[..., None]


def main(job_file: str, progress: str, spawned_at: str) -> None:
    """Do the job in a file, write its result, and end this process.

    Args:
        job_file: JSON; the orchestrator has validated it, so its objects are read as attributes
            without a schema.
        progress: the file descriptor of the pipe for events.
        spawned_at: when the orchestrator started this process, by `time.monotonic`.
    """
    _die_with_parent()
    text = Path(job_file).read_text()
    job = json.loads(text, object_hook=lambda fields: SimpleNamespace(**fields))
    pipe = os.fdopen(int(progress), "w", buffering=1)
    os.set_inheritable(pipe.fileno(), False)  # or a pool of some framework's would hold it open

    def say(**event: Any) -> None:
        pipe.write(json.dumps(event) + "\n")

    try:
        result = TASKS[job.task](job, STARTED_AT - float(spawned_at), say)
    except Refused as error:
        result = {"refused": str(error)}
    partial = Path(f"{job.result}.partial")
    partial.write_text(json.dumps(result, allow_nan=False))
    partial.replace(job.result)
    # A framework's own exit takes up to a second; where it crashes, a finished run would fail.
    os._exit(0)


def _die_with_parent() -> None:
    """Have the system end this process when its parent is killed.

    Elsewhere than on Linux, the next event finds the pipe closed.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _limit_threads(threads: int | str) -> None:
    """Keep this process to that many of its cores; every framework obeys this limit."""
    if threads == "auto":
        return
    if not hasattr(os, "sched_setaffinity"):
        raise Refused(
            f"threads {threads}: this system cannot keep a process to some of its cores, "
            "and JAX obeys nothing else. Take auto"
        )
    allowed = sorted(os.sched_getaffinity(0))
    if int(threads) > len(allowed):
        expected = f"expected at most {len(allowed)}, the cores that this process may use"
        raise Refused(f"threads {threads}: {expected}")
    os.sched_setaffinity(0, allowed[: int(threads)])


def _pin(cores: list[int]) -> None:
    """Keep this process to those cores."""
    if not hasattr(os, "sched_setaffinity"):
        raise Refused("--pin: this system cannot keep a process to some of its cores. Leave it out")
    allowed = os.sched_getaffinity(0)
    missing = sorted(set(cores) - allowed)
    if missing:
        known = ", ".join(map(str, sorted(allowed)))
        raise Refused(f"--pin: core {missing[0]} is none that this process may use: {known}")
    os.sched_setaffinity(0, cores)


def _look(job: Any, spawn_s: float, say: Say) -> dict[str, Any]:
    from harness.worker import facts

    return facts.look(job.backend)


def _self_check(job: Any, spawn_s: float, say: Say) -> dict[str, Any]:
    from harness.worker import facts
    from harness.worker.jobs import self_check

    return self_check.wait_is_effective(facts.framework_of(job.backend))


def _gradients(job: Any, spawn_s: float, say: Say) -> dict[str, Any]:
    module: Any = importlib.import_module(f"harness.worker.gradients.{job.backend}")
    gradients: dict[str, Any] = module.compute_gradients()
    return gradients


def _measure(job: Any, spawn_s: float, say: Say) -> dict[str, Any]:
    _limit_threads(job.request.threads)
    from harness.worker.jobs import measure

    return measure.measure(job, spawn_s, say)


def _live(job: Any, spawn_s: float, say: Say) -> dict[str, Any]:
    _pin(job.cores) if job.cores else _limit_threads(job.request.threads)
    from harness.worker.jobs import live

    return live.live(job, spawn_s, say)


def _compare(job: Any, spawn_s: float, say: Say) -> dict[str, Any]:
    """Do a job whose numbers are compared, not timed: in float32 without any rounding to TF32.

    **Differs**: TensorFlow and JAX on a GPU round factors to TF32 by default.
    """
    _limit_threads(job.threads)
    # read when a framework is imported
    os.environ |= {"NVIDIA_TF32_OVERRIDE": "0", "JAX_DEFAULT_MATMUL_PRECISION": "highest"}
    module, function = COMPARED[job.task]
    work = getattr(importlib.import_module(f"harness.worker.jobs.{module}"), function)
    result: dict[str, Any] = work(job, say)
    return result


COMPARED = {
    "trace": ("trace", "trace"),
    "free runs": ("free_run", "free_runs"),
    "save": ("round_trip", "save"),
    "load": ("round_trip", "load"),
    "model": ("user_model", "check"),
}
TASKS = {
    "look": _look,
    "self check": _self_check,
    "gradients": _gradients,
    "measure": _measure,
    "live": _live,
    **dict.fromkeys(COMPARED, _compare),
}


if __name__ == "__main__":
    main(*sys.argv[1:])
