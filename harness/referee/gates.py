"""How far each quantity may lie from the referee's, and whether a trace stays inside.

A gate is six times the noise that float32 makes at that very point, and at least 2u, u = 2^-24: the
largest error of the referee's float32 twins, or what twins on real backends show, and that never
beyond a quantity's cap, so that tolerances cannot creep. Six, since another draw of the same noise
was seen up to 1.8 times as large (450 null comparisons): with four times the floor the least margin
was 2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.referee.oracle import UNIT
from harness.referee.step import Step
from harness.spec.config import Adam, Spec

Array = NDArray[Any]
Quantities = Mapping[str, Array]
FACTOR = 6
SLACKENED = ("gradient", "slot", "update", "weight")
Measure = Literal["relative", "column", "scale", "absolute", "scaled", "exact"]


@dataclass(frozen=True, slots=True)
class Check:
    """One measure of a quantity's error, and the most that it may ever be."""

    measure: Measure
    cap: float
    # Of the gate, in units of UNIT; of one number, a handful of runs may all round alike, and tell
    # no floor.
    least: float = 2


CHECKS: dict[str, tuple[Check, ...]] = {
    "z": (Check("relative", 2e-6),),
    "a": (Check("relative", 2e-6),),
    "probabilities": (Check("absolute", 1e-5),),
    "losses": (Check("scaled", 2e-5),),
    "loss": (Check("scaled", 1e-6, least=8),),
    "gradient": (Check("relative", 1e-5), Check("column", 2.5e-5), Check("scale", 4e-6, least=8)),
    "slot": (Check("relative", 1e-5), Check("scale", 4e-6, least=8)),
    "update": (Check("relative", 2e-5), Check("scale", 2e-6, least=8)),
    "weight": (Check("absolute", 2e-6),),
}


def kind_of(spec: Spec, quantity: str) -> str:
    """Return which of CHECKS a quantity has.

    The last softmax's output has probabilities', other layers' z and a.
    """
    first, _, last = quantity.partition("/")
    if quantity in CHECKS or first in SLACKENED:
        return first
    return (
        "probabilities"
        if last == "a" and first == spec.layers[-1].name and spec.layers[-1].activation == "softmax"
        else last
    )


def error(measure: Measure, received: Array, exact: Array, slack: Array | None = None) -> float:
    """Return how far an array lies from the exact one.

    Args:
        measure: "relative", the Frobenius norm of the difference to that of the exact array;
            "column", the same for the worst column, to the largest column's norm where the exact
            one is next to nothing; "scale", how far the best single factor between them is from 1;
            "absolute", the largest difference; "scaled", the largest difference to max(1, |exact|).
        received: any shape.
        exact: the same shape, float64.
        slack: by how much each element's difference counts less.

    Returns:
        Infinity where the exact array is zeros and the received one is not.
    """
    difference = received.astype(np.float64) - exact
    if slack is not None:
        difference = np.sign(difference) * np.maximum(np.abs(difference) - slack, 0)
    return MEASURES[measure](difference, np.asarray(exact, np.float64))


def _relative(difference: Array, exact: Array) -> float:
    return _ratio(float(np.linalg.norm(difference)), float(np.linalg.norm(exact)))


def _column(difference: Array, exact: Array) -> float:
    if exact.ndim < 2:
        return _relative(difference, exact)
    lengths = np.linalg.norm(exact, axis=0)
    # Of a column that is next to nothing, rounding is not: its terms cancelled.
    floor = 0.1 * float(lengths.max(initial=0))
    errors = np.linalg.norm(difference, axis=0)
    return max(
        (
            _ratio(float(one), max(float(length), floor))
            for one, length in zip(errors, lengths, strict=True)
        ),
        default=0.0,
    )


def _scale(difference: Array, exact: Array) -> float:
    return _ratio(abs(float(np.sum(difference * exact))), float(np.sum(exact * exact)))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else (0.0 if part == 0 else float("inf"))


