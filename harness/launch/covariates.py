"""What happened beside one turn of a live worker, read by the parent before and after it; and whether that was too much.

Nothing runs beside the worker: a snapshot before, another one after. `/proc/stat` counts in ticks of 10 ms: a turn of
0.5 s on 2 cores has 100 of them, so a share of them is known to about 1 %, and one below that is no figure. Read are
the cores that the worker may use: who works on others takes none of them away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.records.bench import Limits, Turn

PROC, SYS = Path("/proc"), Path("/sys")
CLOCKS = ("CLOCK_MONOTONIC", "CLOCK_BOOTTIME", "CLOCK_UPTIME_RAW", "CLOCK_REALTIME")  # those that this system has
BUSY, STEAL = (1, 2, 3, 6, 7), 8  # columns of a line of /proc/stat: user, nice, system, irq, softirq; proc_stat(5)


@dataclass(frozen=True, slots=True)
class Before:
    """Where every counter stood when a turn began; None where this system has no such counter."""

    pid: int  # the worker's
    proc: Path
    sys: Path
    cores: frozenset[int]  # that the worker could use
    busy_s: float | None  # of these cores, since the machine started
    steal_s: float | None
    throttled_s: float | None
    pressure_s: float | None
    energy: dict[str, tuple[float, float]]  # a counter's joules, and those after which it begins anew (0: never)
    parent_s: float
    clocks: dict[str, float]


def before(pid: int, proc: Path = PROC, sys: Path = SYS) -> Before:
    """Return where every counter stands. The clocks are read last: what this costs is not a part of the turn.

    Args:
        pid: the live worker whose turn is next.
        proc: where the system shows its processes.
        sys: where the system shows its devices.
    """
    cores = _cores(pid, sys)
    return Before(pid, proc, sys, cores, *_counters(pid, cores, proc, sys), _energy(sys), time.process_time(), _clocks())


def since(start: Before, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a `Turn` says of what happened beside it: its fields, by name.

    Args:
        start: what `before` returned when the turn began.
        own: the worker's own numbers of this turn: `seconds` and `feed_s`, and the CPU seconds `user_s` and `system_s`
            of both together; CPU seconds that it leaves out would be counted as another process's.
    """
    clocks, parent_s = _clocks(), time.process_time() - start.parent_s
    busy_s, steal_s, throttled_s, pressure_s = _counters(start.pid, start.cores, start.proc, start.sys)
    spans = [clocks[name] - start.clocks[name] for name in clocks]
    around_s = clocks["CLOCK_MONOTONIC"] - start.clocks["CLOCK_MONOTONIC"]
    others_s = _risen(start.busy_s, busy_s)
    if others_s is not None:
        others_s = max(0.0, others_s - own["user_s"] - own["system_s"] - parent_s)
    return {
        "around_s": around_s,
        "parent_s": parent_s,
        "others_s": others_s,
        "steal_s": _risen(start.steal_s, steal_s),
        "throttled_s": _risen(start.throttled_s, throttled_s),
        "pressure_s": _risen(start.pressure_s, pressure_s),
        "load_1m": os.getloadavg()[0],
        "clock_s": max(max(spans) - min(spans), own["seconds"] + own.get("feed_s", 0.0) - around_s),
        "n_cores": len(_cores(start.pid, start.sys)),
        "energy_j": _used(start.energy, _energy(start.sys)),
    }


def invalid(turn: Turn, limits: Limits, n_cores_at_start: int) -> str:
    """Return why a turn does not count, in one sentence with the figure and its limit; empty when it counts.

    What the system does not say (None) breaks no limit. Where several are broken the first one is named: a machine that
    slept or lost a core breaks the later ones too.

    Args:
        turn: the turn and what happened beside it.
        limits: declared before the session began.
        n_cores_at_start: that the worker could use when it was started.
    """
    if turn.n_cores < n_cores_at_start:
        return f"a core was taken away: {turn.n_cores} of {n_cores_at_start} left"
    if turn.n_cores > n_cores_at_start:
        return f"a core was added: {turn.n_cores} instead of {n_cores_at_start}"
    if turn.clock_s > limits.clock_s:
        return f"the clocks disagree by {turn.clock_s:.3g} s, at most {limits.clock_s:g} s allowed: one was set, or the machine slept"
    around_s = max(turn.around_s, 1e-9)
    given_s = n_cores_at_start * around_s
    for seconds, whole_s, limit, said in (
        (turn.throttled_s, around_s, limits.throttled, "the control group's quota held it up for {} of the turn"),
        (turn.steal_s, given_s, limits.steal, "the hypervisor gave {} of the cores to other machines"),
        (turn.others_s, given_s, limits.others, "other processes used {} of the cores"),
    ):
        if seconds is not None and seconds / whole_s > limit:
            return f"{said.format(_percent(seconds / whole_s))}, at most {_percent(limit)} allowed"
    return ""


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _risen(start: float | None, end: float | None) -> float | None:
    """Return by how much a counter rose, None where it could not be read twice; never below 0."""
    return None if start is None or end is None else max(0.0, end - start)


