"""Several backends' values of the same quantities, without a referee: who differs, and where first.

Two backends are held to a gate: E <= gate, where E is the Frobenius norm of their difference to
that of the quantity itself. With three backends or more the majority is right: those outside are
apart from each of its members. With two, or where each differs from each, somebody is wrong and
nothing says who.

`compare_backends` judges by that what cannot be computed in float64: the gate is 8 times what
rounding does to the quantity, as far as a backend's float64 has shown it, no less than 8u
(u = 2^-24), since an element-wise function may be a few units off in a framework's own
approximation of it, and never more than the quantity's cap. A quantity of which nobody knows what
rounding does is held to its cap.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.referee import locate
from harness.referee.oracle import UNIT
from harness.referee.quantities import kind_of, names_of, scales_of
from harness.spec.data.arrays import Arrays, distance

Values = Mapping[str, NDArray[Any] | None]
"""One quantity, by backend; None where it is missing."""
Errors = Mapping[tuple[str, str], float]
"""Of each pair of backends, the relative difference."""
TIMES = 8
CAPS = {
    "output": 1e-4,
    "training output": 1e-4,
    "loss": 1e-5,
    "gradient": 1e-3,
    "slot": 2e-3,
    "update": 1e-2,
    "weight": 1e-4,
}
State = Literal["agree", "depart", "no majority", "undecided", "not finite"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One quantity, as all backends have it."""

    quantity: str
    state: State
    error: float  # the largest between any two of those that agree; between any two, where none do
    gate: float
    n_compared: int
    apart: tuple[str, ...] = ()  # backends that depart or are not finite; all without a majority
    explanation: str = ""  # of a departure: from whom, by how much, how, where
    departure: float = 0.0  # of the first that departs, its distance from the farthest that agrees
    nearest: Mapping[str, float] = field(default_factory=dict)  # each backend's nearest other's

    @property
    def margin(self) -> float:
        """How many times the error would fit into the gate."""
        return self.gate / self.error if self.error else float("inf")

    @property
    def decisive(self) -> bool:
        """Whether an undecided value leaves all later quantities undecided.

        What follows from a gradient that is 0 except for rounding does not.
        """
        return kind_of(self.quantity) not in ("slot", "update", "weight")


def compare_backends(
    received: Mapping[str, Arrays], noise: Mapping[str, float], n_samples: int = 1
) -> tuple[Comparison, ...]:
    """Return a comparison of each quantity, in the order of a step.

    Args:
        received: by backend, quantities of any shape in that order: outputs of layers, loss,
            gradients, slots, updates, weights.
        noise: by quantity, what rounding makes of it, relative to its size.
        n_samples: of the batch; a sum where a mean is due is this many times as large.
    """
    names = names_of(received)
    scales = scales_of(received, names)
    found = []
    for name in names:
        values = {backend: arrays.get(name) for backend, arrays in received.items()}
        gate = gate_of(name, noise.get(name))
        found.append(compare_values(name, values, gate, gate, scales[name], n_samples))
    return tuple(found)


def gate_of(name: str, noise: float | None, unit: float = UNIT) -> float:
    """Return the gate of a quantity: a few times what rounding makes of it, at most its cap.

    Args:
        name: of the quantity.
        noise: relative to its size; None where nobody knows.
        unit: of the dtype: half a last digit.
    """
    cap = CAPS[kind_of(name)] * unit / UNIT
    return cap if noise is None else min(max(TIMES * noise, TIMES * unit), cap)


def compare_values(
    name: str,
    values: Values,
    gate: float,
    cap: float,
    scale: float,
    n_samples: int = 1,
) -> Comparison:
    """Return the comparison of one quantity.

    Args:
        name: of the quantity.
        values: of any shape, by backend.
        gate: the largest relative difference that rounding may make.
        cap: what the gate never exceeds.
        scale: the quantity's size.
        n_samples: of the batch.
    """
    n_compared = max(map(_size, values.values()), default=0)
    capped = min(gate, cap)
    bad = _not_finite(values)
    if bad:
        text, error = ", ".join(f"{backend}: {each}" for backend, each in bad.items()), float("inf")
        return Comparison(name, "not finite", error, capped, n_compared, tuple(bad), text)
    pairs = itertools.combinations(values, 2)
    errors = {(a, b): _error(values[a], values[b], scale) for a, b in pairs}
    together = _together(tuple(values), errors, capped)
    inside = [error for pair, error in errors.items() if set(pair) <= set(together)]
    comparison = Comparison(name, "agree", max(inside, default=0.0), capped, n_compared)
    comparison = replace(comparison, nearest=_nearest(values, errors))
    if len(together) == len(values):
        return comparison
    departing = [each for each in values if _is_apart(each, together, errors, gate)]
    if len(together) * 2 <= len(values) or not departing:
        return _undecided(comparison, values, errors, gate, n_samples)
    explanation = _explain(values, departing[0], together, errors, n_samples)
    departure = max(_errors_between(departing[0], together, errors))
    found = replace(comparison, state="depart", apart=tuple(departing), departure=departure)
    return replace(found, explanation=explanation)


