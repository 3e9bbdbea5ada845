"""What a worker can say about itself: versions, memory, cores, and what its framework sees."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from harness.errors import Refused
from harness.job.answers import Environment, Host
from harness.job.asked import Locate, Look


def framework_of(backend: str) -> ModuleType:
    """Return the module of harness.worker.frameworks for a backend's framework."""
    return importlib.import_module(f"harness.worker.frameworks.{backend}")


def keras_framework(expected: str) -> ModuleType:
    """Return the module for the framework that Keras computes with.

    Raises:
        Refused: it is another one than was asked for.
    """
    received = importlib.import_module("keras").backend.backend()
    if received != expected:
        asked = f"this process was asked to be {expected}"
        raise Refused(f"{asked}, and Keras computes with {received}")
    return framework_of(expected)


def look(job: Look, *_: Any) -> Environment:
    """Return what `harness doctor` shows of a backend, from inside its environment."""
    framework = framework_of(job.framework)
    if _keras_version():
        importlib.import_module("keras")  # installed is not yet importable
    return Environment(
        versions=versions(framework),
        devices=tuple(framework.devices()),
        cuda=framework.cuda(),
        settings={**framework.settings(), "affinity": affinity()},
    )


def locate(job: Locate, say: Any, spawn_s: float, host: Host) -> Host:
    """Return the machine of this process, see `harness.worker.__main__`.

    Args:
        job: says no more.
        say: not needed.
        spawn_s: not needed.
        host: this machine.
    """
    return host


def versions(framework: ModuleType) -> dict[str, str]:
    """Return the versions of Python, NumPy, the framework, and Keras where it is installed."""
    found = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "framework_version": framework.version(),
    }
    keras = _keras_version()
    return found | ({"keras": keras} if keras else {})


def _keras_version() -> str | None:
    """Return the version of Keras in this environment, without importing it, or None."""
    try:
        return importlib.metadata.version("keras")
    except importlib.metadata.PackageNotFoundError:
        return None


def affinity() -> int | None:
    """Return how many cores this process may use, None where the system does not say."""
    try:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    except OSError:
        return None


def memory_bytes(framework: ModuleType) -> dict[str, int]:
    """Return what this process took at most, each figure by its label.

    They count different things, and none is a part of another. "peak RSS": resident in the
    machine's memory. On an accelerator also "allocator peak", handed out to arrays, and "allocator
    reserved", held for them. "NVML used" is the driver's own count, which the parent asks for. A
    figure that cannot be read is left out.
    """
    peak = peak_rss_bytes()
    return ({} if peak is None else {"peak RSS": peak}) | _allocated(framework)


def _allocated(framework: ModuleType) -> dict[str, int]:
    """Return what the framework's allocator counts; nothing where a driver does not count."""
    try:
        counted: dict[str, int] = framework.memory()
    except Exception:  # of any driver's; a measurement is worth more than this figure
        return {}
    return counted


def peak_rss_bytes(status: Path = Path("/proc/self/status")) -> int | None:
    """Return this process's own peak of resident memory, in bytes, or None (as on gVisor).

    On Linux it is VmHWM, mapped files included; `ru_maxrss` is no substitute there, since a child
    inherits its parent's across fork and exec. macOS has no VmHWM, and its `ru_maxrss` is in bytes.

    Args:
        status: where Linux shows it.
    """
    if sys.platform != "linux":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        lines = status.read_text(errors="replace").splitlines()
        line = next(line for line in lines if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration, IndexError, ValueError):
        return None
