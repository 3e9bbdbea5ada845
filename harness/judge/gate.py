"""What has changed from one session to another, and what a second look at it says -> passed, regressed or inconclusive.

Of many arms that have not changed some will look slower: an arm is called regressed only where fresh blocks say so again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.judge.regression import Change, regressions, remarks
from harness.records.bench import Bench

Outcome = Literal["passed", "regressed", "inconclusive"]
Finding = Literal["regressed", "failed", "suspected", "not confirmed", "improved", "unchanged", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Gate:
    """The changes of all arms that two sessions share, and those of the suspects in a session made to confirm them."""

    head: Bench
    base: Bench
    changes: tuple[Change, ...]
    tolerance: float  # a slowdown of more than this must be excluded for an arm to pass
    again: Mapping[str, Change] = field(default_factory=dict)  # by the arm's name; empty where nothing was confirmed
    session_again: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def suspects(self) -> tuple[str, ...]:
        """The arms that look slower."""
        return tuple(change.name for change in self.changes if change.trend == "regressed")

    def finding(self, change: Change) -> Finding:
        """Return what is found of an arm, after the second look where there was one."""
        if change.name in self.head.set_aside:
            return "failed"
        if change.trend == "inconclusive" and self.within(change):
            return "unchanged"
        if change.trend != "regressed":
            return change.trend
        if not self.session_again:
            return "suspected"
        second = self.again[change.name].trend if change.name in self.again else "inconclusive"
        return "not confirmed" if second in ("unchanged", "improved") else second

    def within(self, change: Change) -> bool:
        """Say whether a slowdown of more than the tolerance is excluded: by the interval, in sessions that are sound."""
        return change.change is not None and not change.unsound and change.change.high <= 1 + self.tolerance

    @property
    def outcome(self) -> Outcome:
        """What all of it comes to."""
        found = {self.finding(change) for change in self.changes}
        if found & {"regressed", "failed"}:
            return "regressed"
        return "inconclusive" if found & {"suspected", "inconclusive"} else "passed"


def gated(head: Bench, base: Bench, confirmation: Bench | None = None, tolerance: float = 0.05) -> Gate:
    """Return what has become of each arm.

    Args:
        head: the session in question.
        base: an earlier one that it may be compared with.
        confirmation: a session of the suspects and the baseline, of the same code as `head`; None where there is none yet.
        tolerance: 0.05: an arm passes where it is not slower by more than 5 %, with 95 % confidence.
    """
    again = {change.name: change for change in regressions(confirmation, base)} if confirmation else {}
    session_again = confirmation.session.run_id if confirmation else ""
    return Gate(head, base, regressions(head, base), tolerance, again, session_again, remarks(head, base))
