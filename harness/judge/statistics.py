"""Estimates with the intervals that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
