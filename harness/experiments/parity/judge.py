"""Traces against gates -> one verdict an arm, and one for all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from harness.engine.plan import Planned
from harness.experiments.parity.departure import departure_at, describe
from harness.experiments.parity.gather import ArmAnswer, documented_loss
from harness.experiments.parity.several import name_faults
from harness.records.parity import ArmParity, Departure, Gate, judge_gates
from harness.referee import differences, gates, locate
from harness.referee.epoch import examine_epoch, point_of
from harness.referee.gates import Finding, Quantities
from harness.referee.ground import Ground
from harness.referee.loop import examine_loop
from harness.referee.oracle import Loss
from harness.referee.step import Step
from harness.referee.trace import Trace, expected_quantities


def judge_arm(
    reference: Ground,
    answer: ArmAnswer,
    planned: Planned,
    noise: Mapping[tuple[str, str, str], float],
) -> ArmParity:
    """Return the verdict on one arm: every gate of every trace that it owes.

    Args:
        reference: points, the referee's updates, floors.
        answer: what its worker handed back.
        planned: the arm.
        noise: floors from twins on real backends, by point, quantity and measure.
    """
    request, owed = planned.request, owed_traces(reference, planned)
    base = ArmParity(
        **request.arm.fields,
        device=answer.device,
        versions=dict(answer.versions),
        environment_sha256=answer.environment_sha256,
        verdict="failed",
        reason=answer.failure,
        covers=tuple(" ".join(each) for each in owed),
        scope=reference.scope,
    )
    failure = answer.failure or _describe_missing(owed, answer)
    if failure:
        return base.model_copy(update={"reason": failure})
    anew, loss = differences.has_own_slots(request.options), documented_loss(planned)
    findings, departures = find_departures(reference, answer, loss, noise, anew=anew)
    more, departures = name_faults(reference, answer, loss, request.replicas, departures)
    return base.model_copy(update=keep_findings([*findings, *more], departures))


def keep_findings(
    findings: Sequence[tuple[str, Finding]], departures: Sequence[Departure]
) -> dict[str, Any]:
    """Return the fields of an arm's record that hold what was found; see `find_departures`."""
    seen = _gates(findings)
    return {
        "gates": seen,
        "departures": tuple(departures),
        "reason": describe(departures[0]) if departures else "",
        **judge_gates(seen, tuple(departures)),
    }


def _gates(findings: Sequence[tuple[str, Finding]]) -> dict[str, tuple[Gate, ...]]:
    """Return the gates as a record has them, by program and point."""
    seen: dict[str, tuple[Gate, ...]] = {}
    for place, each in findings:
        error = each.error if math.isfinite(each.error) else None
        gate = Gate(each.quantity, each.measure, error, each.gate, each.floor, each.n_compared)
        seen[place] = (*seen.get(place, ()), gate)
    return seen


def _describe_missing(owed: tuple[tuple[str, str], ...], answer: ArmAnswer) -> str:
    """Return which traces an arm owes and has not handed back; "" where none is missing."""
    there = {(trace.program, trace.point) for trace in answer.traces}
    there |= {("loop", point) for point in answer.loops}
    there |= {("epoch", point_of(stop)) for stop in answer.epochs}
    missing = [" ".join(each) for each in sorted(set(owed) - there)[:3]]
    return f"no trace of {', '.join(missing)}: nothing of it is checked" if missing else ""


def owed_traces(reference: Ground, planned: Planned) -> tuple[tuple[str, str], ...]:
    """Return the program and point of each thing that an arm is held to."""
    request = planned.request
    owed = [
        (program, point)
        for program in programs(request.module, request.replicas)
        for point in points_of(reference, planned)
    ]
    if differences.has_own_slots(request.options):
        return tuple(owed)
    stops = {stop: None for each in reference.epochs.values() for stop in each.stops}
    return (
        *owed,
        *(("loop", point) for point in reference.loops),
        *(("epoch", point_of(stop)) for stop in stops),
    )


def find_departures(
    reference: Ground,
    answer: ArmAnswer,
    loss: Loss,
    noise: Mapping[tuple[str, str, str], float],
    *,
    anew: bool = False,
) -> tuple[list[tuple[str, Finding]], list[Departure]]:
    """Return all findings, each with its program and point, and the departures, first one first.

    Args:
        reference: points, the referee's updates, floors.
        answer: what an arm handed back.
        loss: the form that the arm is documented to compute.
        noise: as for `judge_arm`.
        anew: the arm's slots are its own, and none is judged.
    """
    departures: list[Departure] = []
    findings: list[tuple[str, Finding]] = []
    for trace in sorted(
        answer.traces, key=lambda trace: (list(reference.points).index(trace.point), trace.program)
    ):
        several, departure = _judge_trace(reference, trace, loss, noise, anew=anew)
        findings += [(f"{trace.program} {trace.point}", finding) for finding in several]
        departures += [departure] if departure else []
    for point, found in answer.loops.items():
        outside, several = examine_loop(reference.courses[point, loss], found)
        findings += [(f"loop {point}", finding) for finding in several]
        departures += [departure_at("loop", point, outside)] if outside else []
    for stop, found in sorted(answer.epochs.items()):
        outside, several = examine_epoch(reference.epochs[loss], stop, found)
        findings += [(f"epoch {point_of(stop)}", finding) for finding in several]
        departures += [departure_at("epoch", point_of(stop), outside)] if outside else []
    return findings, departures


