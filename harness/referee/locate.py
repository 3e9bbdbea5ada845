"""Where a step goes wrong: each quantity recomputed from the implementation's own values before it.

An error made early shows in everything after it. Recomputed from its own upstream values, a later
quantity comes back inside its gate, and only the quantity that is itself wrong stays out: it is the
culprit, and explains the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from harness.referee import oracle
from harness.referee.fixtures import Point
from harness.referee.gates import Array, Finding, error
from harness.referee.oracle import Loss
from harness.referee.step import Step
from harness.referee.trace import Trace
from harness.spec.config import Spec

N_NAMED = 5  # rows or columns that are named


@dataclass(frozen=True, slots=True)
class Culprit:
    """The first quantity of a step that is wrong in itself."""

    quantity: str
    measure: str
    error: float  # of its own making
    gate: float
    fit: str  # what would explain it
    where: str = ""  # in which rows or columns, where it is not everywhere
    explained: tuple[str, ...] = ()  # later departures that follow from it
    likewise: tuple[str, ...] = ()  # the same quantity of other weights: all may have one cause
    unexplained: tuple[str, ...] = ()  # other later departures: a second fault


def find_culprit(
    spec: Spec, point: Point, step: Step, trace: Trace, findings: tuple[Finding, ...], loss: Loss
) -> Culprit | None:
    """Return the first quantity that departs by its own making; None where nothing departs.

    Args:
        spec: what was trained.
        point: from where.
        step: the referee's.
        trace: the implementation's.
        findings: of the trace, in the order of a step.
        loss: the form of cross-entropy that is documented for this implementation.
    """
    outside = [finding for finding in findings if not finding.inside]
    if not outside:
        return None
    unmeasured = next((finding for finding in outside if finding.said), None)
    if unmeasured:
        return _culprit(unmeasured, unmeasured.said)
    own = recompute(spec, point, trace, loss)
    errors = [(finding, _own_error(finding, own, step, trace)) for finding in outside]
    guilty = [(finding, value) for finding, value in errors if value > finding.gate]
    if not guilty:  # each is within its gate given the values before it
        worst = max(outside, key=_excess)
        return _culprit(worst, "rounding that adds up over several quantities")
    first, value = guilty[0]
    exact = own.get(first.quantity, step.quantities[first.quantity])
    received = trace.quantities[first.quantity].astype(np.float64)
    fit = describe_fit(received, exact, len(point.x), spec.batch_size)
    found = replace(_culprit(first, fit), error=value, where=describe_place(received - exact))
    return _with_later(found, errors, own)


def _excess(finding: Finding) -> float:
    return finding.error / finding.gate if finding.gate else float("inf")


def _culprit(finding: Finding, fit: str) -> Culprit:
    return Culprit(finding.quantity, finding.measure, finding.error, finding.gate, fit)


def _with_later(
    first: Culprit, errors: Iterable[tuple[Finding, float]], own: Mapping[str, Array]
) -> Culprit:
    """Return the culprit with the other departures: those it explains, its likes, and the rest."""
    groups: dict[str, list[str]] = {"within": [], "follows": [], "likewise": [], "rest": []}
    for finding, value in errors:
        groups[_relation(first, finding, value, own)].append(finding.quantity)
    return replace(
        first,
        explained=_without(first.quantity, groups["within"] + groups["follows"]),
        likewise=_without(first.quantity, groups["likewise"]),
        unexplained=_without(first.quantity, groups["rest"]),
    )


def _relation(first: Culprit, finding: Finding, value: float, own: Mapping[str, Array]) -> str:
    """Return how a departure is related to the first one, given its error of its own making."""
    if value <= finding.gate:
        return "within"
    if finding.quantity not in own:
        return "follows"
    return "likewise" if _kind(finding.quantity) == _kind(first.quantity) else "rest"


def _without(first: str, quantities: Iterable[str]) -> tuple[str, ...]:
    """Return the quantities in their order, each once, except the first one."""
    return tuple(quantity for quantity in dict.fromkeys(quantities) if quantity != first)


def _own_error(finding: Finding, own: Mapping[str, Array], step: Step, trace: Trace) -> float:
    """Return a finding's error given the values before it, or all of it where they are missing."""
    base = own.get(finding.quantity)
    if base is None:
        return finding.error
    slack = step.slack.get(finding.quantity) if finding.quantity.startswith("gradient/") else None
    return error(finding.measure, trace.quantities[finding.quantity], base, slack)


def _kind(quantity: str) -> str:
    """Return which quantity it is, of any layer or weight: z, a, gradient, slot, update, weight."""
    first, _, last = quantity.partition("/")
    return last if last in ("z", "a") else first


def recompute(spec: Spec, point: Point, trace: Trace, loss: Loss) -> dict[str, Array]:
    """Return quantities in float64 from the trace's own values before them.

    Args:
        spec: what was trained.
        point: from where.
        trace: the implementation's; a quantity is left out where it lacks the values before it.
        loss: the form of cross-entropy that is documented for this implementation.

    Returns:
        By name, as `harness.referee.step.trace_step` names them: float64, of any shape.
    """
    weights, layers = point.trained().weights, _own_layers(spec, point, trace)
    found: dict[str, Array] = {}
    for layer, (_, inputs), (z, _) in zip(spec.layers, layers[:-1], layers[1:], strict=False):
        kernel, bias = weights[f"{layer.name}/kernel"], weights[f"{layer.name}/bias"]
        found[f"{layer.name}/z"] = inputs @ kernel + bias
        found[f"{layer.name}/a"] = oracle.activate(layer.activation, z)
    if len(layers) == len(spec.layers) + 1:
        found["losses"], gradient = oracle.losses_and_gradient(loss, *layers[-1], point.y)
        gradients, _ = oracle.backward(spec, weights, layers, gradient, kinks=False)
        found |= {f"gradient/{name}": value for name, value in gradients.items()}
    if "losses" in trace.quantities:
        found["loss"] = np.asarray(trace.quantities["losses"].astype(np.float64).mean())
    return found | _own_updates(spec, point, trace)


