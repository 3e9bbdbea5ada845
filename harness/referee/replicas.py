"""What goes wrong where one model is trained on several devices: each common fault by name.

A fault is known by what it would compute. The gradient that an arm shows, or the weights after its
small epochs, are held against those of each fault, worked out by the referee.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from harness.referee import oracle
from harness.referee.fixtures import Point
from harness.referee.gates import Array, Finding
from harness.referee.loop import Course, course
from harness.referee.oracle import Loss
from harness.referee.trace import displacement
from harness.spec.config import Spec

NEAR = 0.05  # of the way from the right numbers to the received ones: the same fault
ALONE = "the gradient is that of replica {0}'s part of the batch alone"
NO_SUM = f"nothing is added up over the replicas: {ALONE}"
SAME_PART = f"every replica was given the same part of the batch: {ALONE}"
DROPPED = "the short batch was dropped"
APART = {
    "set": "the replicas begin at other weights or slots: what was set reached one of them only",
    "slot": "the optimizer of one replica is stale: its slots are others",
    "weight": "the replicas' weights part in one update",
}
"""What it means that the replicas' copies differ, by what of them does."""
Gradients = Mapping[str, Array]


def findings_of(apart: Mapping[str, float]) -> Iterator[Finding]:
    """Yield a finding for each kind of which the replicas' copies must be the same to the bit."""
    for kind, difference in apart.items():
        error = difference if np.isfinite(difference) else float("inf")
        yield Finding(f"replicas/{kind}", "absolute", error, 0.0, 1)


def explain(
    spec: Spec,
    point: Point,
    received: Gradients,
    loss: Loss,
    n_replicas: int,
    apart: Mapping[str, float],
) -> str:
    """Return which fault of training on several devices an update has; "" where it is none known.

    Args:
        spec: what is trained.
        point: from where, and its batch.
        received: gradients by weight, each of its weight's shape.
        loss: the form of cross-entropy.
        n_replicas: devices, each with a part of the batch.
        apart: by how much the replicas' copies differ, by kind.
    """
    if apart.get("set"):
        return APART["set"]
    differ = any(apart.values())
    found = nearest_fault(spec, point, received, loss, n_replicas)
    if found.isdigit():
        return (NO_SUM if differ else SAME_PART).format(found)
    if differ:
        return APART["slot" if apart.get("slot") else "weight"]
    return found


def nearest_fault(
    spec: Spec, point: Point, received: Gradients, loss: Loss, n_replicas: int
) -> str:
    """Return the fault whose gradient an update shows, a replica's number for its part alone.

    Args:
        spec: what is trained.
        point: from where, and its batch.
        received: gradients by weight, each of its weight's shape.
        loss: the form of cross-entropy.
        n_replicas: devices, each with a part of the batch.

    Returns:
        "" where the gradient is right, or none of those.
    """

    def gradient(x: Array, y: Array) -> Array:
        weights = point.trained().weights
        found = oracle.loss_and_gradients(spec, weights, x.astype(np.float64), y, loss)[1]
        return np.concatenate([found[name].ravel() for name in found])

    if set(received) != set(point.weights):
        return ""
    shown = np.concatenate([received[name].ravel() for name in point.weights]).astype(np.float64)
    if not shown.any() and len(point.y) < spec.batch_size:
        return DROPPED
    exact = gradient(point.x, point.y)
    known = {}
    for name, batches in _faults(spec, point, n_replicas).items():
        scale = n_replicas if name.startswith("the sum") else 1
        known[name] = scale * np.mean([gradient(*batch) for batch in batches], axis=0)
    distances = {name: float(np.linalg.norm(shown - value)) for name, value in known.items()}
    nearest = min(distances, key=distances.__getitem__)
    off = float(np.linalg.norm(shown - exact))
    return nearest if distances[nearest] < NEAR * off else ""


def _faults(spec: Spec, point: Point, n_replicas: int) -> dict[str, list[tuple[Array, Array]]]:
    """Return by name the batches, x (B, inputs) and y (B,), whose mean gradient each fault has."""
    x, y = point.x, point.y
    n, size = len(y), spec.batch_size
    found = {f"the sum over {n_replicas} replicas where their mean is due": [(x, y)]}
    for number, rows in enumerate(np.array_split(np.arange(n), n_replicas)):
        found[str(number)] = [(x[rows], y[rows])]
    parts = [
        np.arange(n)[begin : begin + size // n_replicas]
        for begin in range(0, n, size // n_replicas)
    ]
    if len({len(rows) for rows in parts}) > 1:
        sizes = " + ".join(str(len(rows)) for rows in parts)
        found[f"a mean of the means of unequal parts, {sizes} samples"] = [
            (x[rows], y[rows]) for rows in parts
        ]
    if n < size:
        where = f"the batch of {n} was filled up to {size} with"
        last, first = np.full(size - n, n - 1), np.arange(size - n) % n
        for name, rows in (("its last sample", last), ("its first samples", first)):
            found[f"{where} {name}, which count"] = [
                (np.concatenate([x, x[rows]]), np.concatenate([y, y[rows]]))
            ]
        blank = np.zeros((size - n, x.shape[1]), x.dtype), np.zeros(size - n, y.dtype)
        found[f"{where} zeros, which count"] = [
            (np.concatenate([x, blank[0]]), np.concatenate([y, blank[1]]))
        ]
    return found


def explain_loop(
    spec: Spec,
    right: Course,
    epochs: Sequence[tuple[Array, Array]],
    received: Mapping[str, Array],
    loss: Loss,
    n_replicas: int,
) -> str:
    """Return which fault of training on several devices small epochs have; "" where none known.

    Args:
        spec: what is trained.
        right: what the referee makes of them.
        epochs: x (n, inputs) and y (n,) of each.
        received: what the arm handed back, weights of any shape by "weight/NAME".
        loss: the form of cross-entropy.
        n_replicas: devices, each with a part of each batch.
    """
    whole, n_full = spec.batch_size * n_replicas, len(epochs[0][1]) // spec.batch_size
    grown = spec.model_copy(update={"batch_size": whole})
    cut = [(x[: n_full * spec.batch_size], y[: n_full * spec.batch_size]) for x, y in epochs]
    known = {
        f"each replica took a whole batch: the global batch has grown to {whole}": course(
            grown, right.start, epochs, loss
        ),
        DROPPED: course(spec, right.start, cut, loss),
    }
    shown = {
        name: displacement(received[f"weight/{name}"], weight)
        for name, weight in right.start.weights.items()
        if f"weight/{name}" in received
    }
    off = _distance(right, shown)
    near = {name: _distance(each, shown) for name, each in known.items()}
    nearest = min(near, key=near.__getitem__)
    return nearest if near[nearest] < 2 * NEAR * off else ""


def _distance(one: Course, shown: Mapping[str, Array]) -> float:
    """Return how far the way of some epochs is from that which an arm shows."""
    squares = [
        float(np.sum((one.quantities[f"update/{name}"] - shown[name]) ** 2)) for name in shown
    ]
    return float(np.sqrt(sum(squares))) if squares else float("inf")
