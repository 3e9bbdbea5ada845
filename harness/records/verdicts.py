"""What all parity checks together say of an arm.

Agrees, agrees (quick), departs, failed, or not checked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import harness
from harness.job.arm import ArmId
from harness.records.bench import Entrant, Session, Start
from harness.records.observation import Seen
from harness.records.parity import ArmParity, Parity
from harness.records.record import Record
from harness.records.user_model import ModelParity
from harness.spec.arguments import without_arguments
from harness.spec.config import Spec
from harness.spec.model import OwnModel, content_of, own_model

AGREES, AGREES_QUICK, NOT_CHECKED = "agrees", "agrees (quick)", "not checked"
"""What is known of an arm that departs nowhere.

The whole gate held it, its quick form did, or neither."""
Check = Parity | ModelParity
Where = tuple[str | None, ...]
What = tuple[str | ArmId | None, ...]
Verdicts = dict[Where, dict[What, str]]
"""Verdicts by where and for what they hold: see `verdicts_of`.

What is asked where nothing was checked is known to have none, and its spec's content not looked up.
"""


def verdicts_of(checks: Iterable[Check]) -> Verdicts:
    """Return what is known of each arm, by all that a verdict depends on.

    Spec, arm, environment, device, machine.

    "agrees" is said of an arm that the whole gate held, "agrees (quick)" of one that only its quick
    form did. A check of less says neither. Where any check departs or fails, that stands until a
    later one agrees at the same points.
    """
    found: dict[tuple[Where, What], list[_Check]] = defaultdict(list)
    verdicts: Verdicts = defaultdict(dict)
    for check in sorted(checks, key=lambda check: check.started_at):
        if isinstance(check, ModelParity):
            for where, what, verdict in _of_model(check):
                verdicts[where][what] = verdict
            continue
        for arm in check.arms:
            where = (*_environment(arm), *_place(arm.device, check))
            one = _Check(arm, f"seed {check.seed} of {check.data.sha256}")
            found[where, (content_of(check.spec), arm.arm)].append(one)
    for (where, what), several in found.items():
        verdicts[where][what] = _known(several)
    return dict(verdicts)


def _of_model(check: ModelParity) -> Iterator[tuple[Where, What, str]]:
    """Yield what a check of a user's own model says of its backends; nothing where it is open.

    It holds for every arm, since an arm of such a model is proved to train as `fit` does.
    """
    known = {"agrees": AGREES, "departs": "departs", "failed": "failed"}
    for each in check.backends:
        if each.verdict in known and check.sha256:
            where = (*_environment(each), *_place(each.device, check))
            yield where, (_whose(check.sha256, check.called), each.backend), known[each.verdict]


def newest_check(
    checks: Iterable[object], spec: OwnModel, backends: Collection[str] = ()
) -> ModelParity | None:
    """Return the newest check of a user's own model as its file is now, by this harness.

    Of one device: what several compute is proved before they are timed.

    Args:
        checks: oldest first.
        spec: the model, its file read.
        backends: that it compares, no more and no fewer; any where none is named.
    """
    mine = [
        each
        for each in checks
        if isinstance(each, ModelParity)
        and each.harness == harness.__version__
        and each.replicas == 1
        and each.sha256
        and _whose(each.sha256, each.called) == _whose(spec.sha256, spec.called)
        and (not backends or {*backends} == {found.backend for found in each.backends})
    ]
    return mine[-1] if mine else None


def is_of(check: ModelParity, backend: str, here: Seen, machine: str) -> bool:
    """Say whether a check of a user's own model is of a backend as it is here and now.

    That is, of its environment, its device and this machine.

    Args:
        check: of several backends.
        backend: by name.
        here: what a process of its environment shows.
        machine: that the process ran on, as a host describes it.
    """
    return check.host.machine == machine and any(
        (each.backend, each.device) == (backend, here.device)
        and _environment(each) == _environment(here)
        for each in check.backends
    )


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
    known = verdicts.get((*environment, *_place(record.measured.device, record)))
    return known.get(_what(record.request.spec, record.arm), NOT_CHECKED) if known else NOT_CHECKED


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
    what = _what(session.spec, entrant.arm)
    found = {
        verdicts.get((*_environment(start), *_place(start.device, session)), {}).get(
            what, NOT_CHECKED
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


def _place(device: str, made: Session | Check | Record) -> tuple[str, str, str, str]:
    asked = made.request if isinstance(made, Record) else made
    return device, made.host.machine, made.harness, f"{getattr(asked, 'replicas', 1)} replicas"


def _what(spec: Spec, arm: ArmId) -> What:
    """Return what a verdict is of: an arm of a stack, or a user's own model on a backend."""
    own = own_model(spec)
    if own is None:
        return content_of(spec), arm
    return _whose(own.sha256, own.called), arm.backend


def _whose(sha256: str | None, called: str) -> str:
    """Return which function it is, given what, of which content; FILE:FUNCTION(...) names it."""
    file = without_arguments(called).rpartition(":")[0] or called  # a saved file is its content
    return f"{sha256}{called.removeprefix(file)}"


def _environment(made: ArmParity | Seen) -> tuple[str | None, ...]:
    return *_versions(made.versions), made.environment_sha256


def _versions(versions: dict[str, str]) -> tuple[str, str, str]:
    return (
        versions.get("framework_version", ""),
        versions.get("keras", ""),
        versions.get("numpy", ""),
    )
