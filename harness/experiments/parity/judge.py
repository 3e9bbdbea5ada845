"""Traces against gates -> one verdict an arm, and one for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from harness.engine.plan import Planned
from harness.experiments.parity.gather import Heard
from harness.records.parity import ArmParity, Departure
from harness.referee import differences, gates, locate
from harness.referee.epoch import examine_epoch, point_of
from harness.referee.gates import Finding
from harness.referee.ground import Ground
from harness.referee.loop import examine_loop
from harness.referee.oracle import Loss
from harness.referee.trace import Trace, expected_quantities


def verdict(
    bed: Ground, heard: Heard, planned: Planned, noise: Mapping[tuple[str, str, str], float]
) -> ArmParity:
    """Return the verdict on one arm: every gate of every trace that it owes.

    Args:
        bed: points, the referee's updates, floors.
        heard: what its worker handed back.
        planned: the arm.
        noise: floors from twins on real backends, by point, quantity and measure.
    """
    request, known = planned.request, heard.known
    base = ArmParity(
        backend=request.backend,
        implementation=request.implementation,
        module=request.module,
        options=request.options,
        device=str(known.get("device") or ""),
        versions=known.get("versions") or {},
        environment_sha256=known.get("environment_sha256"),
        verdict="failed",
        reason=heard.failure,
    )
    owed = owed_by(bed, planned)
    there = [(trace.program, trace.point) for trace in heard.traces] + [
        ("loop", point) for point in heard.loops
    ]
    there += [("epoch", point_of(stop)) for stop in heard.epochs]
    missing = set(owed) - set(there)
    base = base.model_copy(
        update={"covers": tuple(" ".join(each) for each in owed), "scope": bed.scope}
    )
    if heard.failure or missing:
        said = (
            heard.failure
            or f"no trace of {', '.join(' '.join(each) for each in sorted(missing)[:3])}: nothing of it is checked"
        )
        return base.model_copy(update={"reason": said})
    loss = differences.documented_loss(bed.spec, request.backend, request.module, request.options)
    findings, departures = judged(
        bed, heard, loss, noise, anew=differences.has_own_slots(request.options)
    )
    tightest = min(findings, key=lambda pair: pair[1].margin)
    return base.model_copy(
        update={
            "verdict": "departs" if departures else "agrees",
            "reason": sentence(departures[0]) if departures else "",
            "margin": tightest[1].margin,
            "tightest": f"{tightest[0]}: {tightest[1].quantity}, {tightest[1].measure}",
            "n_compared": sum(finding.n_compared for _, finding in findings),
            "n_gates": len(findings),
            "departures": tuple(departures),
        }
    )


def owed_by(bed: Ground, planned: Planned) -> tuple[tuple[str, str], ...]:
    """Return the program and point of each thing that an arm is held to."""
    request = planned.request
    owed = [
        (program, point)
        for program in programs(request.module)
        for point in points_of(bed, planned)
    ]
    if differences.has_own_slots(request.options):
        return tuple(owed)
    stops = {stop: None for each in bed.epochs.values() for stop in each.stops}
    return (
        *owed,
        *(("loop", point) for point in bed.loops),
        *(("epoch", point_of(stop)) for stop in stops),
    )


def judged(
    bed: Ground,
    heard: Heard,
    loss: Loss,
    noise: Mapping[tuple[str, str, str], float],
    *,
    anew: bool = False,
) -> tuple[list[tuple[str, Finding]], list[Departure]]:
    """Return the findings on all that was handed back, each with its program and point, and the departures, the first one first."""
    departures: list[Departure] = []
    findings: list[tuple[str, Finding]] = []
    for trace in sorted(
        heard.traces, key=lambda trace: (list(bed.points).index(trace.point), trace.program)
    ):
        several, departure = _judged(bed, trace, loss, noise, anew=anew)
        findings += [(f"{trace.program} {trace.point}", finding) for finding in several]
        departures += [departure] if departure else []
    for point, found in heard.loops.items():
        departure, several = examine_loop(bed.courses[point, loss], found, point)
        findings += [(f"loop {point}", finding) for finding in several]
        departures += [departure] if departure else []
    for stop, found in sorted(heard.epochs.items()):
        departure, several = examine_epoch(bed.epochs[loss], stop, found)
        findings += [(f"epoch {point_of(stop)}", finding) for finding in several]
        departures += [departure] if departure else []
    return findings, departures


def programs(module: str) -> tuple[str, ...]:
    """Return the programs of an arm that are traced: what trains, and of the Keras model an eager one laid open."""
    return ("production", "instrumented") if module == "keras_fit" else ("production",)


def points_of(bed: Ground, planned: Planned) -> list[str]:
    """Return the points from which an arm owes an update."""
    return [
        name
        for name, point in bed.points.items()
        if not (point.n_updates and differences.has_own_slots(planned.request.options))
    ]


def _judged(
    bed: Ground,
    trace: Trace,
    loss: Loss,
    noise: Mapping[tuple[str, str, str], float],
    *,
    anew: bool,
) -> tuple[tuple[Finding, ...], Departure | None]:
    """Return a trace's findings, and the first departure among them with what explains it."""
    point, step = bed.points[trace.point], bed.steps[trace.point, loss]
    floors = bed.floors[trace.point, loss]
    of_backends = {key: noise.get((trace.point, *key), 0.0) for key in floors}
    wanted = tuple(
        name
        for name in expected_quantities(bed.spec, trace.program)
        if not (anew and name.startswith("slot/"))
    )
    findings = gates.examine(bed.spec, step, trace.quantities, floors, wanted, of_backends)
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
    found = locate.find_culprit(bed.spec, point, step, trace, findings, loss)
    if found is None:
        return findings, None
    return findings, Departure(program=trace.program, point=trace.point, **asdict(found))


