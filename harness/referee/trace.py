"""What a worker returns of one update, made comparable with the referee's step.

What cannot be compared is a fault, by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.referee import oracle
from harness.referee.fixtures import Point
from harness.spec.config import Dense, Spec

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Trace:
    """One update of one program of an arm, from one point."""

    arm: str  # "jax/keras"
    program: str  # "production", "instrumented"
    point: str
    quantities: Arrays  # as `step.trace_step` names them
    exact: tuple[str, ...] = ()  # faults among what must be equal to the bit
    accuracy: float | None = None
    raw: Arrays = field(default_factory=dict)


def read_trace(
    spec: Spec, point: Point, arm: str, program: str, found: Arrays, *, without_slots: bool = False
) -> Trace:
    """Return a worker's arrays as a trace.

    The bytes of weights and slots as they were set and read back, the count of updates and the
    learning rate are compared here, to the bit; everything else is left to the gates.

    Args:
        spec: what was trained.
        point: from where.
        arm: its name, "jax/keras".
        program: "production" or "instrumented".
        found: by name, of any shape and dtype: what the worker returned.
        without_slots: no slots were set: the arm's optimizer has its own.
    """
    given = point.weights if without_slots else {**point.weights, **point.slots}
    faults = _compare_bytes(given, found) + _compare_scalars(spec, point, program, found)
    quantities = _named_quantities(spec, point, found)
    wanted = [name for name in expected_quantities(spec, program) if name in quantities]
    ordered = {name: quantities[name] for name in dict.fromkeys([*wanted, *quantities])}
    accuracy = float(found["accuracy"]) if "accuracy" in found else None
    return Trace(arm, program, point.name, ordered, tuple(faults), accuracy, found)


def _named_quantities(spec: Spec, point: Point, found: Arrays) -> Arrays:
    """Return what the gates compare, as `step.trace_step` names it."""
    rest = {name for name in found if name.startswith("set/")}
    rest |= {"accuracy", "n_updates", "learning_rate"}
    plain = {name: value for name, value in found.items() if name not in rest}
    if "outputs" in plain:
        plain[output_of(spec)] = plain.pop("outputs")
    if "loss" in plain:  # a mean that some report as a Python float
        plain["loss"] = plain["loss"].astype(np.float64)
    for name, weight in point.weights.items():
        if f"update/{name}" not in plain and f"weight/{name}" in plain:
            plain[f"update/{name}"] = displacement(plain[f"weight/{name}"], weight)
    return plain


def displacement(after: NDArray[Any], before: NDArray[Any]) -> NDArray[Any]:
    """Return by how much a weight, of any shape, has moved, float64.

    A weight of another shape is returned as it is, for the gate to name.
    """
    return after.astype(np.float64) - before if after.shape == before.shape else after


def output_of(spec: Spec) -> str:
    """Return the quantity that `predict` hands back."""
    last = spec.layers[-1]
    return f"{last.name}/{'z' if last.activation == 'linear' else 'a'}"


def expected_quantities(spec: Spec, program: str) -> tuple[str, ...]:
    """Return the quantities that a trace must hold, in the order of a step."""
    weights, reverse = _weight_names(spec.layers), _weight_names(spec.layers[::-1])
    slots = [f"{weight}/{slot}" for weight in weights for slot in oracle.slot_names(spec.optimizer)]
    forward = [output_of(spec), "loss"]
    if program == "instrumented":
        outputs = [f"{layer.name}/{part}" for layer in spec.layers for part in _parts(layer)]
        forward = [*outputs, "losses", "loss"]
    kinds = ("gradient", reverse), ("slot", slots), ("update", weights), ("weight", weights)
    return (*forward, *(f"{kind}/{name}" for kind, names in kinds for name in names))


def _parts(layer: Dense) -> tuple[str, ...]:
    """Return what a trace holds of a layer: z, and a unless it is the same."""
    return ("z",) if layer.activation == "linear" else ("z", "a")


def _weight_names(layers: Sequence[Dense]) -> list[str]:
    return [f"{layer.name}/{part}" for layer in layers for part in ("kernel", "bias")]


def _compare_scalars(spec: Spec, point: Point, program: str, found: Arrays) -> list[str]:
    """Return a fault for a count of updates or a learning rate that is not as expected."""
    faults, n_updates = [], found.get("n_updates")
    if n_updates is None or int(n_updates) != point.n_updates + 1:
        faults.append(f"n_updates: expected {point.n_updates + 1}; received {n_updates}")
    rate, received = np.float32(spec.optimizer.learning_rate), found.get("learning_rate", np.nan)
    if program == "instrumented" and np.float32(received) != rate:
        faults.append(f"learning_rate: expected {rate!r}; received {found.get('learning_rate')!r}")
    return faults


def _compare_bytes(state: Mapping[str, NDArray[Any]], found: Arrays) -> list[str]:
    """Return a fault for each weight and slot that does not read back as the bytes set."""
    given = {f"set/{name}": value for name, value in state.items()}
    extra = [name for name in found if name.startswith("set/") and name not in given]
    faults = [f"{name}: unexpected" for name in extra]
    for name, value in given.items():
        received = found.get(name)
        if received is None:
            faults.append(f"{name}: missing")
        elif received.shape != value.shape or received.dtype != value.dtype:
            expected = f"expected {value.dtype} {value.shape}"
            faults.append(f"{name}: {expected}; received {received.dtype} {received.shape}")
        elif received.tobytes() != value.tobytes():
            n_other = int(np.count_nonzero(received != value))
            faults.append(f"{name}: {n_other} of {value.size} elements do not read back as set")
    return faults
