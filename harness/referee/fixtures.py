"""States and batches from which every arm makes one update, and their permutation twins.

NumPy makes them, once for all.

`init`: the seed's own weights, its first batch. `adversarial`: what zero biases, zero slots,
unsaturated rows and full batches each hide. `resync-T`: the referee's own state before update T, so
that tolerance never has to grow with T.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.referee import oracle
from harness.spec.config import Spec
from harness.spec.data.arrays import weights_digest

Floats = NDArray[np.float32]
GAP = 22.0  # of the logits of a saturated row; in float32 exp(-17) is less than its rounding of 1


@dataclass(frozen=True, slots=True)
class Point:
    """A state of training and the batch of its next update."""

    name: str
    weights: Mapping[str, Floats]
    slots: Mapping[str, Floats]  # "WEIGHT/SLOT"
    n_updates: int  # done so far
    x: Floats  # (B, inputs)
    y: NDArray[np.int64]  # (B,)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of it as named arrays: what a worker is given; each of any shape."""
        named = {f"weight/{name}": value for name, value in self.weights.items()}
        named |= {f"slot/{name}": value for name, value in self.slots.items()}
        return named | {"n_updates": np.asarray(self.n_updates), "x": self.x, "y": self.y}

    @property
    def sha256(self) -> str:
        """The digest of everything in it."""
        return weights_digest(self.arrays())

    def trained(self, dtype: type[np.floating[Any]] = np.float64) -> oracle.Network:
        """Return the state as the referee, or in float32 its twin, begins from it."""
        weights = {name: value.astype(dtype) for name, value in self.weights.items()}
        slots = {
            name: tuple(
                value.astype(dtype)
                for key, value in self.slots.items()
                if key.startswith(f"{name}/")
            )
            for name in weights
        }
        return oracle.Network(weights, slots, self.n_updates)


def of_state(spec: Spec, name: str, state: oracle.Network, x: Floats, y: NDArray[Any]) -> Point:
    """Return a referee's state, rounded to float32, as a point.

    Args:
        spec: what is trained.
        name: of the point.
        state: the referee's.
        x: of the next update's batch, (B, inputs).
        y: of the same, (B,).
    """
    weights = {key: value.astype(np.float32) for key, value in state.weights.items()}
    slots = {
        f"{key}/{slot}": value.astype(np.float32)
        for key, several in state.slots.items()
        for slot, value in zip(oracle.slot_names(spec.optimizer), several, strict=True)
    }
    return Point(name, weights, slots, state.n_updates, x, y.astype(np.int64))


def along_training(
    spec: Spec,
    weights: Mapping[str, Floats],
    batches: Iterator[tuple[Floats, NDArray[Any]]],
    updates: Sequence[int],
) -> Iterator[tuple[Point, oracle.Network]]:
    """Train the referee and yield the point before each of those updates (1 is the first).

    With each comes the exact state there.

    Args:
        spec: what is trained.
        weights: initial ones.
        batches: x (B, inputs) and y (B,) of each update in turn.
        updates: numbers of updates, in rising order.
    """
    state = oracle.start(spec, weights)
    wanted = set(updates)
    for number, (x, y) in enumerate(batches, start=1):
        if number in wanted:
            yield of_state(spec, "init" if number == 1 else f"resync-{number}", state, x, y), state
        if number == max(wanted):
            return
        state, _ = oracle.step(spec, state, x, y)


