"""Where a step goes wrong: each quantity against the referee's, worked out from that implementation's own values before it.

An error made early shows in everything after it. Recomputed from its own upstream values, a later
quantity comes back inside its gate, and only the quantity that is itself wrong stays out: it is the
culprit, and what it explains is explained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.judge.parity import oracle
from harness.judge.parity.fixtures import Point
from harness.judge.parity.gates import Array, Finding, error
from harness.judge.parity.oracle import Loss
from harness.judge.parity.step import Step
from harness.judge.parity.trace import Trace
from harness.spec.config import Spec

SOME = 5  # rows or columns named in full


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
    likewise: tuple[
        str, ...
    ] = ()  # the same quantity of other weights or layers: none follows from another, all may have one cause
    unexplained: tuple[str, ...] = ()  # later ones that are none of this: a second fault


def culprit(
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
    faulty = [finding for finding in outside if finding.said]
    if faulty:
        first = faulty[0]
        return Culprit(first.quantity, first.measure, first.error, first.gate, first.said)
    own = from_own_values(spec, point, trace, loss)
    errors = [(finding, _of_its_own(finding, own, step, trace)) for finding in outside]
    guilty = [(finding, value) for finding, value in errors if value > finding.gate]
    explained = [finding.quantity for finding, value in errors if value <= finding.gate]
    if not guilty:  # each within its gate given the one before: errors that add up, none of them large by itself
        first = max(
            outside, key=lambda finding: finding.error / finding.gate if finding.gate else np.inf
        )
        return Culprit(
            first.quantity,
            first.measure,
            first.error,
            first.gate,
            "rounding that adds up over several quantities",
        )
    first, value = guilty[0]
    exact, received = (
        own.get(first.quantity, step.quantities[first.quantity]),
        trace.quantities[first.quantity],
    )
    later = [finding.quantity for finding, _ in guilty[1:] if finding.quantity != first.quantity]
    follows = [quantity for quantity in later if quantity not in own]
    likewise = [
        quantity
        for quantity in later
        if quantity in own and _kind(quantity) == _kind(first.quantity)
    ]
    return Culprit(
        first.quantity,
        first.measure,
        value,
        first.gate,
        fit(received.astype(np.float64), exact, len(point.x), spec.batch_size),
        where(received.astype(np.float64) - exact, first.gate * np.abs(exact)),
        tuple(
            dict.fromkeys(
                quantity for quantity in [*explained, *follows] if quantity != first.quantity
            )
        ),
        tuple(dict.fromkeys(likewise)),
        tuple(
            dict.fromkeys(quantity for quantity in later if quantity not in (*follows, *likewise))
        ),
    )


def _of_its_own(finding: Finding, own: Mapping[str, Array], step: Step, trace: Trace) -> float:
    """Return a finding's error given the values before it; the whole error, where the trace does not hold them."""
    base = own.get(finding.quantity)
    if base is None:
        return finding.error
    slack = step.slack.get(finding.quantity) if finding.quantity.startswith("gradient/") else None
    return error(finding.measure, trace.quantities[finding.quantity], base, slack)


def _kind(quantity: str) -> str:
    """Return what is the same in one layer or weight as in another: z, a, gradient, slot, update, weight."""
    first, _, last = quantity.partition("/")
    return last if last in ("z", "a") else first


