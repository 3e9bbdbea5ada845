"""Who has trained so many epochs first, and the sentence that says so and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from harness.statistics.intervals import Interval
from harness.statistics.verdict import TOGETHER, Finding, has_ends, percent, span


class Line(NamedTuple):
    """An arm's seconds to so many epochs: start_s for the first, epoch_s for each one after it."""

    name: str
    start_s: float
    epoch_s: float

    def total_s(self, epochs: int) -> float:
        """Return the seconds from nothing to the end of that epoch."""
        return self.start_s + (epochs - 1) * self.epoch_s


class Rival(NamedTuple):
    """How another arm's epoch compares with the leader's, in pairs."""

    name: str
    ratio: Interval | None  # its epoch to the leader's
    finding: Finding  # of the rival: a lead needs "slower"
    reason: str


def break_even(line: Line, other: Line) -> float:
    """Return from which epoch on `line` is never behind `other`; inf where it falls behind."""
    if line.epoch_s > other.epoch_s or (
        line.epoch_s == other.epoch_s and line.start_s > other.start_s
    ):
        return math.inf
    if line.start_s <= other.start_s:
        return 1
    return 1 + math.ceil((line.start_s - other.start_s) / (other.epoch_s - line.epoch_s))


def leaders(lines: Collection[Line]) -> list[tuple[str, int, int | None]]:
    """Return each leader's name, its first and its last number of epochs (None: for good)."""
    found: list[tuple[str, int, int | None]] = []
    epochs = 1
    contenders = list(lines)
    while contenders:
        leader = min(contenders, key=lambda line: (line.total_s(epochs), line.epoch_s))
        contenders = [
            line for line in contenders if line.epoch_s < leader.epoch_s
        ]  # no other can be ahead later on
        until = min(
            (max(_overtaken(leader, line), epochs + 1) for line in contenders), default=None
        )
        found.append((leader.name, epochs, until - 1 if until else None))
        epochs = until or epochs
    return found


def _overtaken(leader: Line, faster: Line) -> int:
    """Return the first number of epochs after which a line of shorter epochs is ahead."""
    return math.floor((faster.start_s - leader.start_s) / (leader.epoch_s - faster.epoch_s)) + 2


def lead_sentence(
    reign: Sequence[tuple[str, int, int | None]],
    baseline: str,
    ratio: Interval | None,
    rivals: Sequence[Rival],
    undecided: str,
) -> str:
    """Return in one or two sentences which arm wins for how many epochs, and how sure that is.

    Args:
        reign: who is first, from `reigns`.
        baseline: the arm that others are compared with.
        ratio: the last leader's epoch to the baseline's.
        rivals: every other arm that could lead, the nearest first.
        undecided: why the session as a whole decides nothing, "" where it can.
    """
    if not reign:
        return "Nothing can be said yet: no arm has both a start and a generation that counts."
    name, first, _ = reign[-1]
    before = "; ".join(f"{_epochs(start, end)} it is {other}" for other, start, end in reign[:-1])
    which = f"{name}, the baseline," if name == baseline else name
    times = (
        ""
        if name == baseline or ratio is None
        else f", at {ratio.mid:.2f} times {baseline}'s epoch{_sure(ratio)}"
    )
    when = f"from {first} epochs on" if first > 1 else "for any number of epochs"
    tail = f" {before[0].upper()}{before[1:]}." if before else ""
    if not rivals:
        return f"{which} is the only arm that can be judged: there is nothing to compare it with."
    if undecided:
        return (
            f"Inconclusive: {undecided}. So far {which} is ahead {when}{times}.{tail} Run more "
            f"generations, on a quiet machine."
        )
    close = [rival for rival in rivals if rival.finding != "slower"]
    if close:
        told = "; ".join(f"{rival.name}: {_told(rival)}" for rival in close)
        names = " and ".join(
            [", ".join([which, *(rival.name for rival in close[:-1])]), close[-1].name]
        )
        return (
            f"{names} cannot be told apart by their epochs ({told}); by medians {which} trains "
            f"this model first {when}{times}.{tail}"
        )
    return f"{which} trains this model first {when}{times}; {_lead(rivals[0])}.{tail}"


def fit_sentence(leader: str, rivals: Sequence[Rival]) -> str:
    """Return the sentence on whose `fit` has the shortest epoch; "" without rivals."""
    if not rivals:
        return ""
    parts = []
    for rival in rivals:
        if rival.finding == "slower" and rival.ratio:
            parts.append(
                f"{rival.name} takes {rival.ratio.mid:.2f} "
                f"({rival.ratio.low:.2f}-{rival.ratio.high:.2f}) times its epoch"
            )
        else:
            parts.append(f"{rival.name} cannot be told from it ({_told(rival)})")
    return f"With compile and fit: {leader}; {', '.join(parts)}."


def unchecked_sentence(names: Sequence[str], n_arms: int, check: str) -> str:
    """Return the sentence on arms never checked against the referee; "" where all were.

    Args:
        names: of those arms.
        n_arms: of all arms.
        check: what to type to check them.
    """
    if not names:
        return ""
    which = "No arm was" if len(names) == n_arms else f"{', '.join(names)}: not"
    return (
        f"{which} checked against the referee, so equal numbers are not known ({check} "
        f"checks them)."
    )


def _sure(ratio: Interval) -> str:
    return f" ({ratio.low:.2f}-{ratio.high:.2f} with 95 % confidence)" if has_ends(ratio) else ""


def _epochs(first: int, last: int | None) -> str:
    if first == 1:
        return "for 1 epoch" if last == 1 else f"up to {last} epochs"
    return f"for {first} epochs" if first == last else f"for {first} to {last} epochs"


def _lead(nearest: Rival) -> str:
    """Return by how much the leader's epoch is ahead of the nearest arm's."""
    by = (
        f"{nearest.ratio.mid:.2f} times as long ({nearest.ratio.low:.2f}-{nearest.ratio.high:.2f})"
        if nearest.ratio
        else "longer"
    )
    return (
        f"an epoch of {nearest.name}, the next, takes {by}: longer with 95 % confidence for "
        f"{TOGETHER}, and by more than the A/A floor"
    )


def _told(rival: Rival) -> str:
    if rival.ratio is None or not has_ends(rival.ratio):
        return rival.reason or "too few generations together"
    return (
        f"{percent(rival.ratio.mid)} {'longer' if rival.ratio.mid >= 1 else 'shorter'}, "
        f"{span(rival.ratio)}"
    )
