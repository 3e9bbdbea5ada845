"""The comparisons of a whole map: which arm leads in each cell, by rules that hold for all of them.

In a cell the arms that cannot be told from the fastest one are a set. An arm is left out of it if
its epoch is longer by all that a bench session asks for, with a p-value that is adjusted twice: for
all pairs of the cell (`harness.statistics.simultaneous`), so that the fastest arm may be chosen
from the same data, then for all comparisons of the map. That is by Benjamini and Hochberg (1995):
of the differences that a map shows at most 5 % are expected to be none. `strict` is by Holm (1979):
no map shows a difference that is none, with 95 % confidence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.experiments.bench.comparison import Judge
from harness.experiments.bench.family import p_values_of, pairs_of
from harness.experiments.bench.paired import ValidTurns
from harness.statistics.intervals import Floats, Interval, hodges_lehmann
from harness.statistics.verdict import LEVEL, MIN_GENERATIONS, SETTLED, over_generations

NOT_SURE = "with the other comparisons of this map it is not sure"


@dataclass(frozen=True, slots=True)
class Timed:
    """What of a cell's session is compared."""

    count: ValidTurns
    able: tuple[str, ...]  # arms that can win, the fastest first
    twins: Mapping[str, str]  # entrants of identical code, each with the one that it repeats
    unseen: str = ""  # why disturbances could not be seen, so that nothing is sure


@dataclass(frozen=True, slots=True)
class Rival:
    """How another arm's epoch compares with the fastest one's."""

    name: str
    ratio: Interval | None
    p_map: float  # adjusted for the cell and the map
    is_slower: bool
    reason: str = ""  # why it is not known to be slower


@dataclass(frozen=True, slots=True)
class Compared:
    """What a cell says once the map is known."""

    first: str  # the arm with the shortest median epoch; "" where none can be judged
    rivals: tuple[Rival, ...]  # the nearest first
    twins: Mapping[str, float]  # ratio of each entrant of identical code that can be judged
    twins_differ: bool  # identical code is called different, by the map's own rule

    @property
    def together(self) -> tuple[str, ...]:
        """The arms that cannot be told from the fastest one, it among them."""
        close = (rival.name for rival in self.rivals if not rival.is_slower)
        return (self.first, *close) if self.first else ()

    @property
    def winner(self) -> str:
        """The arm that leads surely; "" where none does."""
        return self.first if self.rivals and len(self.together) == 1 else ""


@dataclass(frozen=True, slots=True)
class Comparisons:
    """All cells of a map, compared together."""

    cells: tuple[Compared, ...]
    n: int  # comparisons
    level: float  # that a p-value within a cell is held to


@dataclass(frozen=True, slots=True)
class _Found:
    """A cell's p-values, adjusted within it."""

    timed: Timed
    rivals: Mapping[str, float]  # those with enough generations: others are no comparisons
    twins: Mapping[str, float]


def compare_cells(cells: Sequence[Timed], *, strict: bool = False) -> Comparisons:
    """Return what all cells say together.

    Args:
        cells: what is compared in each.
        strict: by Holm, not by the rate of false discoveries.
    """
    found = [_found(timed) for timed in cells]
    p = np.array([value for each in found for value in each.rivals.values()])
    adjusted = adjust(p, strict=strict)
    values = iter(adjusted.tolist())
    in_map = [{name: next(values) for name in each.rivals} for each in found]
    is_sure = adjusted <= LEVEL
    level = float(p[is_sure].max()) if is_sure.any() else LEVEL / max(len(p), 1)
    share = max(int(is_sure.sum()), 1) / max(len(p), 1)
    compared = (_compare(each, q, level, share) for each, q in zip(found, in_map, strict=True))
    return Comparisons(tuple(compared), len(p), level)


def adjust(p: Floats, *, strict: bool = False) -> Floats:
    """Return p-values, (n,), adjusted for all of them: by false discovery rate, or by Holm."""
    if not len(p):
        return p
    if not strict:
        from scipy.stats import false_discovery_control

        return np.asarray(false_discovery_control(p), np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1.0)
    return adjusted


def fewest_clear(n: int, n_generations: int) -> int:
    """Return how many of n comparisons must be as clear as can be before any of them is sure.

    Of g generations no p-value is below 2^(1 - g), and k such values of n are adjusted to n / k
    times that.
    """
    return math.ceil(n * 2.0 ** (1 - n_generations) / LEVEL)


def _found(timed: Timed) -> _Found:
    pairs = p_values_of(pairs_of(timed.count, timed.able))
    again = {
        frozenset((name,)): timed.count.log_ratios(name, first)
        for name, first in timed.twins.items()
    }
    twins = {next(iter(name)): value for name, value in p_values_of(again).items()}
    first, *others = timed.able or ("",)
    rivals = {name: p for name in others if (p := pairs.get(frozenset((name, first)))) is not None}
    return _Found(timed, rivals, twins)


def _compare(found: _Found, in_map: Mapping[str, float], level: float, share: float) -> Compared:
    """Return what a cell says, once its comparisons are adjusted for the map.

    Args:
        found: its p-values.
        in_map: those of the rivals, adjusted.
        level: of a p-value within a cell.
        share: of the map's comparisons that are sure: intervals of those selected hold together at
            1 - level share (Benjamini and Yekutieli 2005).
    """
    timed = found.timed
    again = {name: timed.count.log_ratios(name, first) for name, first in timed.twins.items()}
    floors = {timed.twins[name]: over_generations(logs.values()) for name, logs in again.items()}
    judge = Judge(timed.count, next(iter(floors.values()), None), floors, {}, timed.unseen)
    rivals = [_rival(timed, judge, name, in_map.get(name, 1.0), share) for name in timed.able[1:]]
    twins = {name: floor.mid for name in found.twins if (floor := floors[timed.twins[name]])}
    differ = any(
        found.twins[name] <= level and abs(math.log(mid)) > SETTLED for name, mid in twins.items()
    )
    first = timed.able[0] if timed.able else ""
    return Compared(first, tuple(sorted(rivals, key=_nearest)), twins, differ)


def _nearest(rival: Rival) -> float:
    return rival.ratio.mid if rival.ratio else math.inf


def _rival(timed: Timed, judge: Judge, name: str, p_map: float, share: float) -> Rival:
    """Return how an arm compares with the cell's fastest one, by the rules of cell and map."""
    first = timed.able[0]
    alone = replace(judge, family={frozenset((name, first)): 0.0})  # the map's p comes after it
    found = alone.compare(name, first)
    ratio = _interval(timed.count.log_ratios(name, first), share)
    if found.finding != "slower":
        return Rival(name, ratio, p_map, False, found.reason or "it is the same")
    is_sure = p_map <= LEVEL
    return Rival(name, ratio, p_map, is_sure, "" if is_sure else NOT_SURE)


def _interval(logs: Mapping[int, float], share: float) -> Interval | None:
    """Return a ratio's interval at the map's level; the widest there is where that needs more."""
    if len(logs) < MIN_GENERATIONS:
        return over_generations(logs.values())
    widest = 1 - 2.0 ** (1 - len(logs))
    found = hodges_lehmann([*logs.values()], min(max(1 - LEVEL * share, 0.95), widest))
    return Interval(math.exp(found.low), math.exp(found.mid), math.exp(found.high))
