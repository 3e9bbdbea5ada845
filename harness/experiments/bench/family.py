"""The comparisons of one session as one family, so that all of them together err in 5 %."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from harness.experiments.bench.paired import ValidTurns
from harness.statistics.intervals import Floats
from harness.statistics.simultaneous import paired_p_values, shifted_p_values
from harness.statistics.verdict import MIN_GENERATIONS, SETTLED

Family = Mapping[frozenset[str], float]
"""The p-value of each pair of arms, adjusted for all pairs of the session."""


Pairs = Mapping[frozenset[str], Mapping[int, float]]
"""Of each pair of arms ln of the one's epoch to the other's, in each generation."""


def pairs_of(count: ValidTurns, names: Sequence[str]) -> Pairs:
    """Return every pair of these arms, repeated ones left out, compared in each generation."""
    return {frozenset(pair): count.log_ratios(*pair) for pair in itertools.combinations(names, 2)}


def family_of(pairs: Pairs) -> Family:
    """Return the adjusted p-value of every pair.

    All pairs are in it, not only those with the baseline. So the leader may be chosen from the same
    data and then be compared with all others: whichever arm is chosen, its comparisons are among
    these (Hsu, Multiple Comparisons: Theory and Methods (1996), chapter 5, on all pairwise
    comparisons). A pair with too few generations together is no comparison, and is left out.
    """
    found = p_values_of(pairs)
    return found if len(found) > 1 else dict.fromkeys(found, 0.0)  # its interval is the family's


def p_values_of(pairs: Pairs) -> Family:
    """Return the p-value of each pair with enough generations, adjusted for all of these."""
    compared = {pair: logs for pair, logs in pairs.items() if len(logs) >= MIN_GENERATIONS}
    if not compared:
        return {}
    generations = sorted(set().union(*compared.values()))
    p_values = paired_p_values(table_of(tuple(compared.values()), generations), SETTLED)
    return dict(zip(compared, p_values.tolist(), strict=True))


def changes_together(
    logs: Mapping[str, tuple[Mapping[int, float], Mapping[int, float]]],
) -> dict[str, float]:
    """Return the p-value of each arm's change between two sessions, adjusted for all arms.

    Args:
        logs: by the arm's name, ln of its ratio to the baseline in each generation: then and now.
    """
    enough = {name: both for name, both in logs.items() if min(map(len, both)) >= MIN_GENERATIONS}
    if len(enough) < 2:  # its own interval is the family's
        return dict.fromkeys(enough, 0.0)
    before, after = (
        table_of(columns, sorted(set().union(*columns)))
        for columns in zip(*enough.values(), strict=True)
    )
    return dict(zip(enough, shifted_p_values(before, after, SETTLED).tolist(), strict=True))


def table_of(columns: Sequence[Mapping[int, float]], generations: Sequence[int]) -> Floats:
    """Return (generations, columns), with nan where a column lacks a generation."""
    return np.array([[column.get(each, np.nan) for column in columns] for each in generations])
