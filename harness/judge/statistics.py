"""Estimates with the intervals that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the interval that holds it."""

    low: float
    mid: float
    high: float

    def excludes(self, value: float) -> bool:
        """Say whether a value lies outside."""
        return not self.low <= value <= self.high


def hodges_lehmann(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the centre of symmetry of paired differences, with its exact distribution-free interval.

    Args:
        values: (n,), independent differences; n from 6 for 95 %.
        confidence: least probability that the interval holds the centre.

    Returns:
        The median of the n (n + 1) / 2 Walsh averages, and the k-th smallest and largest of them, with k from the null
        distribution of Wilcoxon's signed-rank statistic.

    Raises:
        ValueError: too few values for that confidence.

    Source: Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd ed., 3.1-3.3.
    """
    x = np.asarray(values, np.float64)
    averages = np.sort(((x[:, None] + x) / 2)[np.triu_indices(len(x))])
    rank = _critical_rank(len(x), confidence)
    if rank < 1:
        raise ValueError(f"a {confidence:.0%} interval needs more than {len(x)} values")
    return Interval(float(averages[rank - 1]), float(np.median(averages)), float(averages[-rank]))


def _critical_rank(n: int, confidence: float) -> int:
    """Return the largest k with P(W < k) <= (1 - confidence) / 2 for the signed-rank statistic W of n values, 0 if none."""
    ways = np.zeros(n * (n + 1) // 2 + 1)  # ways[w]: subsets of {1..n} with sum w
    ways[0] = 1
    for rank in range(1, n + 1):
        ways[rank:] += ways[:-rank].copy()
    return int(np.searchsorted(np.cumsum(ways) / 2.0**n, (1 - confidence) / 2, side="right"))


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Whether paired differences are known to be small."""

    mean: Interval  # of the difference, 90 %: the one that the two one-sided tests at 5 % look at
    p: float  # the larger of the two one-sided tests'
    n: int
    verdict: Literal["equivalent", "different", "inconclusive"]


def tost(differences: Sequence[float], margin: float, level: float = 0.05) -> Equivalence:
    """Return whether the mean of paired differences is shown to lie within ±margin: two one-sided t tests.

    Args:
        differences: (n,), one for each pair; n from 2.
        margin: in their unit; differences smaller than this are of no consequence.
        level: of each one-sided test.

    Returns:
        "equivalent" where both tests reject, "different" where the 90 % interval lies outside the margin altogether,
        else "inconclusive", which is no pass: too few pairs, or too much noise.

    Source: Schuirmann 1987; the t tests are SciPy's.
    """
    from scipy import stats

    x = np.asarray(differences, np.float64)
    if len(x) < 2:
        only = float(x[0]) if len(x) else float("nan")
        return Equivalence(Interval(-np.inf, only, np.inf), 1.0, len(x), "inconclusive")
    mean, error = float(x.mean()), float(x.std(ddof=1) / np.sqrt(len(x)))
    if error == 0:  # the same difference in every pair: nothing to estimate it by but itself
        inside = abs(mean) < margin
        return Equivalence(Interval(mean, mean, mean), 0.0 if inside else 1.0, len(x), "equivalent" if inside else "different")
    p = max(
        float(stats.ttest_1samp(x, -margin, alternative="greater").pvalue),
        float(stats.ttest_1samp(x, margin, alternative="less").pvalue),
    )
    half = float(stats.t.ppf(1 - level, len(x) - 1)) * error
    interval = Interval(mean - half, mean, mean + half)
    outside = interval.low > margin or interval.high < -margin
    return Equivalence(interval, p, len(x), "equivalent" if p < level else "different" if outside else "inconclusive")
