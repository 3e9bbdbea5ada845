"""The joules that this machine's packages and GPUs have counted, where they can be read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any

from harness.job.accelerators import NoAnswer, nvidia_gpus
from harness.job.cores import text_of


def read_energy(sys: Path) -> dict[str, tuple[float, float]]:
    """Return the energy counters: each package's (RAPL) and each GPU's (NVML).

    Memory and cores are parts of a package.

    All packages or none, all GPUs or none: a part of a sum would look like a saving. Most systems
    let only root read RAPL.
    """
    found: dict[str, tuple[float, float]] = {}
    zones = [
        zone
        for zone in sorted((sys / "class/powercap").glob("intel-rapl:*"))
        if text_of(zone / "name").startswith("package")
    ]
    texts = {
        zone.name: (text_of(zone / "energy_uj"), text_of(zone / "max_energy_range_uj"))
        for zone in zones
    }
    with suppress(ValueError):  # of an empty text too
        found = {
            name: (int(energy) / 1e6, int(most) / 1e6) for name, (energy, most) in texts.items()
        }
    return found | _gpu_energy()


@cache
def _open() -> tuple[ExitStack, Any, list[Any]]:
    """Return NVML and its handles; it stays open: a driver without a client may start anew."""
    stack = ExitStack()
    try:
        return stack, *stack.enter_context(nvidia_gpus())
    except NoAnswer:
        return stack, None, []


def _gpu_energy() -> dict[str, tuple[float, float]]:
    _, nvml, gpus = _open()
    with suppress(*((nvml.NVMLError,) if nvml else ())):
        used = [nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1e3 for gpu in gpus]
        return {f"gpu {n}": (joules, 0.0) for n, joules in enumerate(used)}
    return {}


def joules_used(
    start: Mapping[str, tuple[float, float]], end: Mapping[str, tuple[float, float]]
) -> float | None:
    """Return the joules between two readings of the same counters; None without any.

    Each counter may have begun anew once.
    """
    if not start or start.keys() != end.keys():
        return None
    return sum(
        joules + (most if joules < start[name][0] else 0.0) - start[name][0]
        for name, (joules, most) in end.items()
    )