def from_own_values(spec: Spec, point: Point, trace: Trace, loss: Loss) -> dict[str, Array]:
    """Return quantities in float64 from the trace's own values before them; only those whose upstream the trace holds."""
    seen = trace.quantities
    start = point.trained()
    found: dict[str, Array] = {}
    passed = [(point.x.astype(np.float64),) * 2]
    for layer in spec.layers:
        if f"{layer.name}/z" not in seen or (
            layer.activation != "linear" and f"{layer.name}/a" not in seen
        ):
            break
        z = seen[f"{layer.name}/z"].astype(np.float64)
        found[f"{layer.name}/z"] = (
            passed[-1][1] @ start.weights[f"{layer.name}/kernel"]
            + start.weights[f"{layer.name}/bias"]
        )
        found[f"{layer.name}/a"] = oracle.activate(layer.activation, z)
        passed.append(
            (z, seen[f"{layer.name}/a"].astype(np.float64) if layer.activation != "linear" else z)
        )
    if len(passed) == len(spec.layers) + 1:
        losses, flowing = oracle.losses_and_gradient(loss, *passed[-1], point.y)
        gradients, _ = oracle.backward(spec, start.weights, passed, flowing, kinks=False)
        found |= {"losses": losses} | {
            f"gradient/{name}": value for name, value in gradients.items()
        }
    if "losses" in seen:
        found["loss"] = np.asarray(seen["losses"].astype(np.float64).mean())
    for name, weight in start.weights.items():
        if f"gradient/{name}" in seen:
            gradient = seen[f"gradient/{name}"].astype(np.float64)
            new, slots = oracle.updated_weight(
                spec, weight, start.slots[name], gradient, point.n_updates + 1
            )
            found |= {
                f"slot/{name}/{kind}": slot
                for kind, slot in zip(oracle.slot_names(spec.optimizer), slots, strict=True)
            }
            found |= {f"update/{name}": new - weight, f"weight/{name}": new}
        if f"update/{name}" in seen:
            found[f"weight/{name}"] = weight + seen[f"update/{name}"]
    return found


def fit(received: Array, exact: Array, n_batch: int, batch_size: int) -> str:
    """Return what would make the exact array the received one: nothing there, a factor, a constant; "" where nothing does."""
    norm = float(np.linalg.norm(exact))
    if not np.any(received):
        return "zeros"
    if not norm:
        return "something, where nothing should be"
    scale = float(np.sum(received * exact)) / norm**2
    left = float(np.linalg.norm(received - scale * exact))
    whole = float(np.linalg.norm(received - exact))
    if left < 0.1 * whole and abs(scale) > 1e-6:
        known = {
            float(n_batch): f"a sum over {n_batch} where a mean is due",
            1 / n_batch: f"divided by {n_batch} once more",
            n_batch / batch_size: f"mean taken over {batch_size} instead of {n_batch}",
            2.0: "counted twice",
            -1.0: "of the other sign",
        }
        said = next(
            (
                words
                for value, words in known.items()
                if value != 1 and abs(scale / value - 1) < 1e-3
            ),
            "",
        )
        return f"scale {scale:.6g}" + (f": {said}" if said else "")
    shift = float(np.mean(received - exact))
    if float(np.linalg.norm(received - exact - shift)) < 0.1 * whole:
        return f"shifted by {shift:.3g}"
    return ""


def where(difference: Array, allowed: Array) -> str:
    """Return which rows or columns hold the difference, where they are few; "" where it is everywhere."""
    if difference.ndim == 0 or not np.any(difference):
        return ""
    energy = difference**2
    named = []
    for axis, name in (
        (difference.ndim - 1, "columns" if difference.ndim == 2 else "elements"),
        (0, "rows"),
    ):
        if name == "rows" and difference.ndim < 2:
            continue
        along = energy.sum(axis=tuple(other for other in range(difference.ndim) if other != axis))
        order = np.argsort(along)[::-1]
        held = np.cumsum(along[order]) / along.sum()
        n = int(np.searchsorted(held, 0.99)) + 1
        if n <= max(1, len(along) // 10):
            some = ", ".join(map(str, sorted(order[:n].tolist())[:SOME]))
            named.append(
                f"{name if n > 1 else name[:-1]} {some}{f' and {n - SOME} more' if n > SOME else ''} of {len(along)}"
            )
    return "; ".join(named)


def alike(one: Mapping[str, Array], other: Mapping[str, Array], quantity: str, gate: float) -> bool:
    """Say whether two traces have the same value of a quantity: then the referee is the odd one out."""
    both = one.get(quantity), other.get(quantity)
    return (
        both[0] is not None
        and both[1] is not None
        and error("relative", both[0], both[1].astype(np.float64)) <= gate
    )
