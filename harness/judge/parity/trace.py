"""What a worker hands back of one update, made comparable with the referee's step; what cannot be compared is a fault by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.judge.parity import oracle
from harness.judge.parity.fixtures import Point
from harness.spec.config import Spec

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


def read(
    spec: Spec, point: Point, arm: str, program: str, found: Arrays, *, anew: bool = False
) -> Trace:
    """Return a worker's arrays as a trace.

    The bytes of weights and slots as they were set and read back, the count of updates and the
    learning rate are compared here, to the bit; everything else is left to the gates.
    """
    quantities: Arrays = {}
    faults = _set_as_given(point.weights if anew else {**point.weights, **point.slots}, found)
    n_updates = found.get("n_updates")
    if n_updates is None or int(n_updates) != point.n_updates + 1:
        faults.append(f"n_updates: expected {point.n_updates + 1}; received {n_updates}")
    rate = np.float32(spec.optimizer.learning_rate)
    if program == "instrumented" and np.float32(found.get("learning_rate", np.nan)) != rate:
        faults.append(f"learning_rate: expected {rate!r}; received {found.get('learning_rate')!r}")
    plain = {name: value for name, value in found.items() if not name.startswith("set/")}
    accuracy = plain.pop("accuracy", None)
    for name in ("n_updates", "learning_rate"):
        plain.pop(name, None)
    if "outputs" in plain:
        plain[output_of(spec)] = plain.pop("outputs")
    if "loss" in plain:
        plain["loss"] = plain["loss"].astype(
            np.float64
        )  # a mean that some report as a Python float
    for name in expected(spec, program):
        if name in plain:
            quantities[name] = plain.pop(name)
        elif name.startswith("update/") and f"weight/{name.removeprefix('update/')}" in found:
            weight = name.removeprefix("update/")
            quantities[name] = moved(found[f"weight/{weight}"], point.weights[weight])
    return Trace(
        arm,
        program,
        point.name,
        quantities | plain,
        tuple(faults),
        None if accuracy is None else float(accuracy),
        found,
    )


def moved(after: NDArray[Any], before: NDArray[Any]) -> NDArray[Any]:
    """Return by how much a weight has moved; one of another shape as it is, for the gate to name."""
    return after.astype(np.float64) - before if after.shape == before.shape else after


def output_of(spec: Spec) -> str:
    """Return the quantity that `predict` hands back."""
    last = spec.layers[-1]
    return f"{last.name}/{'z' if last.activation == 'linear' else 'a'}"


def expected(spec: Spec, program: str) -> tuple[str, ...]:
    """Return the quantities that a trace must hold, in the order of a step."""
    laid_open = [
        f"{layer.name}/{part}"
        for layer in spec.layers
        for part in ("z", "a")
        if (part, layer.activation) != ("a", "linear")
    ]
    forward = (
        [*laid_open, "losses", "loss"] if program == "instrumented" else [output_of(spec), "loss"]
    )
    backward = [
        f"gradient/{layer.name}/{part}"
        for layer in reversed(spec.layers)
        for part in ("kernel", "bias")
    ]
    weights = [f"{layer.name}/{part}" for layer in spec.layers for part in ("kernel", "bias")]
    slots = [
        f"slot/{weight}/{slot}" for weight in weights for slot in oracle.slot_names(spec.optimizer)
    ]
    updates = [f"{kind}/{weight}" for kind in ("update", "weight") for weight in weights]
    return (*forward, *backward, *slots, *updates)


def _set_as_given(
    state: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[Any]]
) -> list[str]:
    """Return a fault for each weight and slot that does not read back as the bytes that were set."""
    given = {f"set/{name}": value for name, value in state.items()}
    faults = [
        f"{name}: unexpected" for name in found if name.startswith("set/") and name not in given
    ]
    for name, value in given.items():
        received = found.get(name)
        if received is None:
            faults.append(f"{name}: missing")
        elif received.shape != value.shape or received.dtype != value.dtype:
            faults.append(
                f"{name}: expected {value.dtype} {value.shape}; received {received.dtype} {received.shape}"
            )
        elif received.tobytes() != value.tobytes():
            n_other = int(np.count_nonzero(received != value))
            faults.append(f"{name}: {n_other} of {value.size} elements do not read back as set")
    return faults
