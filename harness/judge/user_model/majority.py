"""Several backends' values of the same quantities, without a referee: who is apart from the others, from which quantity on.

Two backends are held to a gate: E <= max(8 floor, 8u), where E is the Frobenius norm of their
difference to that of the quantity itself, floor is the largest E that a twin of either showed (see
`harness.worker.user_model`), and u = 2^-24. An element-wise function may be a few units off in a
framework's own approximation of it, which no twin of its own shows: hence 8u. A gate never exceeds
its quantity's cap. Where rounding alone goes beyond the cap, two values within what it may do are
*undecided*: neither agreement nor departure can be told from them.

With three backends or more the majority is right: those outside are apart from each of its members.
With two, or where each differs from each, somebody is wrong and nothing says who.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.inputs.arrays import distance
from harness.judge.parity import locate
from harness.judge.parity.oracle import UNIT

Arrays = Mapping[str, NDArray[Any]]
Floors = Mapping[str, float]
TIMES, FEW = 8, 8 * UNIT
SMALL = 1e-3  # of all gradients' norm together: below it, a gradient is held to that, since its own may be rounding alone
CAPS = {
    "output": 1e-4,
    "training output": 1e-4,
    "loss": 1e-5,
    "gradient": 1e-3,
    "slot": 2e-3,
    "update": 1e-2,
    "weight": 1e-4,
}
STEP = ("gradient", "slot", "update", "weight")
State = Literal["agree", "depart", "no majority", "undecided", "not finite"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One quantity, as all backends have it."""

    quantity: str
    state: State
    error: float  # the largest between any two of those that agree; between any two, where none do
    gate: float
    n_compared: int
    apart: tuple[
        str, ...
    ] = ()  # backends that depart, or are not finite; all of them where there is no majority
    said: str = ""  # of one that departs: from whom, by how much, how, where

    @property
    def margin(self) -> float:
        """How many times the error would fit into the gate."""
        return self.gate / self.error if self.error else float("inf")

    @property
    def decisive(self) -> bool:
        """Whether an undecided value leaves the whole question open; what follows from a gradient that is 0 but for rounding does not."""
        return kind_of(self.quantity) not in ("slot", "update", "weight")


def judged(
    heard: Mapping[str, Arrays], floors: Mapping[str, Floors], n_samples: int = 1
) -> tuple[Finding, ...]:
    """Return a finding for each quantity, in the order of a step.

    Args:
        heard: by backend, quantities in that order: outputs of layers, loss, gradients, slots,
            updates, weights; those of the production program, "production loss" and so on, after
            them.
        floors: by backend and quantity, how far a twin came to lie, as a Frobenius norm.
        n_samples: of the batch; a sum where a mean is due is this many times as large.
    """
    names = list(dict.fromkeys(name for arrays in heard.values() for name in arrays))
    scales = _scales(heard, names)
    found = []
    for name in names:
        floor = max((of.get(_measured(name), 0.0) for of in floors.values()), default=0.0)
        if (
            kind_of(name) == "update"
        ):  # it is read off two weights, each rounded, on TensorFlow once for each use of an embedding's row
            floor = max(
                floor,
                UNIT * statistics.median(_norms(heard, f"weight/{name.removeprefix('update/')}")),
            )
        found.append(
            _finding(
                name,
                {backend: arrays.get(name) for backend, arrays in heard.items()},
                floor,
                scales[name],
                n_samples,
            )
        )
    return tuple(found)


def mixes_samples(heard: Mapping[str, Arrays], kinds: Mapping[str, Mapping[str, Floors]]) -> bool:
    """Say whether on every backend some output goes with the order of the samples, far beyond what rounding could do to it."""
    names = list(
        dict.fromkeys(
            name for arrays in heard.values() for name in arrays if kind_of(name) == "output"
        )
    )
    scales = _scales(heard, names)
    moved = [
        [of["sample"].get(name, 0.0) > CAPS["output"] * scales[name] for name in names]
        for of in kinds.values()
        if "sample" in of
    ]
    return bool(moved) and all(any(each) for each in moved)


def largest(kinds: Mapping[str, Floors]) -> dict[str, float]:
    """Return each quantity's floor: the largest of all kinds of twin."""
    found: dict[str, float] = {}
    for of in kinds.values():
        found |= {name: max(floor, found.get(name, 0.0)) for name, floor in of.items()}
    return found


def programs_apart(backend: str, arrays: Arrays, floors: Floors) -> tuple[Finding, ...]:
    """Return a finding for each quantity in which a backend's production program departs from the one laid open there."""
    names = [name for name in arrays if name.startswith("production ")]
    both = {"production": {_measured(name): arrays[name] for name in names}, "laid open": arrays}
    scales = _scales(both, [_measured(name) for name in names])
    found = []
    for name in map(_measured, names):
        values = {program: of.get(name) for program, of in both.items()}
        one = _finding(name, values, floors.get(name, 0.0), scales[name])
        if one.state in ("no majority", "not finite"):
            said = f"the model as it was compiled computes something else than the same model laid open: {one.said}"
            found.append(
                Finding(
                    f"production {name}",
                    "depart",
                    one.error,
                    one.gate,
                    one.n_compared,
                    (backend,),
                    said,
                )
            )
    return tuple(found)


def kind_of(quantity: str) -> str:
    """Return which of CAPS a quantity has."""
    return _measured(quantity).partition("/")[0]


def _measured(quantity: str) -> str:
    """Return the quantity of the eager program, whose twins have shown its floor."""
    return quantity.removeprefix("production ")


