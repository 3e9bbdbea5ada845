"""Estimates with the intervals that hold them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

MARGIN = 0.0025  # of test accuracy: what differs by less than a quarter of a point is the same
Floats = npt.NDArray[np.float64]
Known = Literal["equivalent", "different", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the interval that holds it."""

    low: float
    mid: float
    high: float

    def excludes(self, value: float) -> bool:
        """Say whether a value lies outside."""
        return not self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure with the lowest and the highest that went into it."""

    low: float
    mid: float
    high: float


def median_spread(values: Sequence[float]) -> Spread:
    """Return the median with the lowest and the highest."""
    return Spread(min(values), statistics.median(values), max(values))


def hodges_lehmann(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the centre of paired differences, with its exact distribution-free interval.

    Args:
        values: (n,), independent differences; n from 6 for 95 %.
        confidence: least probability that the interval holds the centre.

    Returns:
        The median of the n (n + 1) / 2 Walsh averages, and the k-th smallest and largest of them,
        with k from the null distribution of Wilcoxon's signed-rank statistic.

    Raises:
        ValueError: too few values for that confidence.

    Source: Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd ed., 3.1-3.3.
    """
    n = len(values)
    return _between(_walsh_averages(values), _signed_rank(n, confidence), confidence, f"{n} values")


def median_of(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that are known; None where none is."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def pseudomedian(values: Sequence[float]) -> float:
    """Return the Hodges-Lehmann estimate of (n,) values: the median of their Walsh averages."""
    return _middle(_walsh_averages(values))


def hodges_lehmann_shift(values: Sequence[float], others: Sequence[float]) -> Interval:
    """Return by how much `others` lie above `values`, with the exact 95 % interval.

    No distribution is assumed.

    Args:
        values: (m,), independent.
        others: (n,), independent, of the same shape but for the shift; 4 and 4 are the fewest.

    Returns:
        The median of the m n differences, and the k-th smallest and largest of them, with k from
        the null distribution of the Mann-Whitney statistic. Ties make the interval wider than it
        need be, never narrower.

    Raises:
        ValueError: too few values.

    Source: Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd ed., 4.1-4.3.
    """
    x, y = np.asarray(values, np.float64), np.asarray(others, np.float64)
    m, n = len(x), len(y)
    differences = np.sort((y - x[:, None]).ravel())
    return _between(differences, _rank_of_two(m, n), 0.95, f"{m} and {n} values")


def _walsh_averages(values: Sequence[float]) -> Floats:
    x = np.asarray(values, np.float64)
    return np.sort(((x[:, None] + x) / 2)[_pairs(len(x))])


@cache
def _pairs(n: int) -> tuple[npt.NDArray[np.intp], ...]:
    """Return the rows and the columns of an (n, n) matrix's upper half."""
    return np.triu_indices(n)


@cache
def _signed_rank(n: int, confidence: float) -> int:
    """Return k of Wilcoxon's signed-rank statistic for n differences; 0 where they are too few."""
    return _rank(_rank_sums(n).sum(axis=0), confidence)


@cache
def _rank_of_two(m: int, n: int) -> int:
    """Return k of the Mann-Whitney statistic for m and n values, 95 %; 0: they are too few."""
    return _rank(_rank_sums(m + n)[m, m * (m + 1) // 2 :][: m * n + 1], 0.95)


def _rank(ways: Floats, confidence: float) -> int:
    """Return the largest k with P(statistic < k) <= (1 - confidence) / 2.

    The statistic, the number of estimates below the true value, takes each of its values in so many
    equally likely `ways`.
    """
    return int(np.searchsorted(np.cumsum(ways) / ways.sum(), (1 - confidence) / 2, side="right"))


def _rank_sums(n: int) -> Floats:
    """Return how many subsets of {1..n} have so many members (rows) and such a sum (columns)."""
    ways = np.zeros((n + 1, n * (n + 1) // 2 + 1))
    ways[0, 0] = 1
    for rank in range(1, n + 1):
        ways[1:, rank:] += ways[:-1, :-rank].copy()
    return ways


def _between(ordered: Floats, rank: int, confidence: float, received: str) -> Interval:
    """Return the median of ordered estimates, and the one of that rank from either end."""
    if rank < 1:
        raise ValueError(f"a {confidence:.0%} interval needs more than {received}")
    return Interval(float(ordered[rank - 1]), _middle(ordered), float(ordered[-rank]))


def _middle(ordered: Floats) -> float:
    """Return the median of ordered values: for so few np.median takes many times as long."""
    n = len(ordered)
    return float((ordered[(n - 1) // 2] + ordered[n // 2]) / 2)


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Whether paired differences are known to be small."""

    mean: Interval  # of the difference, 90 %: the one that the two one-sided tests at 5 % look at
    p: float  # the larger of the two one-sided tests'
    n: int
    verdict: Known


def tost(differences: Sequence[float], margin: float) -> Equivalence:
    """Return whether the mean of paired differences lies within ±margin: two t tests at 5 %.

    Args:
        differences: (n,), one for each pair; n from 2.
        margin: in their unit; differences smaller than this are of no consequence.

    Returns:
        "equivalent" where both tests reject, "different" where the 90 % interval lies outside the
        margin altogether, else "inconclusive", which is no pass: too few pairs, or too much noise.

    Source: Schuirmann 1987; Student's t is SciPy's.
    """
    x = np.asarray(differences, np.float64)
    if len(x) < 2:
        only = float(x[0]) if len(x) else float("nan")
        return Equivalence(Interval(-np.inf, only, np.inf), 1.0, len(x), "inconclusive")
    mean, error = float(x.mean()), float(x.std(ddof=1) / np.sqrt(len(x)))
    if error == 0:  # the same difference in every pair: nothing to estimate it by but itself
        p, half = float(abs(mean) >= margin), 0.0
    else:  # SciPy's own t test warns of differences that are nearly equal
        from scipy.special import stdtr, stdtrit  # imported in a fifth of scipy.stats's time

        above, below = (mean + margin) / error, (mean - margin) / error
        p = max(float(stdtr(len(x) - 1, -above)), float(stdtr(len(x) - 1, below)))
        half = float(stdtrit(len(x) - 1, 0.95)) * error
    interval = Interval(mean - half, mean, mean + half)
    outside = interval.low >= margin or interval.high <= -margin
    verdict: Known = "equivalent" if p < 0.05 else "different" if outside else "inconclusive"
    return Equivalence(interval, p, len(x), verdict)
