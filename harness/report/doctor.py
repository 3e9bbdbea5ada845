"""What this machine has and what each backend sees of it, side by side."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as Grid

from harness import __version__
from harness.launch.devices import Accelerator, Hardware, advice
from harness.records.record import Host
from harness.report.table import cell, sentence
from harness.spec.config import Backend


def checkup(host: Host, hardware: Hardware, seen: Mapping[str, dict[str, Any]], backends: Mapping[str, Backend]) -> RenderableType:
    """Return the machine, then a row a backend, then what to type where something is amiss."""
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("backend", "environment", "version", "keras", "numpy", "python", "sees", "cuda", "settings"):
        grid.add_column(name, overflow="fold")
    for name, answer in seen.items():
        if "refused" in answer:
            grid.add_row(cell(name), cell(backends[name].environment), *["-"] * 7)
            continue
        versions = answer["versions"]
        settings = ", ".join(f"{key} {_said(value)}" for key, value in answer["settings"].items() if value is not None)
        cells = (
            name,
            backends[name].environment,
            versions["framework_version"],
            versions.get("keras", "-"),
            versions["numpy"],
            versions["python"],
            ", ".join(answer["devices"]),
            answer["cuda"] or "-",
            settings,
        )
        grid.add_row(*map(cell, cells))
    advised = {name: advice(hardware, answer, backends[name].environment) for name, answer in seen.items() if backends[name].accelerators}
    return Group(
        sentence(f"machine: {host.machine}"),
        sentence(f"harness {__version__}, NumPy {np.__version__}, Python {platform.python_version()}, {platform.platform()}"),
        sentence(f"accelerators: {'; '.join(map(_accelerator, hardware.accelerators)) or 'none: every backend runs on the CPU'}"),
        *([sentence(f"! {hardware.remark}", "yellow")] if hardware.remark else []),
        grid,
        *(sentence(f"! {name}: {said}", "yellow") for name, said in advised.items() if said),
    )


def _accelerator(device: Accelerator) -> str:
    memory = f", {device.memory_bytes / 2**30:.0f} GiB" if device.memory_bytes else ""
    driver = f", driver {device.driver}, CUDA up to {device.cuda}" if device.driver else ""
    return f"{device.name}{memory}{driver}"


def _said(value: Any) -> str:
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
