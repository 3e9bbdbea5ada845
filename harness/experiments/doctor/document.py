"""What this machine has and what each backend sees of it, side by side."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Group, RenderableType

from harness import __version__
from harness.engine.host import Accelerator, Hardware, advice
from harness.records.observation import Host
from harness.report.fitting import Fitting, Sentence, columns_of
from harness.spec.config import Backend

HEADER = (
    "backend",
    "environment",
    "version",
    "keras",
    "numpy",
    "python",
    "sees",
    "cuda",
    "settings",
)
BY_IMPORTANCE = ("version", "sees", "keras", "cuda", "numpy", "python", "settings")


def checkup(
    host: Host,
    hardware: Hardware,
    seen: Mapping[str, dict[str, Any]],
    backends: Mapping[str, Backend],
) -> RenderableType:
    """Return the machine, then a row a backend, then what to type where something is amiss."""
    rows = tuple(
        (name, backends[name].environment, *_figures(answer)) for name, answer in seen.items()
    )
    advised = {
        name: advice(hardware, answer, backends[name].environment)
        for name, answer in seen.items()
        if backends[name].accelerators
    }
    return Group(
        Sentence(f"machine: {host.machine}"),
        Sentence(
            f"harness {__version__}, NumPy {np.__version__}, Python {platform.python_version()}, {platform.platform()}"
        ),
        Sentence(
            f"accelerators: {'; '.join(map(_accelerator, hardware.accelerators)) or 'none: every backend runs on the CPU'}"
        ),
        *([Sentence(f"! {hardware.remark}", "yellow")] if hardware.remark else []),
        Fitting(columns_of(HEADER, HEADER, BY_IMPORTANCE), rows),
        *(Sentence(f"! {name}: {said}", "yellow") for name, said in advised.items() if said),
    )


def _figures(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a backend answered, in the order of HEADER; dashes where it did not."""
    if "refused" in answer:
        return ("-",) * 7
    versions = answer["versions"]
    settings = ", ".join(
        f"{key} {_said(value)}" for key, value in answer["settings"].items() if value is not None
    )
    return (
        versions["framework_version"],
        versions.get("keras", "-"),
        versions["numpy"],
        versions["python"],
        ", ".join(answer["devices"]),
        answer["cuda"] or "-",
        settings,
    )


def _accelerator(device: Accelerator) -> str:
    memory = f", {device.memory_bytes / 2**30:.0f} GiB" if device.memory_bytes else ""
    driver = f", driver {device.driver}, CUDA up to {device.cuda}" if device.driver else ""
    return f"{device.name}{memory}{driver}"


def _said(value: Any) -> str:
    return (
        {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    )