def _finding(
    name: str,
    values: Mapping[str, NDArray[Any] | None],
    floor: float,
    scale: float,
    n_samples: int = 1,
) -> Finding:
    n_compared = max((value.size for value in values.values() if value is not None), default=0)
    relative = floor / scale if scale else (0.0 if floor == 0 else float("inf"))
    gate, cap = max(TIMES * relative, FEW), CAPS[kind_of(name)]
    bad = tuple(
        backend
        for backend, value in values.items()
        if value is not None and not np.isfinite(value).all()
    )
    if bad:
        return Finding(
            name,
            "not finite",
            float("inf"),
            min(gate, cap),
            n_compared,
            bad,
            _not_finite(values, bad),
        )
    errors = {
        pair: _error(values[pair[0]], values[pair[1]], scale)
        for pair in itertools.combinations(values, 2)
    }

    def finding(state: State, error: float, apart: tuple[str, ...] = (), said: str = "") -> Finding:
        return Finding(name, state, error, min(gate, cap), n_compared, apart, said)

    together = _together(tuple(values), errors, min(gate, cap))
    inside = max(
        (error for pair, error in errors.items() if set(pair) <= set(together)), default=0.0
    )
    if len(together) == len(values):
        return finding("agree", inside)
    others = [backend for backend in values if backend not in together]
    departing = tuple(
        backend
        for backend in others
        if all(error > gate for pair, error in errors.items() if _between(pair, backend, together))
    )
    if len(together) * 2 > len(values) and departing:
        return finding(
            "depart", inside, departing, _how(values, departing[0], together, errors, n_samples)
        )
    worst = max(errors, key=lambda pair: errors[pair])
    if errors[worst] <= gate:
        said = f"rounding alone moves it by {relative:.2g} of its size; {worst[0]} and {worst[1]} are {errors[worst]:.2g} apart"
        return finding("undecided", errors[worst], (), said)
    said = f"{worst[1]}: {_how(values, worst[1], (worst[0],), errors, n_samples)}"
    return finding("no majority", errors[worst], tuple(values), said)


def _between(pair: tuple[str, str], backend: str, together: tuple[str, ...]) -> bool:
    return backend in pair and any(other in together for other in pair)


def _together(
    backends: tuple[str, ...], errors: Mapping[tuple[str, str], float], gate: float
) -> tuple[str, ...]:
    """Return the largest group of backends that are all within the gate of each other; of several the closest."""
    for size in range(len(backends), 1, -1):
        groups = [
            group
            for group in itertools.combinations(backends, size)
            if all(errors[pair] <= gate for pair in itertools.combinations(group, 2))
        ]
        if groups:
            return min(
                groups,
                key=lambda group: max(errors[pair] for pair in itertools.combinations(group, 2)),
            )
    return backends[:1]


def _error(one: NDArray[Any] | None, other: NDArray[Any] | None, scale: float) -> float:
    difference = distance(one, other) if one is not None or other is not None else 0.0
    return difference / scale if scale else (0.0 if difference == 0 else float("inf"))


def _how(
    values: Mapping[str, NDArray[Any] | None],
    backend: str,
    together: tuple[str, ...],
    errors: Mapping[tuple[str, str], float],
    n_samples: int,
) -> str:
    """Say how one backend's value differs from the others'."""
    others = " and ".join(together)
    value, known = (
        values[backend],
        [kept for other in together if (kept := values[other]) is not None],
    )
    if value is None:
        return f"missing, and there on {others}"
    if not known:
        return f"there, and missing on {others}"
    if value.shape != known[0].shape:
        return f"expected shape {known[0].shape}, as of {others}; received {value.shape}"
    exact = np.mean([kept.astype(np.float64) for kept in known], axis=0)
    received = value.astype(np.float64)
    error = max(
        errors[pair] for pair in errors if _between(pair, backend, together) and backend in pair
    )
    parts = [
        f"{error:.2g} of its size away from {others}",
        locate.fit(received, exact, n_samples, n_samples),
    ]
    in_part = locate.where(received - exact, np.abs(exact))
    return "; ".join(part for part in (*parts, f"in {in_part}" if in_part else "") if part)


def _not_finite(values: Mapping[str, NDArray[Any] | None], bad: tuple[str, ...]) -> str:
    said = []
    for backend in bad:
        value = values[backend]
        if value is not None:
            said.append(
                f"{backend}: {int(np.count_nonzero(~np.isfinite(value)))} of {value.size} elements are not finite"
            )
    return ", ".join(said)


def _scales(heard: Mapping[str, Arrays], names: list[str]) -> dict[str, float]:
    """Return the size of each quantity, its backends' median norm; of gradients and what follows from them no less than SMALL of all.

    A bias in front of a batch normalisation has no gradient but for rounding: to itself, its values
    are 100 % apart.
    """
    norms = {name: statistics.median(_norms(heard, name)) for name in names}
    groups: dict[str, list[str]] = {}
    for name in names:
        if kind_of(name) in STEP:
            groups.setdefault(_group(name), []).append(name)
    for several in groups.values():
        least = SMALL * float(np.linalg.norm([norms[name] for name in several]))
        norms |= {name: max(norms[name], least) for name in several}
    return norms


def _group(name: str) -> str:
    """Return what a quantity is added up with: of slots, only those of its own kind: "…/kernel_momentum" with "…/bias_momentum"."""
    return (
        f"{name.partition('/')[0]} {name.rpartition('_')[2]}"
        if kind_of(name) == "slot"
        else name.partition("/")[0]
    )


def _norms(heard: Mapping[str, Arrays], name: str) -> list[float]:
    found = [
        float(np.linalg.norm(arrays[name].astype(np.float64).ravel()))
        for arrays in heard.values()
        if name in arrays
    ]
    return [norm for norm in found if np.isfinite(norm)] or [0.0]