def adversarial(
    spec: Spec, weights: Mapping[str, Floats], x: Floats, y: NDArray[Any], seed: int = 0
) -> Point:
    """Return the point that hides nothing.

    Biases, slots, a late and short batch, and rows at the edge of float32.

    Its biases are uniform in ±0.05, its slots 10^U(-10, -4), and its batch is three quarters of a
    full one: an all-black row, an all-white one, one row twice, and eight rows scaled until their
    two largest logits lie GAP apart, each under the label that is then certain, and every other one
    of them under a wrong label.

    Args:
        spec: what is trained.
        weights: initial ones.
        x: at least three quarters of a batch of samples, (n, inputs).
        y: (n,) their classes.
        seed: of the draws.
    """
    random = np.random.default_rng([seed, 2])
    weights = {
        name: random.uniform(-0.05, 0.05, value.shape).astype(np.float32)
        if name.endswith("/bias")
        else value
        for name, value in weights.items()
    }
    size = max(1, spec.batch_size * 3 // 4)
    x, y = x[:size].copy(), y[:size].astype(np.int64)
    if size >= 16:
        x[0], x[1], x[3], y[3] = 0, 1, x[2], y[2]
        _saturate(spec, weights, x, y, rows=range(4, 12))
    names = oracle.slot_names(spec.optimizer)
    slots = {
        f"{name}/{slot}": (10 ** random.uniform(-10, -4, value.shape)).astype(np.float32)
        for name, value in weights.items()
        for slot in names
    }
    return Point("adversarial", weights, slots, 468, x, y)


def _saturate(
    spec: Spec, weights: Mapping[str, Floats], x: Floats, y: NDArray[np.int64], rows: range
) -> None:
    """Scale rows of x in place until the gap of their two largest logits is GAP.

    Label every other one wrongly.
    """
    exact = {name: value.astype(np.float64) for name, value in weights.items()}

    def gaps(scaled: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        logits = oracle.forward(spec, exact, scaled.astype(np.float64))[-1][0]
        order = np.argsort(logits, axis=1)
        found = np.take_along_axis(logits, order[:, -2:], axis=1)
        return found[:, 1] - found[:, 0], order

    # Nearest to GAP: scaled most, a row would have logits of thousands.
    nearest = rows.start + np.argsort(-gaps(x[rows.start :])[0])
    x[rows.start :], y[rows.start :] = x[nearest], y[nearest]
    chosen = x[rows.start : rows.stop]
    scale = np.ones((len(chosen), 1))
    for _ in range(60):
        gap, _ = gaps(chosen * scale)
        scale *= np.clip(GAP / np.maximum(gap, 1e-6), 0.5, 2)[:, None]
    gap, _ = gaps(chosen * scale)
    # A row whose logits follow no scale is left as it is: dead units, a softmax below.
    scale[np.abs(gap - GAP) > 1] = 1
    x[rows.start : rows.stop] = (chosen * scale).astype(np.float32)
    _, order = gaps(x[rows.start : rows.stop])
    y[rows.start : rows.stop] = np.where(
        np.arange(len(chosen)) % 2 == 0, order[:, -1], order[:, -2]
    )


@dataclass(frozen=True, slots=True)
class Twin:
    """A permutation of pixels, of each hidden layer's units and of samples.

    Other sums, the same mathematics.
    """

    rows: NDArray[np.intp]
    axes: Mapping[str, tuple[NDArray[np.intp], ...]]  # of each weight

    def of(self, point: Point, number: int) -> Point:
        """Return the point permuted; its name gains the twin's number."""
        pixels = next(iter(self.axes.values()))[0]
        return replace(
            point,
            name=f"{point.name}~{number}",
            weights={name: self._permuted(name, value) for name, value in point.weights.items()},
            slots={
                name: self._permuted(name.rpartition("/")[0], value)
                for name, value in point.slots.items()
            },
            x=np.ascontiguousarray(point.x[self.rows][:, pixels]),
            y=point.y[self.rows],
        )

    def undone(self, quantities: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return a permuted step's quantities in the original order."""
        found = {}
        for name, value in quantities.items():
            kind, _, rest = name.partition("/")
            weight = (
                rest
                if kind in ("gradient", "update", "weight")
                else rest.rpartition("/")[0]
                if kind == "slot"
                else ""
            )
            if weight:
                axes = self.axes[weight]
            elif value.ndim == 2:  # z and a, (B, units)
                axes = (self.rows, self.axes[f"{kind}/bias"][0])
            else:
                axes = (self.rows,) if value.ndim == 1 and len(value) == len(self.rows) else ()
            found[name] = value[np.ix_(*(np.argsort(axis) for axis in axes))] if axes else value
        return found

    def _permuted(self, weight: str, value: Floats) -> Floats:
        return np.ascontiguousarray(value[np.ix_(*self.axes[weight])])


def twins(spec: Spec, point: Point, n: int, seed: int = 0) -> list[Twin]:
    """Return n random permutations that fit a point.

    Args:
        spec: its layers.
        point: to be permuted.
        n: how many.
        seed: of the draws.
    """
    found = []
    for number in range(n):
        random = np.random.default_rng([seed, 3, number])
        sizes = [point.x.shape[1], *(layer.units for layer in spec.layers)]
        orders = [random.permutation(size) for size in sizes[:-1]]
        orders += [np.arange(sizes[-1])]  # classes have their labels
        axes: dict[str, tuple[NDArray[np.intp], ...]] = {}
        for index, layer in enumerate(spec.layers):
            axes |= {
                f"{layer.name}/kernel": (orders[index], orders[index + 1]),
                f"{layer.name}/bias": (orders[index + 1],),
            }
        found.append(Twin(random.permutation(len(point.x)), axes))
    return found