def _nearest(values: Values, errors: Errors) -> dict[str, float]:
    """Return how far the nearest other backend is from each."""
    several = {name: [error for pair, error in errors.items() if name in pair] for name in values}
    return {name: min(each, default=0.0) for name, each in several.items()}


def _undecided(
    comparison: Comparison, values: Values, errors: Errors, gate: float, n_samples: int
) -> Comparison:
    """Return the comparison where no majority agrees: nobody can be told to be wrong."""
    (one, other), worst = max(errors.items(), key=lambda item: item[1])
    if worst <= gate:
        text = f"{one} and {other} are {worst:.2g} of its size apart, as rounding may do"
        return replace(comparison, state="undecided", error=worst, explanation=text)
    found = replace(comparison, state="no majority", error=worst, apart=tuple(values))
    text = _explain(values, other, (one,), errors, n_samples)
    return replace(found, explanation=f"{other}: {text}")


def _is_apart(backend: str, together: tuple[str, ...], errors: Errors, gate: float) -> bool:
    """Return whether a backend is beyond the gate of each member of a group."""
    between = _errors_between(backend, together, errors)
    return backend not in together and min(between) > gate


def _errors_between(backend: str, others: tuple[str, ...], errors: Errors) -> list[float]:
    pairs = [(other, backend) for other in others] + [(backend, other) for other in others]
    return [errors[pair] for pair in pairs if pair in errors]


def _together(backends: tuple[str, ...], errors: Errors, gate: float) -> tuple[str, ...]:
    """Return the largest group of backends within the gate of each other, the closest of them."""

    def spread(group: tuple[str, ...]) -> float:
        return max(errors[pair] for pair in itertools.combinations(group, 2))

    for size in range(len(backends), 1, -1):
        closest = min(itertools.combinations(backends, size), key=spread)
        if spread(closest) <= gate:
            return closest
    return backends[:1]


def _size(value: NDArray[Any] | None) -> int:
    return 0 if value is None else value.size


def _error(one: NDArray[Any] | None, other: NDArray[Any] | None, scale: float) -> float:
    return _ratio(distance(one, other) if one is not None or other is not None else 0.0, scale)


def _ratio(difference: float, scale: float) -> float:
    """Return difference / scale; where the scale is 0, 0 or infinity."""
    return difference / scale if scale else (0.0 if difference == 0 else float("inf"))


def _explain(
    values: Values, backend: str, together: tuple[str, ...], errors: Errors, n_samples: int
) -> str:
    """Return how one backend's value differs from the others'."""
    others = " and ".join(together)
    value, known = values[backend], [values[other] for other in together]
    present = [each for each in known if each is not None]
    if value is None:
        return f"missing, and there on {others}"
    if not present:
        return f"there, and missing on {others}"
    if value.shape != present[0].shape:
        return f"expected shape {present[0].shape}, as of {others}; received {value.shape}"
    exact = np.mean([each.astype(np.float64) for each in present], axis=0)
    received = value.astype(np.float64)
    error = max(_errors_between(backend, together, errors))
    fit = locate.describe_fit(received, exact, n_samples, n_samples)
    place = locate.describe_place(received - exact)
    size = f"{error:.2g} of its size away from {others}"
    return "; ".join(part for part in (size, fit, f"in {place}" if place else "") if part)


def _not_finite(values: Values) -> dict[str, str]:
    """Return by backend how many elements are not finite, where any are not."""
    found = {}
    for backend, value in values.items():
        n = 0 if value is None else int(np.count_nonzero(~np.isfinite(value)))
        if n:
            found[backend] = f"{n} of {_size(value)} elements are not finite"
    return found