def _clocks() -> dict[str, float]:
    """Return what the clocks show. One that a machine's sleep stops, one that goes on, and one that can be set: over a turn all agree."""
    return {name: time.clock_gettime(getattr(time, name)) for name in CLOCKS if hasattr(time, name)}


def _cores(pid: int, sys: Path) -> frozenset[int]:
    """Return the cores that a process may use and that are online; none of a process that is no more."""
    if not hasattr(os, "sched_getaffinity"):
        return frozenset(range(os.cpu_count() or 1))
    try:
        allowed = os.sched_getaffinity(pid)
    except ProcessLookupError:
        return frozenset()
    online = _text(sys / "devices/system/cpu/online")
    return frozenset(allowed & _listed(online) if online else allowed)


def _listed(text: str) -> set[int]:
    """Return the numbers of a list as the kernel writes it: "0-3,8"."""
    ends = [part.partition("-") for part in text.strip().split(",") if part.strip()]
    return {number for first, _, last in ends for number in range(int(first), int(last or first) + 1)}


def _counters(pid: int, cores: frozenset[int], proc: Path, sys: Path) -> tuple[float | None, float | None, float | None, float | None]:
    """Return the seconds counted so far: busy and stolen on these cores, throttled, and under CPU pressure."""
    lines = [line.split() for line in _text(proc / "stat").splitlines()]
    mine = [line for line in lines if line[0] in {f"cpu{core}" for core in cores}]
    ticks = os.sysconf("SC_CLK_TCK")
    busy_s = sum(int(line[column]) for line in mine for column in BUSY) / ticks if mine else None
    steal_s = sum(int(line[STEAL]) for line in mine) / ticks if mine else None
    some = [line.rpartition("total=")[2] for line in _text(proc / "pressure/cpu").splitlines() if line.startswith("some")]
    return busy_s, steal_s, _throttled_s(pid, proc, sys), int(some[0]) / 1e6 if some else None


def _throttled_s(pid: int, proc: Path, sys: Path) -> float | None:
    """Return for how long quotas held up a process's control group or one above it, cores added up; None where nobody says.

    **Differs**: version 1 counts `throttled_time` in ns, version 2 `throttled_usec`. In a container the path may not exist
    below the mount, whose own root is then the group.
    """
    mount, found = sys / "fs/cgroup", []
    for line in _text(proc / str(pid) / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        names = (controllers, "cpu") if controllers else ("unified", "")
        root = next((folder for name in names if (folder := mount / name).is_dir()), mount)
        inner = root / path.lstrip("/")
        for folder in (inner, *inner.parents):
            stat = dict(entry.split() for entry in _text(folder / "cpu.stat").splitlines())
            found += [int(stat[key]) / unit for key, unit in (("throttled_time", 1e9), ("throttled_usec", 1e6)) if key in stat]
            if folder == root:
                break
    return sum(found) if found else None


def _energy(sys: Path) -> dict[str, tuple[float, float]]:
    """Return what can be read of energy counters: each package's (RAPL; memory and cores are parts of it) and each GPU's (NVML).

    All packages or none, all GPUs or none: a part of a sum would look like a saving. Most systems let only root read RAPL.
    """
    found: dict[str, tuple[float, float]] = {}
    zones = [zone for zone in sorted((sys / "class/powercap").glob("intel-rapl:*")) if _text(zone / "name").startswith("package")]
    texts = {zone.name: (_text(zone / "energy_uj"), _text(zone / "max_energy_range_uj")) for zone in zones}
    if all(energy and most for energy, most in texts.values()):
        found |= {name: (int(energy) / 1e6, int(most) / 1e6) for name, (energy, most) in texts.items()}
    return found | _gpu_energy()


@cache
def _gpus() -> tuple[Any, ...]:
    """Return NVML's handles. It is opened once and kept open: without another client a driver may start anew each time."""
    import pynvml

    try:
        pynvml.nvmlInit()
        return tuple(pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return ()


def _gpu_energy() -> dict[str, tuple[float, float]]:
    import pynvml

    try:
        return {f"gpu {n}": (pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1e3, 0.0) for n, gpu in enumerate(_gpus())}
    except pynvml.NVMLError:
        return {}


def _used(start: Mapping[str, tuple[float, float]], end: Mapping[str, tuple[float, float]]) -> float | None:
    """Return the joules between two readings of the same counters, each of which may have begun anew once; None without any."""
    if not start or start.keys() != end.keys():
        return None
    return sum(joules + (most if joules < start[name][0] else 0.0) - start[name][0] for name, (joules, most) in end.items())


def _text(file: Path) -> str:
    """Return what a file of the system says, nothing where there is none or it may not be read."""
    try:
        return file.read_text()
    except OSError:
        return ""
