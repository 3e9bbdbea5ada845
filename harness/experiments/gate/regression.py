"""Two bench sessions -> the change of each arm's ratio to the baseline."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from harness.experiments.bench.family import changes_together
from harness.experiments.bench.paired import ValidTurns, valid_turns
from harness.experiments.bench.remarks import why_blind
from harness.records.bench import Bench, Entrant
from harness.report.remarks import Remark
from harness.spec.arm_source import is_own
from harness.statistics.intervals import Interval, hodges_lehmann_shift
from harness.statistics.verdict import (
    MIN_GENERATIONS,
    Finding,
    judge_ratio,
    over_generations,
    why_unsound,
    worst_floor,
)

Trend = Literal["regressed", "improved", "unchanged", "inconclusive"]
TRENDS: Mapping[Finding, Trend] = {
    "slower": "regressed",
    "faster": "improved",
    "same": "unchanged",
    "inconclusive": "inconclusive",
}


@dataclass(frozen=True, slots=True)
class Change:
    """An arm's change from session `base` to `head`. Intervals are 95 %, over generations."""

    name: str
    trend: Trend
    reason: str  # of "inconclusive"
    base: Interval | None  # its epoch to the baseline's, then; as in `ArmStanding.ratio`
    head: Interval | None  # the same, now
    # Of the ratio, now to then; low and high are nan with too few generations in either.
    change: Interval | None
    n_generations: tuple[int, int]  # then and now
    unsound: bool = False  # identical code differed by too much, or nobody saw disturbances


def arm_changes(head: Bench, base: Bench) -> tuple[Change, ...]:
    """Return the change of each arm with one name, module and options in both sessions.

    An arm is compared with its session's baseline, which shared the machine with it: seconds of two
    days are not comparable. So where the baseline itself has become slower, all others look faster;
    let it be an arm that does not change.

    The changes of all arms are one family, as the pairs of a session are: see `changes_together`.

    Args:
        head: the session in question.
        base: an earlier one, with nothing that `incomparable` names.
    """
    now, then = valid_turns(head), valid_turns(base)
    floor = _floor(head, now, base, then)
    names = [
        name
        for name in arms_of(base)
        if arms_of(head).get(name) == arms_of(base)[name] and name != head.session.baseline
    ]
    logs = {
        name: (
            then.log_ratios(name, base.session.baseline),
            now.log_ratios(name, head.session.baseline),
        )
        for name in names
    }
    together, unseen = changes_together(logs), why_blind(head) or why_blind(base)
    return tuple(
        _change(name, head, logs[name], floor, together.get(name, 1.0), unseen) for name in names
    )


def _change(
    name: str,
    head: Bench,
    logs: tuple[Mapping[int, float], Mapping[int, float]],
    floor: Interval | None,
    p_together: float,
    unseen: str,
) -> Change:
    before, after = ([*each.values()] for each in logs)
    n = min(len(before), len(after))
    change = _shift(before, after) if n else None
    finding, reason = judge_ratio(change, n, floor, p_together)
    if unseen:
        finding, reason = "inconclusive", unseen
    if aside := head.set_aside.get(name):
        finding, reason = "inconclusive", f"set aside: {aside}"
    return Change(
        name,
        TRENDS[finding],
        reason,
        over_generations(before),
        over_generations(after),
        change,
        (len(before), len(after)),
        bool(why_unsound(floor) or unseen),
    )


def _shift(before: list[float], logs: list[float]) -> Interval:
    if min(len(before), len(logs)) < MIN_GENERATIONS:
        return Interval(
            math.nan,
            math.exp(statistics.median(now - then for now in logs for then in before)),
            math.nan,
        )
    found = hodges_lehmann_shift(before, logs)
    return Interval(math.exp(found.low), math.exp(found.mid), math.exp(found.high))


def _floor(head: Bench, now: ValidTurns, base: Bench, then: ValidTurns) -> Interval | None:
    """Return the A/A ratio of the session where identical code differed more."""
    return worst_floor(
        over_generations(count.log_ratios(bench.session.again, bench.session.original).values())
        for bench, count in ((head, now), (base, then))
    )