def programs(module: str, n_replicas: int = 1) -> tuple[str, ...]:
    """Return the programs of an arm that are traced.

    What trains, and of the Keras model on one device an eager one laid open.
    """
    laid_open = module == "keras_fit" and n_replicas == 1
    return ("production", "instrumented") if laid_open else ("production",)


def points_of(reference: Ground, planned: Planned) -> list[str]:
    """Return the points from which an arm owes an update."""
    return [
        name
        for name, point in reference.points.items()
        if not (point.n_updates and differences.has_own_slots(planned.request.options))
    ]


def _judge_trace(
    reference: Ground,
    trace: Trace,
    loss: Loss,
    noise: Mapping[tuple[str, str, str], float],
    *,
    anew: bool,
) -> tuple[tuple[Finding, ...], Departure | None]:
    """Return a trace's findings, and the first departure among them with what explains it."""
    point, step = reference.points[trace.point], reference.steps[trace.point, loss]
    floors = reference.floors[trace.point, loss]
    of_backends = {key: noise.get((trace.point, *key), 0.0) for key in floors}
    wanted = tuple(
        name
        for name in expected_quantities(reference.spec, trace.program)
        if not (anew and name.startswith("slot/"))
    )
    findings = gates.examine(reference.spec, step, trace.quantities, floors, wanted, of_backends)
    if trace.exact:
        return findings, Departure(
            program=trace.program,
            point=trace.point,
            quantity="inputs",
            measure="exact",
            error=float("inf"),
            gate=0,
            fit=trace.exact[0],
        )
    found = locate.find_culprit(reference.spec, point, step, trace, findings, loss)
    if found is None:
        return findings, None
    return findings, Departure(program=trace.program, point=trace.point, **asdict(found))


def measure_noise(
    reference: Ground, answer: Mapping[str, ArmAnswer], arms: Mapping[str, Planned]
) -> tuple[dict[tuple[str, str, str], float], dict[str, dict[str, float]]]:
    """Return the noise floor that permutation twins show on real backends.

    The largest by point and quantity, and each arm's.

    A twin is held to the arm's own unpermuted update: what the arm gets wrong in the same way both
    times is no noise. Noise beyond a cap is a defect, not a floor, and left out.

    Args:
        reference: points and the referee's updates.
        answer: what each arm handed back, by name.
        arms: the same arms as planned.
    """
    largest: dict[tuple[str, str, str], float] = {}
    by_arm: dict[str, dict[str, float]] = {}
    for name, arm in answer.items():
        loss = documented_loss(arms[name])
        plain = {(trace.program, trace.point): trace.quantities for trace in arm.traces}
        for (program, point), twins in arm.twins.items():
            step = reference.steps[point, loss]
            floors = _floors_of_twins(reference, step, plain.get((program, point), {}), twins)
            for (quantity, measure), floor in floors.items():
                if floor <= _cap(reference, quantity, measure) / gates.FACTOR:
                    key = point, quantity, measure
                    largest[key] = max(floor, largest.get(key, 0.0))
                mine, label = by_arm.setdefault(name, {}), f"{quantity} {measure}"
                mine[label] = max(floor, mine.get(label, 0.0))
    return largest, by_arm


def _floors_of_twins(
    reference: Ground, step: Step, base: Quantities, twins: Sequence[Quantities]
) -> dict[tuple[str, str], float]:
    """Return how far twins are from the unpermuted update, by quantity and measure."""
    exact = {name: value.astype(np.float64) for name, value in base.items()}
    known = [
        {
            name: value
            for name, value in twin.items()
            if name in exact and value.shape == exact[name].shape
        }
        for twin in twins
    ]
    kinds = {name: value for name, value in exact.items() if name in step.quantities}
    return gates.floors_of(reference.spec, kinds, known, step.slack) if kinds else {}


def _cap(reference: Ground, quantity: str, measure: str) -> float:
    """Return the cap of a quantity's gate."""
    checks = gates.CHECKS[gates.kind_of(reference.spec, quantity)]
    return next(check.cap for check in checks if check.measure == measure)


def is_referee_suspect(answer: Mapping[str, ArmAnswer], verdicts: Mapping[str, ArmParity]) -> bool:
    """Say whether the referee is the odd one out.

    Arms of several backends depart first in the same quantity, all alike.
    """
    first = {name: each.departures[0] for name, each in verdicts.items() if each.departures}
    frameworks = {verdicts[name].arm.framework for name in first}
    if (
        len(frameworks) < 2
        or len(first) < len(verdicts)
        or len({(each.point, each.quantity) for each in first.values()}) > 1
    ):
        return False
    return _depart_alike(answer, first)


def _depart_alike(answers: Mapping[str, ArmAnswer], first: Mapping[str, Departure]) -> bool:
    """Return whether all those arms hand back the same of the quantity that departs first."""
    some = next(iter(first.values()))
    seen = [
        trace.quantities
        for name in first
        for trace in answers[name].traces
        if (trace.program, trace.point) == ("production", some.point)
        and some.quantity in trace.quantities
    ]
    gate = max(each.gate or 0.0 for each in first.values())
    return len(seen) == len(first) and all(
        locate.agree(seen[0], other, some.quantity, gate) for other in seen[1:]
    )
