"""Who has trained so many epochs first, and what keeps that from being sure."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

from harness.statistics.intervals import Interval
from harness.statistics.verdict import Finding


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


@dataclass(frozen=True, slots=True)
class Reign:
    """The arm that has trained so many epochs first."""

    name: str
    from_epoch: int
    to_epoch: int | None  # None: for good


@dataclass(frozen=True, slots=True)
class Lead:
    """Who is first for how many epochs, by how much, and what keeps that from being sure."""

    baseline: str
    reigns: tuple[Reign, ...] = ()  # from 1 epoch on; arms of other numbers or set aside never are
    ratio: Interval | None = None  # the last leader's epoch to the baseline's
    rivals: tuple[Rival, ...] = ()  # every other arm that could lead, the nearest first
    undecided: str = ""  # why the session as a whole decides nothing, "" where it can
    barred: bool = False  # the numbers of every arm that was timed are known to be others
    # Of arms that train by `fit`: the one of the shortest epoch, and the others.
    fit: tuple[str, tuple[Rival, ...]] | None = None
    unchecked: tuple[str, ...] = ()  # arms never checked against the referee
    n_arms: int = 0  # that can lead
    check: str = ""  # what to type to check them

    @property
    def kind(
        self,
    ) -> Literal["nothing", "other numbers", "alone", "undecided", "close", "ahead"]:
        """What it comes to."""
        if not self.reigns:
            return "other numbers" if self.barred else "nothing"
        if not self.rivals:
            return "alone"
        if self.undecided:
            return "undecided"
        return "close" if self.close else "ahead"

    @property
    def close(self) -> tuple[Rival, ...]:
        """The arms that the last leader cannot be told from, the nearest first."""
        return tuple(rival for rival in self.rivals if rival.finding != "slower")


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
        # No other can be ahead later on.
        contenders = [line for line in contenders if line.epoch_s < leader.epoch_s]
        until = min(
            (max(_overtaken(leader, line), epochs + 1) for line in contenders), default=None
        )
        found.append((leader.name, epochs, until - 1 if until else None))
        epochs = until or epochs
    return found


def _overtaken(leader: Line, faster: Line) -> int:
    """Return the first number of epochs after which a line of shorter epochs is ahead."""
    return math.floor((faster.start_s - leader.start_s) / (leader.epoch_s - faster.epoch_s)) + 2
