"""Are an arm's numbers known to be others than they should be? Equal numbers first, then speed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.judge.statistics import Equivalence, tost
from harness.records.bench import End

MARGIN = 0.0025  # of test accuracy: a quarter of a point
NOT_CHECKED = "not checked"


def accuracies_of(ends: Iterable[End], name: str) -> dict[int, float]:
    """Return an arm's test accuracy in each generation; of several processes the last one's."""
    found = sorted((end for end in ends if end.name == name and end.status == "ok"), key=lambda end: end.process)
    return {end.generation: end.test_accuracy for end in found if end.test_accuracy is not None}


def paired_accuracy(mine: Mapping[int, float], other: Mapping[int, float]) -> Equivalence | None:
    """Return whether two arms' accuracies are the same, paired by generation: one seed gave both their weights and samples."""
    differences = [mine[generation] - other[generation] for generation in mine if generation in other]
    return tost(differences, MARGIN) if differences else None


def why_other_numbers(parity: str, accuracies: Mapping[str, Equivalence | None]) -> str:
    """Return why an arm's numbers are known to be others than they should be, "" where that is not known.

    Args:
        parity: the newest verdict on the arm.
        accuracies: its accuracy compared, by what it is compared with: "the baseline's".
    """
    if parity == "departs":
        return "it departs from the referee (harness parity says where)"
    if parity == "failed":
        return "its parity check failed (harness parity says why)"
    for whose, found in accuracies.items():
        if found and found.verdict == "different":
            mean = found.mean
            points = f"{100 * abs(mean.mid):.2f} points {'lower' if mean.mid < 0 else 'higher'}"
            return f"its accuracy is different: {points} than {whose} ({100 * mean.low:+.2f} to {100 * mean.high:+.2f})"
    return ""
