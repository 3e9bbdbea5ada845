"""What this machine has and what each backend sees of it, side by side."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import numpy as np

from harness import __version__
from harness.engine.host import advice
from harness.job.accelerators import Accelerator, Hardware
from harness.job.answers import Environment, Host, Refusal
from harness.report.document import NONE, Column, Document, Table, sentences
from harness.spec.config import Backend

RANKS = {
    "backend": 0,
    "interpreter": 0,
    "version": 1,
    "keras": 3,
    "numpy": 5,
    "python": 6,
    "sees": 2,
    "cuda": 4,
    "settings": 7,
}
COLUMNS = tuple(Column(name, rank, align="left") for name, rank in RANKS.items())


def compose(
    host: Host,
    hardware: Hardware,
    seen: Mapping[str, Environment | Refusal],
    backends: Mapping[str, Backend],
    places: Mapping[str, str],
) -> Document:
    """Return the machine, then a row a backend, then what to type where something is amiss.

    Args:
        host: this machine in words.
        hardware: its accelerators.
        seen: what each backend answered.
        backends: as configured.
        places: which interpreter each has, and who made it.
    """
    where = {name: places.get(name) or NONE for name in seen}
    rows = tuple((name, where[name], *_figures(answer)) for name, answer in seen.items())
    advised = {
        name: advice(hardware, answer, name, backends[name])
        for name, answer in seen.items()
        if backends[name].accelerators
    }
    here = f"NumPy {np.__version__}, Python {platform.python_version()}, {platform.platform()}"
    accelerators = "; ".join(map(_accelerator, hardware.accelerators))
    machine = (
        f"machine: {host.machine}",
        f"harness {__version__}, {here}",
        f"accelerators: {accelerators or 'none: every backend runs on the CPU'}",
    )
    warnings = [f"! {hardware.remark}"] if hardware.remark else []
    advices = (f"! {name}: {sentence}" for name, sentence in advised.items() if sentence)
    return Document(
        (
            *sentences(machine),
            *sentences(warnings, "warning"),
            Table(COLUMNS, rows),
            *sentences(advices, "warning"),
        )
    )


def _figures(answer: Environment | Refusal) -> tuple[str, ...]:
    """Return what a backend answered, in the order of COLUMNS; dashes where it did not."""
    if isinstance(answer, Refusal):
        return (NONE,) * 7
    versions, settings = answer.versions, answer.settings.items()
    return (
        versions["framework_version"],
        versions.get("keras", NONE),
        versions["numpy"],
        versions["python"],
        ", ".join(answer.devices),
        answer.cuda or NONE,
        ", ".join(f"{key} {_setting(value)}" for key, value in settings if value is not None),
    )


def _accelerator(device: Accelerator) -> str:
    memory = f", {device.memory_bytes / 2**30:.0f} GiB" if device.memory_bytes else ""
    driver = f", driver {device.driver}, CUDA up to {device.cuda}" if device.driver else ""
    return f"{device.name}{memory}{driver}"


def _setting(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
