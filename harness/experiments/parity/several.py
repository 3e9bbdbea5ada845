"""Parity of one model on several devices: the same gates, and each common fault by its name."""

from __future__ import annotations

from collections.abc import Sequence

from harness.experiments.parity.departure import departure_at
from harness.experiments.parity.gather import ArmAnswer
from harness.records.parity import Departure
from harness.referee import replicas
from harness.referee.gates import Finding
from harness.referee.ground import Ground
from harness.referee.loop import N_LOOP
from harness.referee.oracle import Loss
from harness.referee.trace import Trace
from harness.spec.config import Spec

PREFIX = "gradient/"


def batch_sizes(spec: Spec) -> tuple[int, ...]:
    """Return the sizes of the gate's own batches: the adversarial one, and a small epoch's last."""
    return max(1, spec.batch_size * 3 // 4), int(N_LOOP * spec.batch_size) % spec.batch_size


def name_faults(
    reference: Ground,
    answer: ArmAnswer,
    loss: Loss,
    n_replicas: int,
    departures: Sequence[Departure],
) -> tuple[list[tuple[str, Finding]], list[Departure]]:
    """Return findings on the devices' copies, and the departures with the fault that each shows.

    Args:
        reference: points, the referee's updates.
        answer: what an arm's worker handed back.
        loss: the form of cross-entropy that is documented for it.
        n_replicas: devices, each with a part of each batch.
        departures: from the gates that hold on one device too.
    """
    if n_replicas == 1:
        return [], list(departures)
    findings, found = [], []
    traces = {trace.point: trace for trace in answer.traces if trace.program == "production"}
    for point, apart in answer.apart.items():
        place = f"production {point}"
        several = list(replicas.findings_of(apart))
        findings += [(place, finding) for finding in several]
        outside = next((finding for finding in several if not finding.inside), None)
        if outside and point in traces:
            said = _explain(reference, traces[point], loss, n_replicas, apart)
            departure = departure_at("production", point, outside)
            found.append(departure.model_copy(update={"fit": said}))
    return findings, [
        *found,
        *(_named(each, reference, answer, loss, n_replicas, traces) for each in departures),
    ]


def _named(
    departure: Departure,
    reference: Ground,
    answer: ArmAnswer,
    loss: Loss,
    n_replicas: int,
    traces: dict[str, Trace],
) -> Departure:
    """Return a departure with the fault that explains it, where one does."""
    point, said = departure.point, ""
    if departure.program == "production" and point in traces:
        apart = answer.apart.get(point, {})
        said = _explain(reference, traces[point], loss, n_replicas, apart)
    elif departure.program == "loop":
        epochs, right = reference.loops[point], reference.courses[point, loss]
        given = reference.spec, right, epochs, answer.loops[point], loss, n_replicas
        said = replicas.explain_loop(*given)
    parts = (each for each in (said, departure.fit) if each)
    return departure.model_copy(update={"fit": "; ".join(parts)})


def _explain(
    reference: Ground, trace: Trace, loss: Loss, n_replicas: int, apart: dict[str, float]
) -> str:
    gradients = {
        name.removeprefix(PREFIX): value
        for name, value in trace.quantities.items()
        if name.startswith(PREFIX)
    }
    given = reference.spec, reference.points[trace.point], gradients, loss, n_replicas, apart
    return replicas.explain(*given)
