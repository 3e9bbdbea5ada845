"""Where a worker starts: its environment's Python, its variables, and room for its files."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.environments.find import Interpreter, find_python
from harness.environments.passed_on import network_variables
from harness.environments.plain_path import plain_python
from harness.errors import ConfigError, EnvironmentMissing
from harness.spec.config import Backend

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


def interpreter_of(name: str, backend: Backend, root: Path, device: str = "auto") -> Interpreter:
    """Return a backend's Python, once a process can be started with it.

    PyTorch's is called by a path without white space, wherever it lies.

    Args:
        name: of the backend.
        backend: as in backends.toml.
        root: the project's folder.
        device: what it is to run on.

    Raises:
        EnvironmentMissing: there is none; the message is what to type.
        ConfigError: no process could be started, for want of a folder for its files.
    """
    check_temporary_folder()
    found = find_python(name, backend, root, device)
    return replace(found, path=plain_python(found.path)) if backend.framework == "torch" else found


def check_interpreters(backends: Mapping[str, Backend], root: Path) -> None:
    """Return if a process can be started with each backend's Python.

    Raises:
        EnvironmentMissing: one has none; says which, and what to type.
        ConfigError: as for `interpreter_of`.
    """
    for name, backend in backends.items():
        try:
            interpreter_of(name, backend, root)
        except EnvironmentMissing as error:
            raise EnvironmentMissing(f"{name}: {error}") from None


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
