"""Many comparisons at once: p-values that hold for all of them together, by rearranging the data.

A 95 % interval errs in 1 of 20 comparisons, so of 66 comparisons of identical arms some would
nearly always be called different. The p-values here are adjusted: calling different only what has p
<= 0.05 errs anywhere among all comparisons of one family in at most 5 % of families, whichever of
the others are truly different.

How: under the null hypothesis the data of a generation could as well have had the other sign (or
the other session). Every such rearrangement gives each comparison a statistic, and the largest
statistic over the comparisons says what chance alone can reach. Generations are rearranged whole,
so what comparisons share (one baseline, one disturbed generation) stays shared. The largest
comparison is judged against the maximum over all of them, the next one against the maximum over the
rest, and so on.

Sources: Westfall and Young, Resampling-Based Multiple Testing (1993), algorithm 2.8 (free
step-down); Romano and Wolf, Exact and Approximate Stepdown Methods for Multiple Hypothesis Testing,
JASA 100 (2005), 94-108: exact with rearrangements, without an assumption on which hypotheses are
true. Assumed: the differences of identical arms are jointly symmetric about zero (each difference
is, because identical arms may change places); tests/simulation shows that skewed noise keeps the
error rate.
"""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np

from harness.statistics.intervals import Floats

N_REARRANGED = 4096  # at most; of more, so many are drawn, the observed data among them
EXACT_SIGNS = 12  # generations: up to here all signs are tried


def paired_p_values(differences: Floats, least: float) -> Floats:
    """Return an adjusted p-value of each comparison: that the centre of its differences is zero.

    Args:
        differences: (n, comparisons), a row for each generation; nan where a comparison lacks one.
        least: a difference of no consequence, in the same unit. It is added to each comparison's
            own spread (root of the sum of squares), so that few values that happen to be nearly
            equal do not set what chance can reach.

    Returns:
        (comparisons,), at least 2^(1 - n): with 5 rows or fewer nothing is below 0.05.
    """
    present = ~np.isnan(differences)
    values = np.where(present, differences, 0.0)
    n = np.maximum(present.sum(axis=0), 1)
    scale = np.sqrt((values**2).sum(axis=0) / n + least**2)
    return _step_down(np.abs(_signs(len(values)) @ values) / n / scale)


def shifted_p_values(before: Floats, after: Floats, least: float) -> Floats:
    """Return an adjusted p-value of each comparison: that two sets of generations have one centre.

    Args:
        before: (m, comparisons), a row for each generation; nan where a comparison lacks one.
        after: (n, comparisons), the same of the other set.
        least: as for `paired_p_values`.

    Returns:
        (comparisons,), at least 2 over the number of ways to choose m of m + n where m = n.
    """
    values = np.concatenate([before, after])
    present = ~np.isnan(values)
    n = np.maximum(present.sum(axis=0), 1)
    centred = np.where(present, values - np.where(present, values, 0.0).sum(axis=0) / n, 0.0)
    scale = np.sqrt((centred**2).sum(axis=0) / n + least**2)
    chosen = _splits(len(before), len(after))
    n_first = chosen @ present
    n_second = present.sum(axis=0) - n_first
    sums = chosen @ centred  # the second set's sums are the same with the other sign
    means = sums / np.maximum(n_first, 1) + sums / np.maximum(n_second, 1)
    return _step_down(np.where((n_first > 0) & (n_second > 0), np.abs(means) / scale, 0.0))


def _step_down(statistics: Floats) -> Floats:
    """Return adjusted p-values of statistics (rearrangements, comparisons), observed row first."""
    order = np.argsort(statistics[0], kind="stable")
    observed = statistics[0, order]
    maxima = np.maximum.accumulate(statistics[:, order], axis=1)
    p = (maxima >= observed * (1 - 1e-9)).mean(axis=0)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p[::-1])[::-1]
    return adjusted


@cache
def _signs(n: int) -> Floats:
    """Return signs (rearrangements, n), the first row all 1, and one of each two opposite rows."""
    if n <= EXACT_SIGNS:
        rows = [(1, *rest) for rest in itertools.product((1, -1), repeat=max(n - 1, 0))]
        signs = np.array(rows, np.float64)[:, :n]
    else:
        signs = np.random.default_rng(0).choice([-1.0, 1.0], (N_REARRANGED, n))
        signs[0] = 1
    signs.flags.writeable = False  # all callers have the same
    return signs


def _splits(m: int, n: int) -> Floats:
    """Return which m of m + n make the first set (rearrangements, m + n), observed row first."""
    if math.comb(m + n, m) <= N_REARRANGED:
        splits = np.zeros((math.comb(m + n, m), m + n))
        splits[np.arange(len(splits))[:, None], list(itertools.combinations(range(m + n), m))] = 1
        return splits
    observed = np.repeat([1.0, 0.0], [m, n])
    splits = np.tile(observed, (N_REARRANGED, 1))
    splits[1:] = np.random.default_rng(0).permuted(splits[1:], axis=1)
    return splits
