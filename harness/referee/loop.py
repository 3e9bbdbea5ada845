"""Whole epochs in small.

The loop over batches, its short last one, another order in the next epoch, what is reported of
them.

One unit at its kink can move a few updates by some 5e-3, so this is held loosely; what one update
does is held tightly elsewhere. What a loop gets wrong shows here as a tenth and more: a batch
dropped, an order not followed, slots lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.referee import oracle
from harness.referee.fixtures import Point
from harness.referee.gates import Array, Finding, Measure, error
from harness.referee.oracle import Loss
from harness.referee.trace import displacement
from harness.spec.config import Spec

N_LOOP = 2.75  # batches of one epoch: two full ones and a short one
CAPS = {"loss": 1e-3, "accuracy": 0.0, "slot": 2e-2, "update": 2e-2}
NEAR = 2e-4  # of the two largest outputs: which of them is larger, rounding may decide


@dataclass(frozen=True, slots=True)
class Course:
    """What the referee makes of some epochs."""

    quantities: dict[str, Array]
    n_updates: int
    undecided: float  # the largest share of an epoch's samples whose class rounding may decide
    start: Point


def course(spec: Spec, point: Point, epochs: Sequence[tuple[Array, Array]], loss: Loss) -> Course:
    """Return the referee's training over epochs of samples from a point.

    It has each epoch's mean loss and accuracy as it reports them.

    Args:
        spec: what is trained.
        point: from where.
        epochs: x (n, inputs) and y (n,) of each epoch.
        loss: the form of cross-entropy.
    """
    state, losses, accuracies, undecided = point.trained(), [], [], 0.0
    for x, y in epochs:
        loss_sum, n_right, n_near = 0.0, 0, 0
        for begin in range(0, len(x), spec.batch_size):
            rows = slice(begin, begin + spec.batch_size)
            out = np.sort(oracle.outputs(spec, state.weights, x[rows]), axis=1)
            n_near += int(np.count_nonzero(out[:, -1] - out[:, -2] < NEAR))
            n_right += int(
                np.count_nonzero(
                    oracle.outputs(spec, state.weights, x[rows]).argmax(axis=1) == y[rows]
                )
            )
            state, mean = oracle.step(spec, state, x[rows], y[rows], loss)
            loss_sum += mean * len(x[rows])
        losses.append(loss_sum / len(x))
        accuracies.append(n_right / len(x))
        undecided = max(undecided, n_near / len(x))
    found = {"loss": np.array(losses), "accuracy": np.array(accuracies)}
    for name, slots in state.slots.items():
        found |= {
            f"slot/{name}/{kind}": slot
            for kind, slot in zip(oracle.slot_names(spec.optimizer), slots, strict=True)
        }
    found |= {
        f"update/{name}": weight - point.weights[name] for name, weight in state.weights.items()
    }
    return Course(found, state.n_updates, undecided, point)


def examine_loop(
    course: Course, found: Mapping[str, Array]
) -> tuple[Finding | None, tuple[Finding, ...]]:
    """Return the first finding on an arm's epochs that is outside its gate, and all findings.

    None where all are inside; there is a finding for each quantity.

    Args:
        course: the referee's.
        found: what the arm handed back, by name, of any shape.
    """
    received = {name: value for name, value in found.items() if name in course.quantities}
    received |= {
        f"update/{name}": displacement(found[f"weight/{name}"], weight)
        for name, weight in course.start.weights.items()
        if f"weight/{name}" in found
    }
    n_updates = int(found["n_updates"]) if "n_updates" in found else -1
    if n_updates != course.n_updates:
        said = f"expected {course.n_updates}; received {n_updates}"
        finding = Finding("n_updates", "exact", float("inf"), 0, 1, said)
        return finding, (finding,)
    findings = tuple(
        _finding(name, exact, received.get(name), course.undecided)
        for name, exact in course.quantities.items()
    )
    return next((finding for finding in findings if not finding.inside), None), findings


def _finding(name: str, exact: Array, received: Array | None, undecided: float) -> Finding:
    kind = name.partition("/")[0]
    gate = undecided + 1e-6 if kind == "accuracy" else CAPS[kind]
    measure: Measure = (
        "scaled" if kind == "loss" else "absolute" if kind == "accuracy" else "relative"
    )
    return compare(name, measure, exact, received, gate)


def compare(
    name: str, measure: Measure, exact: Array, received: Array | None, gate: float
) -> Finding:
    """Return the finding on a quantity of epochs.

    It holds its error, or what is wrong with it before it can have one.

    Args:
        name: of the quantity.
        measure: of its error.
        exact: the referee's.
        received: the arm's; None where it handed none back.
        gate: the most that the error may be.
    """
    if received is None or received.shape != exact.shape:
        said = (
            "missing"
            if received is None
            else f"expected shape {exact.shape}; received {received.shape}"
        )
        return Finding(name, "exact", float("inf"), 0.0, 0, said)
    if not np.isfinite(received).all():
        return Finding(
            name,
            "exact",
            float("inf"),
            0.0,
            0,
            f"{int(np.count_nonzero(~np.isfinite(received)))} elements are not finite",
        )
    return Finding(name, measure, error(measure, received, exact), gate, int(exact.size))
