"""Job in, result out, both files: `python -m harness.worker JOB PROGRESS_FD SPAWNED_AT`.

The machine is looked at first, and affinity is set before anything heavy is imported. Events go
down the progress pipe at boundaries only. The result appears whole under its name, or not at all.
A traceback goes to the log, and the exit status is then 1.
"""

from __future__ import annotations

import time

STARTED_AT = time.monotonic()  # first: what came before it is the price of a process

import errno  # noqa: E402
import gc  # noqa: E402
import importlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from harness.errors import Refused  # noqa: E402
from harness.job import asked  # noqa: E402
from harness.job.answers import Refusal  # noqa: E402
from harness.job.asked import Job, Live  # noqa: E402
from harness.job.machine import describe_host  # noqa: E402
from harness.job.wire import plain, revive  # noqa: E402
from harness.worker.fork import die_with_parent  # noqa: E402

Say = Callable[..., None]
WORK: dict[type[Job[Any]], tuple[str, str]] = {  # a kind of job: module and function that does it
    asked.Measure: ("jobs.measure", "measure"),
    asked.Live: ("jobs.live", "live"),
    asked.Look: ("facts", "look"),
    asked.Locate: ("facts", "locate"),
    asked.SelfCheck: ("jobs.self_check", "check_clock"),
    asked.Derive: ("jobs.derive", "derive"),
    asked.Trace: ("jobs.trace", "trace"),
    asked.TrainFreely: ("jobs.free_run", "free_runs"),
    asked.SaveModel: ("jobs.round_trip", "save"),
    asked.LoadModels: ("jobs.round_trip", "load"),
    asked.ComputeModel: ("jobs.user_model", "check"),
    asked.Survey: ("jobs.survey", "survey"),
    asked.RunScripts: ("jobs.survey", "run_scripts"),
    asked.TryLayers: ("jobs.try_layers", "try_layers"),
    asked.MakeData: ("jobs.make_data", "make"),
    asked.DrawModel: ("jobs.own_model", "draw"),
    asked.ProveArm: ("jobs.prove_arm", "prove"),
}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SET_CACHE = "set HARNESS_CACHE_DIR to another folder"
TIMED = (asked.Measure, asked.Live, asked.Look, asked.SelfCheck)
N_OBJECTS = 100_000  # between two searches for cycles: a graph has more that stay than Python's 700


def main(job_file: str, progress: str, spawned_at: str) -> None:
    """Do the job in a file, write its result, and end this process.

    Args:
        job_file: JSON: kind, job, and the file of the result.
        progress: the file descriptor of the pipe for events.
        spawned_at: when the orchestrator started this process, by `time.monotonic`.
    """
    die_with_parent()
    written = json.loads(Path(job_file).read_text())
    job = revive(asked.JOBS[written["kind"]], written["job"])
    pipe = os.fdopen(int(progress), "w", buffering=1)
    os.set_inheritable(pipe.fileno(), False)  # or a pool of some framework's would hold it open

    def say(**event: Any) -> None:
        pipe.write(json.dumps(event, default=plain) + "\n")

    result: dict[str, Any] = {"host": describe_host()}
    try:
        _prepare(job)
        module, function = WORK[type(job)]
        work = getattr(importlib.import_module(f"harness.worker.{module}"), function)
        spawn_s = STARTED_AT - float(spawned_at)
        result["answer"] = work(job, say, spawn_s, result["host"])
        result["framework"] = _computing(job.framework)
    except Refused as error:
        result["refusal"] = Refusal(reason=str(error), of_user=error.of_user)
    except OSError as error:
        if error.errno not in FULL:
            raise
        where = f"{error.filename or 'a file of this run'}: cannot be written ({error.strerror})"
        result["refusal"] = Refusal(reason=f"{where}. Make room, or {SET_CACHE}")
    partial = Path(f"{written['result']}.partial")
    partial.write_text(json.dumps(result, allow_nan=False, default=plain))
    partial.replace(written["result"])
    # A framework's own exit takes up to a second; where it crashes, a finished run would fail.
    os._exit(0)


def _prepare(job: Job[Any]) -> None:
    """Keep this process to its cores; where numbers are compared and not timed, to float32 too.

    There it also looks for garbage less often, which saves time where programs are made.

    **Differs**: TensorFlow and JAX on a GPU round factors to TF32 by default.
    """
    if isinstance(job, Live) and job.cores:
        _pin(job.cores)
    else:
        _limit_threads(job.threads)
    if not isinstance(job, TIMED):  # read when a framework is imported
        os.environ |= {"NVIDIA_TF32_OVERRIDE": "0", "JAX_DEFAULT_MATMUL_PRECISION": "highest"}
        gc.set_threshold(N_OBJECTS)


def _computing(expected: str) -> str:
    """Return which framework computes here, as the process itself shows it."""
    keras = sys.modules.get("keras")
    if keras is not None:
        return str(keras.backend.backend())
    present = [name for name in ("tensorflow", "jax", "torch") if name in sys.modules]
    return expected if expected in present or not present else ", ".join(present)


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


def _pin(cores: tuple[int, ...]) -> None:
    """Keep this process to those cores."""
    if not hasattr(os, "sched_setaffinity"):
        raise Refused("--pin: this system cannot keep a process to some of its cores. Leave it out")
    allowed = os.sched_getaffinity(0)
    missing = sorted(set(cores) - allowed)
    if missing:
        known = ", ".join(map(str, sorted(allowed)))
        raise Refused(f"--pin: core {missing[0]} is none that this process may use: {known}")
    os.sched_setaffinity(0, cores)


if __name__ == "__main__":
    main(*sys.argv[1:])
