"""One worker process for each run: its variables, what is asked of it, and its record."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import harness
from harness.engine.plan import Planned
from harness.engine.process import Ended, Event, explain_failure, explain_no_start, run_process
from harness.environments.content import content_digest
from harness.environments.passed_on import network_variables
from harness.errors import ConfigError, EnvironmentMissing
from harness.records.observation import Host
from harness.records.record import Measurement, Record
from harness.spec.config import Backend
from harness.spec.faults import sentences

ALLOWED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_HOME",
)
POOLS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)

TEMPORARY_BYTES = 16 * 2**20  # that a worker's files may take, the traces of parity left out


def python_of(backend: Backend, root: Path) -> Path:
    """Return the Python of a backend's environment.

    Raises:
        EnvironmentMissing: there is none; the message is what to type.
        ConfigError: no process could be started with it, for want of a folder for its files.
    """
    check_temporary_folder()
    python = environments_folder(root) / backend.environment / "bin" / "python"
    if not os.access(python, os.X_OK):
        raise EnvironmentMissing(
            f"{backend.environment}: environment missing. Run: nox -s {backend.environment}"
        )
    return python


def environments_folder(root: Path) -> Path:
    """Return the folder of all environments: .nox beside backends.toml, or nox's own choice.

    Nox names it in HARNESS_ENVIRONMENTS, whether it came from --envdir or NOXENVDIR.
    """
    named = os.environ.get("HARNESS_ENVIRONMENTS") or os.environ.get("NOXENVDIR")
    return (root / (named or ".nox")).absolute()


def check_temporary_folder() -> None:
    """Return if a worker's files can be kept in the folder for temporary files.

    Raises:
        ConfigError: they cannot; says why, and what to set.
    """
    try:
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ConfigError(
            f"TMPDIR: {error.strerror}. Set TMPDIR to a folder that can be written"
        ) from None
    here = os.getcwd()  # noqa: PTH109 - as tempfile has it: its last resort
    if folder == here and folder != os.environ.get("TMPDIR"):
        raise ConfigError(
            "TMPDIR: neither it nor /tmp can be written, or they are full. "
            "Set it to a folder that can be written"
        )
    if os.pathsep in folder:
        raise ConfigError(
            f"TMPDIR: expected a folder without {os.pathsep!r}, "
            f"which separates folders in PYTHONPATH; received {folder}"
        )
    if free < TEMPORARY_BYTES:
        raise ConfigError(
            f"TMPDIR: {folder}: expected {TEMPORARY_BYTES >> 20} MiB free; "
            f"received {free >> 20}. Set it to another folder"
        )


def run(
    planned: Planned, root: Path, host: Host, on_event: Callable[[Event], None] = lambda event: None
) -> Record:
    """Return the record of one planned run, measured in a fresh process, also where it fails.

    Args:
        planned: the run, and its worker's files.
        root: the folder whose .nox holds its environment.
        host: this machine.
        on_event: told each of the worker's events.

    Raises:
        ConfigError: there is no folder for its files.
    """
    request, backend = planned.request, planned.backend
    started, arm = datetime.now(UTC), f"{request.backend}-{request.implementation}"
    record = Record(
        harness=harness.__version__,
        run_id=f"{started:%Y%m%dT%H%M%SZ}-{arm}-s{request.seed}-{secrets.token_hex(3)}",
        request=request,
        host=host,
        started_at=started.isoformat(timespec="milliseconds"),
        total_s=0.0,
        status="failed",
    )
    variables = worker_variables(backend, request.device, request.threads)
    try:
        python = python_of(backend, root)
        record = record.model_copy(update={"environment_sha256": content_digest(python, variables)})
        ended = run_process(python, job(planned), variables, on_event, limit_s=request.time_limit_s)
    except EnvironmentMissing as error:
        return Record(**dict(record) | {"reason": explain_no_start(error, backend)})
    status, reason, measured = _judge(ended, backend, request.time_limit_s)
    log_tail = "" if status == "ok" else ended.log
    told = {"status": status, "reason": reason, "log_tail": log_tail, "measured": measured}
    return Record(**dict(record) | {"total_s": ended.total_s} | told)


def job(planned: Planned) -> dict[str, Any]:
    """Return what a worker reads: the request, and where its files are."""
    return {
        "task": "measure",
        "request": planned.request.model_dump(mode="json"),
        "dataset": str(planned.dataset.absolute()),
        "weights": str(planned.weights.absolute()) if planned.weights else None,
        "order": str(planned.order.absolute()) if planned.order else None,
    }


def inspect_backend(
    name: str, backend: Backend, root: Path, limit_s: float = 120.0
) -> dict[str, Any]:
    """Return what a backend sees: versions, devices, settings; or {"refused": why}.

    Args:
        name: of the backend.
        backend: as in backends.toml.
        root: the folder whose .nox holds its environment.
        limit_s: seconds that it may take.
    """
    return run_task({"task": "look"}, name, backend, root, limit_s=limit_s)


def gradients(name: str, backend: Backend, root: Path, limit_s: float = 120.0) -> dict[str, Any]:
    """Return the textbook's gradients as a backend derives them; or {"refused": why}.

    They are those of `harness.worker.gradients`.

    Args:
        name: of the backend.
        backend: as in backends.toml.
        root: the folder whose .nox holds its environment.
        limit_s: seconds that it may take.
    """
    return run_task({"task": "gradients"}, name, backend, root, limit_s=limit_s)


def run_task(
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
    """Return what a worker answers to a task, in a fresh process; or {"refused": why}.

    Beside its answer stands environment_sha256, see `harness.environments.content`.

    Args:
        task: "task", and what that kind of task needs.
        name: of the backend.
        backend: as in backends.toml.
        root: the folder whose .nox holds its environment.
        device: "cpu" hides every GPU.
        threads: a number of cores, or "auto".
        limit_s: seconds that it may take.
        on_event: told each of its events.
    """
    try:
        variables, python = (
            worker_variables(backend, device, threads),
            python_of(backend, root),
        )
        content = content_digest(python, variables)
        whole = {**task, "backend": backend.framework, "threads": threads}
        ended = run_process(python, whole, variables, on_event, limit_s=limit_s)
    except EnvironmentMissing as error:
        return {"refused": explain_no_start(error, backend)}
    if ended.result is None or ended.timed_out or ended.returncode != 0:
        return {"refused": explain_failure(ended, backend, limit_s)}
    found = {**ended.result, "framework": backend.framework, "environment_sha256": content}
    # A worker knows of its framework only.
    return found | ({"backend": name} if found.get("backend") == backend.framework else {})


def worker_variables(backend: Backend, device: str, threads: int | str) -> dict[str, str]:
    """Return a worker's environment variables: a few of this process's, and those of the run.

    Args:
        backend: as in backends.toml.
        device: "cpu" hides every GPU.
        threads: a number of cores, or "auto".
    """
    variables = {key: os.environ[key] for key in ALLOWED if key in os.environ}
    variables |= network_variables(os.environ)
    variables |= {
        "KERAS_BACKEND": backend.framework,
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
    }
    if threads != "auto":
        variables |= dict.fromkeys(POOLS, str(threads))
    if device == "cpu":
        variables |= {"CUDA_VISIBLE_DEVICES": "-1", **backend.cpu_variables}
    return variables | backend.variables


def _judge(ended: Ended, backend: Backend, limit_s: float) -> tuple[str, str, Measurement | None]:
    """Return status, reason and measurement."""
    if ended.result is None or ended.timed_out or ended.returncode != 0:
        return "failed", explain_failure(ended, backend, limit_s), None
    if "refused" in ended.result:
        return "failed", str(ended.result["refused"]), None
    try:
        measured = Measurement.model_validate_json(json.dumps(ended.result["measured"]))
    except (KeyError, ValueError) as error:
        said = (
            sentences(error, Measurement)[0] if isinstance(error, ValidationError) else str(error)
        )
        return "failed", f"the worker's result is not a measurement: {said}", None
    return ("diverged" if ended.result["diverged"] else "ok"), ended.result["diverged"], measured