MEASURES: dict[str, Callable[[Array, Array], float]] = {
    "relative": _relative,
    "column": _column,
    "scale": _scale,
    "absolute": lambda difference, exact: float(np.abs(difference).max(initial=0)),
    "scaled": lambda difference, exact: float(
        (np.abs(difference) / np.maximum(1, np.abs(exact))).max(initial=0)
    ),
    "exact": lambda difference, exact: float(np.count_nonzero(difference)),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One measure of one quantity against its gate."""

    quantity: str
    measure: Measure
    error: float
    gate: float
    n_compared: int
    # Where something else than a number is wrong: missing, not finite, of another shape.
    said: str = ""
    floor: float | None = None  # the noise that the gate was made from; None where there is none

    @property
    def inside(self) -> bool:
        """Whether it is within its gate; what cannot be measured is not."""
        return not self.said and self.error <= self.gate

    @property
    def margin(self) -> float:
        """How many times the error would fit into the gate; infinite where there is none."""
        return self.gate / self.error if self.error else float("inf")


Floors = Mapping[tuple[str, str], float]
"""Noise floor by quantity and measure."""


def floors_of(
    spec: Spec, reference: Quantities, others: Sequence[Quantities], slack: Quantities
) -> dict[tuple[str, str], float]:
    """Return the largest error of several float32 runs of the same mathematics.

    It is given by quantity and measure.

    Args:
        spec: what was trained.
        reference: the exact quantities, float64, of any shape.
        others: those of each run; one that a run lacks is left out.
        slack: by how much each element's difference counts less.
    """
    found: dict[tuple[str, str], float] = {}
    for quantity, exact in reference.items():
        for check in CHECKS[kind_of(spec, quantity)]:
            errors = [
                error(check.measure, other[quantity], exact, slack.get(quantity))
                for other in others
                if quantity in other
            ]
            found[quantity, check.measure] = max(errors, default=0.0)
    return found


def examine(
    spec: Spec,
    step: Step,
    received: Quantities,
    floors: Floors,
    expected: tuple[str, ...],
    noise: Floors = MappingProxyType({}),
) -> tuple[Finding, ...]:
    """Return one finding for each measure of each quantity that a trace must hold.

    In the order of a step.

    Args:
        spec: what was trained.
        step: the referee's, from the same point.
        received: the trace, float32.
        floors: see `floors_of`.
        expected: the quantities that this trace must hold; one that is missing, or that it holds
            besides, is a finding.
        noise: the same from twins on real backends, which might share a defect: counts up to a
            quantity's cap only.
    """
    found: list[Finding] = []
    for quantity in expected:
        exact = step.quantities[quantity]
        fault = _fault(quantity, received.get(quantity), exact)
        if fault:
            found.append(Finding(quantity, "exact", float("inf"), 0.0, 0, fault))
            continue
        for check in CHECKS[kind_of(spec, quantity)]:
            value = error(check.measure, received[quantity], exact, step.slack.get(quantity))
            gate = _gate(spec, step, quantity, check, floors, noise)
            floor = max(known.get((quantity, check.measure), 0.0) for known in (floors, noise))
            found.append(Finding(quantity, check.measure, value, gate, exact.size, floor=floor))
    besides = [quantity for quantity in received if quantity not in expected]
    said = f"unexpected: expected only {', '.join(expected)}"
    return (
        *found,
        *(Finding(quantity, "exact", float("inf"), 0.0, 0, said) for quantity in besides),
    )


def _gate(
    spec: Spec, step: Step, quantity: str, check: Check, floors: Floors, noise: Floors
) -> float:
    """Return how far a quantity may lie from the referee's by one measure."""
    key = quantity, check.measure
    of_float32 = max(FACTOR * floors.get(key, 0.0), _of_update(spec, check.measure, quantity, step))
    if check.measure == "scale":
        # One number, near 0 by luck where few samples make the gradient; never more than
        # "relative".
        of_float32 = max(of_float32, floors.get((quantity, "relative"), 0.0))
    of_backends = min(FACTOR * noise.get(key, 0.0), check.cap)
    return max(check.least * UNIT, of_float32, of_backends)


def _of_update(spec: Spec, measure: Measure, quantity: str, step: Step) -> float:
    """Return what float32 itself costs an update, however well it is worked out.

    The new weight is rounded: under SGD, whose updates are small beside it, that is most of their
    error. And Adam's correction takes 1 - beta^t of a rounded power, which near 1 leaves few
    digits: 3e-6 at t = 3.
    """
    kind, _, name = quantity.partition("/")
    if kind != "update":
        return 0.0
    update, weight = step.quantities[quantity], step.quantities[f"weight/{name}"]
    if measure == "scale":  # roundings are of either sign, and add up as the root of their number
        stored = _ratio(
            4 * UNIT * float(np.linalg.norm(weight * update)), float(np.sum(update * update))
        )
    else:
        stored = _ratio(UNIT * float(np.linalg.norm(weight)), float(np.linalg.norm(update)))
    if not isinstance(spec.optimizer, Adam) or step.after.n_updates == 1:  # whose powers are exact
        return stored
    of_1, of_2 = (
        beta**step.after.n_updates for beta in (spec.optimizer.beta_1, spec.optimizer.beta_2)
    )
    return stored + 2 * UNIT * (of_1 / (1 - of_1) + of_2 / (1 - of_2) / 2)


def _fault(quantity: str, received: Array | None, exact: Array) -> str:
    """Say what is wrong with an array before its numbers can be.

    Absent, another shape or dtype, not finite.
    """
    if received is None:
        return "missing from the trace"
    if received.shape != exact.shape:
        return f"expected shape {exact.shape}; received {received.shape}"
    # A Python float; a difference of weights.
    worked_out = quantity == "loss" or quantity.startswith("update/")
    if received.dtype != (np.float64 if worked_out else np.float32):
        return f"expected {'float64' if worked_out else 'float32'}; received {received.dtype}"
    n_bad = int(np.count_nonzero(~np.isfinite(received)))
    if n_bad:
        return f"{n_bad} of {received.size} elements are not finite"
    return "" if np.isfinite(exact).all() else "the referee's own value is not finite"
