"""What happened beside one turn of a live worker.

Nothing runs beside the worker: a snapshot before, another one after. Systems count in ticks of 10
ms: a turn of 0.5 s on 2 cores has 100 of them, so a share of them is known to about 1 %, and one
below that is no figure. Read are the cores that the worker may use: who works on others takes none
of them away.

psutil reads what Linux and macOS both have. Quotas, pressure and stolen time are Linux's own. What
cannot be read, or cannot be understood, is None: it costs no turn.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from harness.engine.energy import joules_used, read_energy
from harness.job.cores import SYS, cores_of, online, text_of
from harness.job.machine import cpu_groups, load_1m

PROC = Path("/proc")
# A system has some of these clocks, and of these kinds of a core's seconds.
CLOCKS = ("CLOCK_MONOTONIC", "CLOCK_BOOTTIME", "CLOCK_UPTIME_RAW", "CLOCK_REALTIME")
BUSY = ("user", "nice", "system", "irq", "softirq")
# Of a worker's own seconds: a count that misses more counts nothing.
LEAST_S, LEAST_SHARE = 0.1, 0.5


@dataclass(frozen=True, slots=True)
class Counters:
    """Where every counter stood when a turn began; None where this system has no such counter."""

    pid: int  # the worker's
    proc: Path
    sys: Path
    cores: frozenset[int]  # that the worker could use
    busy_s: float | None  # of these cores, since the machine started
    steal_s: float | None
    throttled_s: float | None
    pressure_s: float | None
    # A counter's joules, and those after which it begins anew (0: never).
    energy: dict[str, tuple[float, float]]
    children_s: float  # of the worker's children that live, and of theirs, since each began
    parent_s: float
    clocks: dict[str, float]


def read_counters(
    pid: int, proc: Path = PROC, sys: Path = SYS, *, has_children: bool = True
) -> Counters:
    """Return where every counter stands.

    The clocks are read last: what this costs is not a part of the turn.

    Args:
        pid: the live worker whose turn is next.
        proc: where the system shows its processes.
        sys: where the system shows its devices.
        has_children: whether the worker has any; finding them is a walk over all processes.
    """
    cores = cores_of(pid, sys)
    counters, energy = _counters(pid, cores, proc, sys), read_energy(sys)
    children_s = _children_s(pid) if has_children else 0.0
    parent_s = time.process_time()
    return Counters(pid, proc, sys, cores, *counters, energy, children_s, parent_s, _clocks())


def changes_since(
    start: Counters, own: Mapping[str, Any], *, has_children: bool = True
) -> dict[str, Any]:
    """Return what a `Turn` says of what happened beside it: its fields, by name.

    Args:
        start: what `read_counters` returned when the turn began.
        own: the worker's own numbers of this turn: `seconds` and `feed_s`, and of both together the
            CPU seconds `user_s` and `system_s`, and `children_s` of the children that ended; CPU
            seconds that it leaves out would be counted as another process's.
        has_children: whether the worker has any by now.
    """
    clocks, parent_s = _clocks(), time.process_time() - start.parent_s
    counters = _counters(start.pid, start.cores, start.proc, start.sys)
    busy_s, steal_s, throttled_s, pressure_s = counters
    spans = [clocks[name] - start.clocks[name] for name in clocks]
    around_s = clocks["CLOCK_MONOTONIC"] - start.clocks["CLOCK_MONOTONIC"]
    living_s = _children_s(start.pid) if has_children else 0.0
    children_s = max(0.0, own.get("children_s", 0.0) + living_s - start.children_s)
    own_s = own["user_s"] + own["system_s"] + children_s
    return {
        "around_s": around_s,
        "parent_s": parent_s,
        "children_s": children_s,
        "others_s": _others_s(_risen(start.busy_s, busy_s), own_s, parent_s),
        "steal_s": _risen(start.steal_s, steal_s),
        "throttled_s": _risen(start.throttled_s, throttled_s),
        "pressure_s": _risen(start.pressure_s, pressure_s),
        "load_1m": load_1m(),
        "clock_s": max(max(spans) - min(spans), own["seconds"] + own.get("feed_s", 0.0) - around_s),
        "n_cores": len(cores_of(start.pid, start.sys)),
        "energy_j": joules_used(start.energy, read_energy(start.sys)),
    }


def _others_s(busy_s: float | None, own_s: float, parent_s: float) -> float | None:
    """Return the CPU seconds of all other processes, None where the system does not show them.

    A sandbox may show cores that never work (gVisor does): where the worker's own seconds are
    missing from the count, those of others are too.
    """
    if busy_s is None or (own_s > LEAST_S and busy_s < LEAST_SHARE * own_s):
        return None
    return max(0.0, busy_s - own_s - parent_s)


def _children_s(pid: int) -> float:
    """Return the CPU seconds of a process's living descendants, those they waited for included.

    psutil lets out the system's own errors where a process is half gone.
    """
    seconds = 0.0
    with suppress(psutil.Error, OSError):
        for child in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.Error, OSError):  # what has ended is counted by its parent
                seconds += sum(child.cpu_times()[:4])
    return seconds


def _risen(start: float | None, end: float | None) -> float | None:
    """Return by how much a counter rose, None where it could not be read twice; never below 0."""
    return None if start is None or end is None else max(0.0, end - start)


def _clocks() -> dict[str, float]:
    """Return what the clocks show; over an undisturbed turn all agree.

    One stops while the machine sleeps, one goes on, and one can be set.
    """
    return {name: time.clock_gettime(getattr(time, name)) for name in CLOCKS if hasattr(time, name)}


def _counters(
    pid: int, cores: frozenset[int], proc: Path, sys: Path
) -> tuple[float | None, float | None, float | None, float | None]:
    """Return the seconds busy and stolen on these cores, throttled, and under CPU pressure."""
    busy_s, steal_s = _busy_s(cores, sys)
    return busy_s, steal_s, _throttled_s(pid, proc, sys), _pressure_s(proc)


def _busy_s(cores: frozenset[int], sys: Path) -> tuple[float | None, float | None]:
    """Return the busy and the stolen seconds of these cores; None where the system does not say.

    psutil gives the cores in order, without their numbers: those that are online. A container whose
    system shows it its own cores only has another number of them: then all count.
    """
    try:
        each = psutil.cpu_times(percpu=True)
    except (OSError, ValueError, TypeError, psutil.Error):
        return None, None
    numbers = sorted(online(sys)) or range(len(each))
    known = dict(zip(numbers, each, strict=True)) if len(numbers) == len(each) else {}
    mine = [known[number] for number in sorted(known.keys() & cores)] or each
    if not mine:
        return None, None
    busy_s = sum(getattr(times, kind, 0.0) for times in mine for kind in BUSY)
    steals = hasattr(mine[0], "steal")
    return busy_s, sum(times.steal for times in mine) if steals else None


def _pressure_s(proc: Path) -> float | None:
    """Return for how long some process has waited for a core, None where nobody says."""
    try:
        lines = text_of(proc / "pressure/cpu").splitlines()
        some = next(line for line in lines if line.startswith("some"))
        return int(some.rpartition("total=")[2]) / 1e6
    except (StopIteration, ValueError):
        return None


def _throttled_s(pid: int, proc: Path, sys: Path) -> float | None:
    """Return for how long quotas held up a process's control group or one above it.

    Cores are added up; None where nobody says.

    **Differs**: version 1 counts `throttled_time` in ns, version 2 `throttled_usec`.
    """
    units, found = (("throttled_time", 1e9), ("throttled_usec", 1e6)), []
    try:
        for folder in cpu_groups(str(pid), proc, sys):
            stat = dict(entry.split() for entry in text_of(folder / "cpu.stat").splitlines())
            found += [int(stat[key]) / unit for key, unit in units if key in stat]
    except ValueError:
        return None
    return sum(found) if found else None
