"""Changes between two sessions, confirmed by a third -> passed, regressed or inconclusive.

Equal numbers first: an arm of another accuracy, or that departs from the referee, has failed,
whatever its time. Then speed: an arm is called regressed only where all changes together are judged
so (see `changes_together`), and fresh blocks say so again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.experiments.bench.numbers import Numbers, numbers_of, remarks_on
from harness.experiments.gate.regression import Change, arm_changes, remarks
from harness.records.bench import Bench
from harness.records.verdicts import Check
from harness.report.remarks import Remark

Outcome = Literal["passed", "regressed", "inconclusive"]
Finding = Literal[
    "regressed",
    "failed",
    "suspected",
    "not confirmed",
    "slower within tolerance",
    "improved",
    "unchanged",
    "inconclusive",
]


@dataclass(frozen=True, slots=True)
class Gate:
    """The changes of all arms that two sessions share, and of suspects in a confirming one."""

    head: Bench
    base: Bench
    changes: tuple[Change, ...]
    tolerance: float  # a slowdown of more than this must be excluded for an arm to pass
    numbers: tuple[Numbers, ...]  # of each arm of head, its baseline among them
    # By the arm's name; empty where nothing was confirmed.
    again: Mapping[str, Change] = field(default_factory=dict)
    session_again: str = ""
    remarks: tuple[Remark, ...] = ()

    @property
    def suspects(self) -> tuple[str, ...]:
        """Arms that may be slower beyond the tolerance; none where the baseline has failed."""
        if self.head.session.baseline in self.failures:
            return ()
        looks_slower = [
            change
            for change in self.changes
            if change.trend == "regressed" and not self.within(change)
        ]
        return tuple(change.name for change in looks_slower if change.name not in self.failures)

    @property
    def failures(self) -> dict[str, str]:
        """The arms of head that no longer train, or whose numbers are wrong, with the reason."""
        aside = {
            name: f"no longer trains: set aside: {why}" for name, why in self.head.set_aside.items()
        }
        found = {each.name: aside.get(each.name, each.why_failed) for each in self.numbers}
        return {name: why for name, why in found.items() if why}

    def finding(self, change: Change) -> Finding:
        """Return what is found of an arm, after the second look where there was one."""
        if change.name in self.failures:
            return "failed"
        if self.within(change) and change.trend in ("inconclusive", "regressed"):
            return "unchanged" if change.trend == "inconclusive" else "slower within tolerance"
        if change.trend != "regressed":
            return change.trend
        return self._confirmed(change.name) if self.session_again else "suspected"

    def _confirmed(self, name: str) -> Finding:
        """Return what the second look says of a suspect."""
        second = self.again.get(name)
        if second is None:
            return "inconclusive"
        if self.within(second):
            return "slower within tolerance" if second.trend == "regressed" else "not confirmed"
        return second.trend

    def within(self, change: Change) -> bool:
        """Say whether a slowdown beyond the tolerance is excluded, in sound sessions."""
        return (
            change.change is not None
            and not change.unsound
            and change.change.high <= 1 + self.tolerance
        )

    @property
    def outcome(self) -> Outcome:
        """What all of it comes to."""
        found = {self.finding(change) for change in self.changes}
        if self.failures or "regressed" in found:
            return "regressed"
        return "inconclusive" if found & {"suspected", "inconclusive"} else "passed"


def judge_gate(
    head: Bench,
    base: Bench,
    confirmation: Bench | None = None,
    tolerance: float = 0.05,
    parities: Iterable[Check] = (),
) -> Gate:
    """Return what has become of each arm.

    Args:
        head: the session in question.
        base: an earlier one that it may be compared with.
        confirmation: a session of the suspects and the baseline, of the same code as `head`; None
            where there is none yet.
        tolerance: 0.05: an arm passes where it is not slower by more than 5 %, with 95 %
            confidence.
        parities: checks that say which arms of `head` compute the same model.
    """
    again = (
        {change.name: change for change in arm_changes(confirmation, base)} if confirmation else {}
    )
    numbers = numbers_of(head, base, parities)
    return Gate(
        head=head,
        base=base,
        changes=arm_changes(head, base),
        tolerance=tolerance,
        numbers=numbers,
        again=again,
        session_again=confirmation.session.run_id if confirmation else "",
        remarks=(*remarks(head, base), *remarks_on(numbers)),
    )