def _own_layers(spec: Spec, point: Point, trace: Trace) -> list[tuple[Array, Array]]:
    """Return the trace's z and a of each layer, (B, units), up to the first that it lacks.

    In front of them are the inputs, as both.
    """
    inputs = point.x.astype(np.float64)
    layers = [(inputs, inputs)]
    for layer in spec.layers:
        after = "z" if layer.activation == "linear" else "a"
        z, a = (trace.quantities.get(f"{layer.name}/{part}") for part in ("z", after))
        if z is None or a is None:
            break
        layers.append((z.astype(np.float64), a.astype(np.float64)))
    return layers


def _own_updates(spec: Spec, point: Point, trace: Trace) -> dict[str, Array]:
    """Return slots, updates and weights from the trace's own gradients and updates."""
    seen, start, found = trace.quantities, point.trained(), dict[str, Array]()
    for name, weight in start.weights.items():
        if f"gradient/{name}" in seen:
            gradient, slots = seen[f"gradient/{name}"].astype(np.float64), start.slots[name]
            new, slots = oracle.updated_weight(spec, weight, slots, gradient, point.n_updates + 1)
            names = [f"slot/{name}/{slot}" for slot in oracle.slot_names(spec.optimizer)]
            found |= dict(zip(names, slots, strict=True))
            found |= {f"update/{name}": new - weight, f"weight/{name}": new}
        if f"update/{name}" in seen:
            found[f"weight/{name}"] = weight + seen[f"update/{name}"]
    return found


def describe_fit(received: Array, exact: Array, n_batch: int, batch_size: int) -> str:
    """Return what would make the exact array the received one, "" where nothing simple does.

    Args:
        received: of any shape, float64.
        exact: of that shape, float64.
        n_batch: samples of this batch.
        batch_size: samples of a full batch.
    """
    norm = float(np.linalg.norm(exact))
    if not np.any(received):
        return "zeros"
    if not norm:
        return "something, where nothing should be"
    scale = float(np.sum(received * exact)) / norm**2
    difference = float(np.linalg.norm(received - exact))
    if float(np.linalg.norm(received - scale * exact)) < 0.1 * difference and abs(scale) > 1e-6:
        return f"scale {scale:.6g}{_explain_scale(scale, n_batch, batch_size)}"
    shift = float(np.mean(received - exact))
    if float(np.linalg.norm(received - exact - shift)) < 0.1 * difference:
        return f"shifted by {shift:.3g}"
    return ""


def _explain_scale(scale: float, n_batch: int, batch_size: int) -> str:
    """Return ": " and what commonly gives that scale; "" where nothing does."""
    known = {
        float(n_batch): f"a sum over {n_batch} where a mean is due",
        1 / n_batch: f"divided by {n_batch} once more",
        n_batch / batch_size: f"mean taken over {batch_size} instead of {n_batch}",
        2.0: "counted twice",
        -1.0: "of the other sign",
    }
    near = (value for value in known if value != 1 and abs(scale / value - 1) < 1e-3)
    return next((f": {known[value]}" for value in near), "")


def describe_place(difference: Array) -> str:
    """Return which rows or columns hold a difference (of any shape), if they are few; else ""."""
    if difference.ndim == 0 or not np.any(difference):
        return ""
    last = difference.ndim - 1
    axes = [(last, "columns" if last == 1 else "elements"), *([(0, "rows")] if last else [])]
    places = (_describe_axis(difference**2, axis, name) for axis, name in axes)
    return "; ".join(place for place in places if place)


def _describe_axis(energy: Array, axis: int, name: str) -> str:
    """Return which few places along an axis hold nearly all of the energy; else ""."""
    along = energy.sum(axis=tuple(other for other in range(energy.ndim) if other != axis))
    order = np.argsort(along)[::-1]
    n = int(np.searchsorted(np.cumsum(along[order]) / along.sum(), 0.99)) + 1
    if n > max(1, len(along) // 10):
        return ""
    named = ", ".join(map(str, sorted(order[:n].tolist())[:N_NAMED]))
    more = f" and {n - N_NAMED} more" if n > N_NAMED else ""
    return f"{name if n > 1 else name[:-1]} {named}{more} of {len(along)}"


def agree(one: Mapping[str, Array], other: Mapping[str, Array], quantity: str, gate: float) -> bool:
    """Return whether two traces have the same value of a quantity: then the referee is wrong.

    Args:
        one: quantities by name, floats of any shape.
        other: those of another implementation.
        quantity: which to compare.
        gate: the largest relative difference, of Frobenius norms.
    """
    if quantity not in one or quantity not in other:
        return False
    return error("relative", one[quantity], other[quantity].astype(np.float64)) <= gate
