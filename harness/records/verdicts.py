"""What all parity checks together say of an arm.

Agrees, agrees (quick), departs, failed, or not checked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from harness.records.arm import ArmId
from harness.records.bench import Entrant, Session, Start
from harness.records.observation import Seen
from harness.records.parity import ArmParity, Parity
from harness.records.record import Record
from harness.spec.config import Spec

AGREES, AGREES_QUICK, NOT_CHECKED = "agrees", "agrees (quick)", "not checked"
"""What is known of an arm that departs nowhere.

The whole gate held it, its quick form did, or neither."""
Verdicts = dict[tuple[str | ArmId | None, ...], str]
"""Verdicts by what they hold for: see `verdicts_of`."""


def verdicts_of(parities: Iterable[Parity]) -> Verdicts:
    """Return what is known of each arm, by all that a verdict depends on.

    Spec, arm, environment, device, machine.

    "agrees" is said of an arm that the whole gate held, "agrees (quick)" of one that only its quick
    form did. A check of less says neither. Where any check departs or fails, that stands until a
    later one agrees at the same points.
    """
    checks: dict[tuple[str | ArmId | None, ...], list[_Check]] = defaultdict(list)
    for parity in sorted(parities, key=lambda parity: parity.started_at):
        for arm in parity.arms:
            place = _place(arm.device, parity)
            key = (_content(parity.spec), arm.arm, *_environment(arm), *place)
            checks[key].append(_Check(arm, f"seed {parity.seed} of {parity.data.sha256}"))
    return {key: _known(several) for key, several in checks.items()}


@dataclass(frozen=True, slots=True)
class _Check:
    """One arm's verdict in one parity check."""

    arm: ArmParity
    inputs: str  # seed and dataset: a point of others is another point

    @property
    def departed(self) -> frozenset[_Point]:
        """The points at which the arm departs; all that there are where none is named."""
        if self.arm.verdict != "departs":
            return frozenset()
        names = {f"{each.program} {each.point}" for each in self.arm.departures}
        return frozenset((name, self.inputs) for name in names or {EVERYWHERE})

    @property
    def failed(self) -> frozenset[_Point]:
        """The points of which nothing is known since the check failed."""
        if self.arm.verdict != "failed":
            return frozenset()
        return frozenset((name, self.inputs) for name in self.arm.covers or (EVERYWHERE,))

    def settles(self, point: _Point) -> bool:
        """Say whether this check looked at that point, and so replaces what was known of it."""
        name, inputs = point
        if self.arm.verdict == "failed" or inputs != self.inputs:
            return False
        return name in self.arm.covers or (
            self.arm.scope == "whole" and (name == EVERYWHERE or not self.arm.covers)
        )

    def unsettled(self, points: frozenset[_Point]) -> frozenset[_Point]:
        """Return those of the points that this check does not settle."""
        return frozenset(point for point in points if not self.settles(point))


_Point = tuple[str, str]
"""A program with a point's name, and the inputs that it is of."""
EVERYWHERE = "everywhere"


def _known(checks: Sequence[_Check]) -> str:
    """Return what several checks of one arm say together.

    Given in the order in which they were made.
    """
    departed: frozenset[_Point] = frozenset()
    failed: frozenset[_Point] = frozenset()
    agreed = NOT_CHECKED
    for check in checks:
        departed = check.unsettled(departed) | check.departed
        failed = check.unsettled(failed) | check.failed
        agreed = _agreed(check.arm, agreed)
    return "departs" if departed else "failed" if failed else agreed


def _agreed(arm: ArmParity, before: str) -> str:
    """Return what is known of an arm that departs nowhere, given what was known before."""
    if arm.verdict == "departs":
        return NOT_CHECKED  # what agreed before this was other code
    if arm.verdict != "agrees" or arm.scope == "part":
        return before
    return AGREES if arm.scope == "whole" or before == AGREES else AGREES_QUICK


def verdict_on(record: Record, verdicts: Verdicts) -> str:
    """Return what is known of the arm that made a record.

    Agrees, agrees (quick), departs, failed, or not checked.
    """
    if not record.measured:
        return NOT_CHECKED
    environment = *_versions(record.measured.versions), record.environment_sha256
    place = _place(record.measured.device, record)
    return verdicts.get(
        (_content(record.request.spec), record.arm, *environment, *place), NOT_CHECKED
    )


def verdict_in(
    session: Session, entrant: Entrant, starts: Iterable[Seen], verdicts: Verdicts
) -> str:
    """Return what is known of an entrant of a bench session, as `verdict_on` says it.

    The worst over its processes.

    Args:
        session: its plan and the machine.
        entrant: the arm.
        starts: the processes that started, or the environment as it is now.
        verdicts: see `verdicts_of`.
    """
    found = {
        verdicts.get(
            (
                _content(session.spec),
                entrant.arm,
                *_environment(start),
                *_place(start.device, session),
            ),
            NOT_CHECKED,
        )
        for start in starts
        if not (isinstance(start, Start) and start.status == "failed")
    }
    return worst(found)


def worst(found: Collection[str]) -> str:
    """Return the verdict that stands for several runs of one arm.

    One that departs is not hidden by others.
    """
    order = ("departs", "failed", NOT_CHECKED, AGREES_QUICK, AGREES)
    return next((verdict for verdict in order if verdict in found), NOT_CHECKED)


def _place(device: str, made: Session | Parity | Record) -> tuple[str, str, str]:
    return device, made.host.machine, made.harness


def _content(spec: Spec) -> str:
    return spec.model_dump_json(exclude={"dataset", "epochs"})


def _environment(made: ArmParity | Seen) -> tuple[str | None, ...]:
    return *_versions(made.versions), made.environment_sha256


def _versions(versions: dict[str, str]) -> tuple[str, str, str]:
    return (
        versions.get("framework_version", ""),
        versions.get("keras", ""),
        versions.get("numpy", ""),
    )