def why_incomparable(head: Bench, base: Bench) -> tuple[Remark, ...]:
    """Return why two sessions must not be compared, a remark for each reason, or nothing."""
    here, there = _must_agree(head), _must_agree(base)
    return tuple(_differs(here, there))


def remarks(head: Bench, base: Bench) -> tuple[Remark, ...]:
    """Return what a change between sessions can come from, and what was left out."""
    here, there = _circumstances(head), _circumstances(base)
    both = here.keys() & there.keys()  # a framework of one session is an arm of one session
    here, there = ({what: each[what] for what in each if what in both} for each in (here, there))
    return (*_machines(head, base), *_differs(here, there), *_left_out(head, base))


def _machines(head: Bench, base: Bench) -> Iterable[Remark]:
    """Say that two sessions of machines with one description may be of two machines."""
    same = head.session.host.same_as(base.session.host)
    if same is False:
        yield Remark("another machine")
    elif same is None:
        yield Remark("machine described")


def _differs(here: Mapping[str, str], there: Mapping[str, str]) -> Iterable[Remark]:
    for what in dict.fromkeys((*there, *here)):
        if here.get(what) != there.get(what):
            values = (what, there.get(what) or "none", here.get(what) or "none")
            yield Remark("differs", values=values)


def _must_agree(bench: Bench) -> dict[str, str]:
    """Return what two sessions must share, in words."""
    session = bench.session
    spec = session.spec.model_dump(mode="json", exclude={"dataset", "epochs"})
    data = f"{session.data.name} ({session.data.sha256[:8]}), {session.data.n_train} samples"
    arm = arms_of(bench).get(session.baseline)
    asked = f" ({arm.arm.asked})" if arm else ""
    return {
        "machine": session.host.machine,
        "keras": _versions(bench).get("keras", ""),
        "dataset": data,
        **{f"spec {key}": str(value) for key, value in spec.items()},
        "device": session.device,
        "threads": str(session.threads),
        "replicas": str(session.replicas),
        "cores": ", ".join(map(str, session.cores)) or "as threads has it",
        "baseline": f"{session.baseline}{asked}",
    }


def _circumstances(bench: Bench) -> dict[str, str]:
    """Return what may differ, and says where a change can come from."""
    session, versions = bench.session, _versions(bench)
    plain = {
        "harness": session.harness,
        "driver": session.host.driver or "",
        "blocks of a generation": str(session.n_blocks),
    }
    others = {name: version for name, version in versions.items() if name != "keras"}
    return plain | others | _contents(bench)


def _versions(bench: Bench) -> dict[str, str]:
    """Return each version that was used: of a framework under its backend's name."""
    backends = {entrant.name: entrant.backend for entrant in bench.session.entrants}
    found: dict[str, dict[str, None]] = {}
    for start in bench.starts:
        for key, version in start.versions.items() if start.status == "ok" else ():
            found.setdefault(backends[start.name] if key == "framework_version" else key, {})[
                version
            ] = None
    return {name: " and ".join(sorted(several)) for name, several in found.items()}


def _contents(bench: Bench) -> dict[str, str]:
    """Return the content of each backend's environment: versions do not say what was edited."""
    found: dict[str, dict[str, None]] = {}
    for entrant in bench.session.entrants:
        for start in bench.starts:
            if start.name == entrant.name and start.environment_sha256:
                whose = f"{entrant.backend}'s environment"
                if is_own(entrant.module):
                    whose = f"{entrant.arm.name} and its environment"
                several = found.setdefault(f"content of {whose}", {})
                several[start.environment_sha256[:8]] = None
    return {name: " and ".join(sorted(several)) for name, several in found.items()}


def _left_out(head: Bench, base: Bench) -> Iterable[Remark]:
    here, there = arms_of(head), arms_of(base)
    for name in dict.fromkeys((*there, *here)):
        if name not in here or name not in there:
            yield Remark("one session only", (name,), ("here" if name in here else "there",))
        elif here[name] != there[name]:
            asked = (there[name].arm.asked, here[name].arm.asked)
            yield Remark("another arm", (name,), asked)


def arms_of(bench: Bench) -> dict[str, Entrant]:
    """Return a session's arms by name, the duplicate left out."""
    return {entrant.name: entrant for entrant in bench.session.originals}