def sentence(departure: Departure) -> str:
    """Return where and by how much an arm departs first, and what explains it."""
    parts = [f"{departure.program} {departure.point}: {departure.quantity}"]
    if departure.error is not None and departure.gate is not None:
        parts[0] += (
            f" off by {departure.error:.2g} ({departure.measure}; gate {departure.gate:.2g})"
        )
    return "; ".join(
        [
            *parts,
            *(
                part
                for part in (departure.fit, departure.where and f"in {departure.where}")
                if part
            ),
        ]
    )


def noise_of(
    bed: Ground, heard: Mapping[str, Heard], arms: Mapping[str, Planned]
) -> tuple[dict[tuple[str, str, str], float], dict[str, dict[str, float]]]:
    """Return the noise floor that permutation twins show on real backends: the largest by point and quantity, and each arm's.

    A twin is held to the arm's own unpermuted update: what the arm gets wrong in the same way both times is no noise.
    Noise beyond a cap is a defect, not a floor, and left out.
    """
    largest: dict[tuple[str, str, str], float] = {}
    by_arm: dict[str, dict[str, float]] = {}
    for name, arm in heard.items():
        loss = differences.documented_loss(
            bed.spec,
            arms[name].request.backend,
            arms[name].request.module,
            arms[name].request.options,
        )
        plain = {(trace.program, trace.point): trace.quantities for trace in arm.traces}
        for (program, point), several in arm.twins.items():
            base = plain.get((program, point))
            if base is None:
                continue
            exact = {quantity: value.astype(np.float64) for quantity, value in base.items()}
            known = [
                {
                    key: value
                    for key, value in twin.items()
                    if key in exact and value.shape == exact[key].shape
                }
                for twin in several
            ]
            kinds = {
                quantity: value
                for quantity, value in exact.items()
                if quantity in bed.steps[point, loss].quantities
            }
            floors = gates.floors_of(bed.spec, kinds, known, bed.steps[point, loss].slack)
            for (quantity, measure), floor in floors.items():
                cap = next(
                    check.cap
                    for check in gates.CHECKS[gates.kind_of(bed.spec, quantity)]
                    if check.measure == measure
                )
                if floor <= cap / gates.FACTOR:
                    largest[point, quantity, measure] = max(
                        floor, largest.get((point, quantity, measure), 0.0)
                    )
                mine = by_arm.setdefault(name, {})
                mine[f"{quantity} {measure}"] = max(floor, mine.get(f"{quantity} {measure}", 0.0))
    return largest, by_arm


def suspect(heard: Mapping[str, Heard], verdicts: Mapping[str, ArmParity]) -> bool:
    """Say whether the referee is the odd one out: arms of several backends depart first in the same quantity, all alike."""
    first = {name: each.departures[0] for name, each in verdicts.items() if each.departures}
    backends = {verdicts[name].backend for name in first}
    if (
        len(backends) < 2
        or len(first) < len(verdicts)
        or len({(each.point, each.quantity) for each in first.values()}) > 1
    ):
        return False
    some = next(iter(first.values()))
    seen = [
        trace.quantities
        for name in first
        for trace in heard[name].traces
        if (trace.program, trace.point) == ("production", some.point)
        and some.quantity in trace.quantities
    ]
    gate = max(each.gate or 0.0 for each in first.values())
    return len(seen) == len(first) and all(
        locate.agree(seen[0], other, some.quantity, gate) for other in seen[1:]
    )
