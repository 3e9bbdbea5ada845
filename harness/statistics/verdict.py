"""Values of generations -> an interval and a verdict: faster, slower, same, inconclusive."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Literal, TypeGuard

from harness.statistics.intervals import Interval, hodges_lehmann, pseudomedian

THRESHOLD = 0.02  # a smaller difference is of no consequence
MIN_GENERATIONS = 6  # for a 95 % interval
# How often all comparisons of identical arms in a session may err together. 5 % are promised: the
# exact test assumes symmetric noise, and the rest is room for noise that is not.
LEVEL = 0.04
TOGETHER = "all comparisons of this session together"
Finding = Literal["faster", "slower", "same", "inconclusive"]
SETTLED = math.log1p(THRESHOLD)  # as |ln ratio|: A to B and B to A are held to the same


def over_generations(logs: Collection[float]) -> Interval | None:
    """Return the ratio of these logarithms, one a generation, with its exact 95 % interval.

    The Hodges-Lehmann estimate and Wilcoxon's signed-rank interval, taken back from logarithms. The
    ends are nan with fewer than MIN_GENERATIONS generations, and all is None without any.
    """
    if not logs:
        return None
    if len(logs) < MIN_GENERATIONS:
        return Interval(math.nan, math.exp(pseudomedian(list(logs))), math.nan)
    found = hodges_lehmann(list(logs))
    return Interval(math.exp(found.low), math.exp(found.mid), math.exp(found.high))


def from_positive(values: Collection[float]) -> Interval | None:
    """Return the same of figures that are not logarithms yet: seconds, or shares."""
    return over_generations([math.log(value) for value in values])


def has_ends(interval: Interval | None) -> TypeGuard[Interval]:
    """Say whether an interval has its ends."""
    return interval is not None and not math.isnan(interval.low)


def why_too_few(n_generations: int) -> str:
    """Return why so many generations decide nothing, "" where they are enough."""
    if n_generations >= MIN_GENERATIONS:
        return ""
    return (
        f"{n_generations} {'generation' if n_generations == 1 else 'generations'}; a 95 % "
        f"interval needs {MIN_GENERATIONS}"
    )


def why_unsound(floor: Interval | None) -> str:
    """Return why its pair of identical arms makes a session unsound, "" where it does not.

    Where its whole interval lies beyond the threshold, identical code is surely called different,
    and other code may be too; and without the pair nobody would know.
    """
    if not has_ends(floor):
        return (
            f"identical code was not measured side by side in {MIN_GENERATIONS} generations, so "
            f"nothing says what a difference means"
        )
    if min(math.log(floor.high), -math.log(floor.low)) < -SETTLED:
        return (
            f"identical code differed by {percent(floor.mid)} ({span(floor)}): this session is "
            f"not sound"
        )
    return ""


def worst_floor(floors: Iterable[Interval | None]) -> Interval | None:
    """Return the ratio of the pair that differed most; that of an unsound one, where one is."""
    return max(
        floors,
        key=lambda floor: (
            bool(why_unsound(floor)),
            abs(math.log(floor.mid)) if floor else math.inf,
        ),
    )


def judge_ratio(
    ratio: Interval | None, n_generations: int, floor: Interval | None, p_together: float
) -> tuple[Finding, str]:
    """Return what a ratio of two epoch times says of the first, and of "inconclusive" why.

    "same" is judged by the interval of this ratio alone. It needs no correction for the other
    comparisons: identical arms are never called same in error, one comparison errs in at most 5 %,
    and that several arms are all the same is concluded only where each of them is (an
    intersection-union test, of the same level: Berger 1982).

    Args:
        ratio: as `over_generations` gives it.
        n_generations: that it was taken over.
        floor: the same of the session's pair of identical arms.
        p_together: the p-value of this difference, adjusted for all comparisons of the session: see
            `family_of`.
    """
    if not has_ends(ratio):
        return "inconclusive", why_too_few(n_generations)
    if why := why_unsound(floor):
        return "inconclusive", why
    if max(abs(math.log(ratio.low)), abs(math.log(ratio.high))) <= SETTLED:
        return "same", ""
    if why := _why_unsure(ratio, floor, p_together):
        return "inconclusive", why
    return ("faster" if ratio.mid < 1 else "slower"), ""


def _why_unsure(ratio: Interval, floor: Interval | None, p_together: float) -> str:
    """Return why a ratio is not surely another than 1, "" where it is."""
    effect, least = abs(math.log(ratio.mid)), abs(math.log(floor.mid)) if floor else math.inf
    threshold = percent(1 + THRESHOLD)
    if not ratio.excludes(1.0):
        return f"the interval {span(ratio)} holds 1, and is not within {threshold} of it"
    if effect <= SETTLED:
        return (
            f"{percent(ratio.mid)} is below the threshold of {threshold}, and the interval "
            f"{span(ratio)} is not"
        )
    if effect <= least:
        of_floor = percent(floor.mid if floor else 1.0)
        return f"{percent(ratio.mid)} is no more than identical code differed by, {of_floor}"
    if p_together > LEVEL:
        return (
            f"the interval {span(ratio)} excludes 1 by itself, but not with 95 % confidence for "
            f"{TOGETHER}"
        )
    return ""


def percent(ratio: float) -> str:
    """Return by how much a ratio differs from 1, without a sign: "1.5 %"."""
    return f"{abs(ratio - 1):.1%}".replace("%", " %")


def span(interval: Interval) -> str:
    """Return an interval's ends: "0.971-1.041"."""
    return f"{interval.low:.3f}-{interval.high:.3f}"
