"""The whole first epoch: which samples each batch has, and the same rule at every update.

What one update does is held from given states; what happens between them shows here. Each arm
trains by its production path through the first epoch, in one go, as far as a few updates and to the
end. Left to itself at the spec's own rate, a training drifts apart by a twentieth within 469
updates of RMSprop, since a unit at its kink decides what comes after. So the spec's own optimizer
has a hundredth of its rate here: weights then hardly move, and an update depends on its batch
alone. And no sample brings a unit to its kink: of the 60,000 samples some fifty would, and each of
them moves an update by up to 6e-4 where float32 and float64 decide otherwise. Such a sample is
replaced by another one of its batch. Float32 then stays within some 4e-5 of the update's sum, and
what float32 NumPy is off by all backends are. One batch fed twice is 3e-3 of it, two neighbours
exchanged 4e-4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.referee import oracle
from harness.referee.fixtures import Point
from harness.referee.gates import FACTOR, Array, Finding, Measure, error
from harness.referee.loop import compare
from harness.referee.oracle import CLIP, Loss
from harness.referee.trace import displacement
from harness.spec.config import SGD, Spec

Order = NDArray[np.int32]
Read = Callable[[Order], tuple[NDArray[np.float32], NDArray[Any]]]
"""Returns samples by their numbers, (B,): x (B, inputs) and y (B,)."""
ALIKE: set[Loss] = {"probs", "unclipped"}  # as long as no clip matters
EARLY = (10, 100)  # updates at which weights are read out, besides the last
# Of the rate of an optimizer that divides by what it remembers; of plain SGD, the most that its
# rate may be.
CALM = 0.01
# Of `kink_width`: nearer to 0 than that, a unit is at its kink. Float32 was off by a hundredth of
# it at most after 469 updates of RMSprop.
NEAR = 1 / 8
# Of a gate: losses are added up in float32, and what one update may ever be off is no fault here.
LEAST = {"loss": 5e-6, "slot": 1e-5, "update": 2e-5}
N_FLOAT32 = 2
SCALED: Measure = "scaled"


@dataclass(frozen=True, slots=True)
class Epoch:
    """What the referee makes of the first epoch, and what float32 costs.

    Both are read out after some updates.
    """

    spec: Spec  # with the rate that it is trained at
    loss: Loss
    start: Point
    read: Read
    order: Order  # of the samples, (n,), none of them at a kink
    quantities: Mapping[int, Mapping[str, Array]]  # by number of updates
    floors: Mapping[int, Mapping[str, float]]

    @property
    def stops(self) -> tuple[int, ...]:
        """The updates after which it is read out."""
        return tuple(self.quantities)

    def batches(self) -> Iterator[tuple[NDArray[np.float32], NDArray[Any]]]:
        """Yield x (B, inputs) and y (B,) of each update in turn."""
        for begin in range(0, len(self.order), self.spec.batch_size):
            yield self.read(self.order[begin : begin + self.spec.batch_size])


def calm(spec: Spec) -> Spec:
    """Return the spec with a rate at which float32 trainings stay together for an epoch."""
    optimizer = spec.optimizer
    rate = (
        min(optimizer.learning_rate, CALM * (1 - optimizer.momentum))
        if isinstance(optimizer, SGD)
        else optimizer.learning_rate * CALM
    )
    return spec.model_copy(
        update={"optimizer": optimizer.model_copy(update={"learning_rate": rate})}
    )


def stops_of(n_updates: int) -> tuple[int, ...]:
    """Return the updates of an epoch after which it is read out."""
    return (*(number for number in EARLY if number < n_updates), n_updates)


def follow(
    spec: Spec,
    start: Point,
    read: Read,
    order: Order,
    stops: tuple[int, ...],
    losses: set[Loss],
) -> dict[Loss, Epoch]:
    """Return the referee's first epoch for each form of the loss, all over the same samples.

    Args:
        spec: what is trained; its rate is changed here.
        start: the initial state.
        read: returns the samples of a batch.
        order: of the samples, (n,), of which those at a kink are replaced.
        stops: updates after which it is read out, in rising order.
        losses: forms of cross-entropy that some arm is documented to compute.
    """
    slow, order = calm(spec), order.copy()
    runs = [_Run(slow, start, each) for each in (ALIKE & losses, losses - ALIKE) if each]
    random = np.random.default_rng([start.n_updates, 6])
    for number in range(1, stops[-1] + 1):
        rows = slice((number - 1) * spec.batch_size, number * spec.batch_size)
        x, y = read(order[rows])
        kept = _away_from_kinks(slow, [run.states[0] for run in runs], x)
        order[rows], x, y = order[rows][kept], x[kept], y[kept]
        runs += [other for run in runs if (other := run.parted(x, y))]
        permuted = random.permutation(len(y))
        for run in runs:
            run.update(x, y, permuted)
            if number in stops:
                run.read_out(number)
    return {
        loss: Epoch(slow, loss, start, read, order, run.quantities, run.floors)
        for run in runs
        for loss in run.losses
    }


def read_after(epoch: Epoch, stops: tuple[int, ...]) -> Epoch:
    """Return the same epoch read out after other updates."""
    given = epoch.spec, epoch.start, epoch.read, epoch.order, stops, {epoch.loss}
    return follow(*given)[epoch.loss]


def _away_from_kinks(spec: Spec, states: Sequence[oracle.Network], x: Array) -> NDArray[np.intp]:
    """Return which rows of a batch to train on, (B,): for a row at a kink another one.

    That other one is the row that lies farthest from any kink.
    """
    distances = np.min([oracle.kink_distances(spec, each.weights, x) for each in states], axis=0)
    return np.where(distances < NEAR, distances.argmax(), np.arange(len(x)))


class _Run:
    """The epoch for forms of the loss that have been the same so far, in float64 and float32."""

    def __init__(self, spec: Spec, start: Point, losses: set[Loss]) -> None:
        self.spec, self.start, self.losses = spec, start, losses
        self.states = [start.trained(), *(start.trained(np.float32) for _ in range(N_FLOAT32))]
        self.sums, self.n_samples = np.zeros(len(self.states)), 0
        self.quantities: dict[int, dict[str, Array]] = {}
        self.floors: dict[int, dict[str, float]] = {}

    def parted(self, x: Array, y: NDArray[Any]) -> _Run | None:
        """Return a run of its own for one of two forms where a clip matters from here on.

        It matters where it changes the probability of any sample's class y (B,), given x (B, n).
        """
        if len(self.losses) < 2 or not _clips(self.spec, self.states[0], x, y):
            return None
        other = copy(self)
        other.losses = {self.losses.pop()}
        other.states, other.sums = [*self.states], self.sums.copy()
        other.quantities, other.floors = {**self.quantities}, {**self.floors}
        return other

    def update(self, x: Array, y: NDArray[Any], permuted: NDArray[np.intp]) -> None:
        """Do one update on x (B, n) and y (B,), the second float32 run with rows permuted, (B,)."""
        loss = min(self.losses)
        for index, state in enumerate(self.states):
            rows = permuted if index > 1 else np.arange(len(y))
            self.states[index], mean = oracle.step(self.spec, state, x[rows], y[rows], loss)
            self.sums[index] += mean * len(y)
        self.n_samples += len(y)

    def read_out(self, number: int) -> None:
        """Keep what there is after so many updates, and how far float32 is from it."""
        exact, *rounded = (
            _read_out(self.spec, self.start, state, total / self.n_samples)
            for state, total in zip(self.states, self.sums, strict=True)
        )
        self.quantities[number], self.floors[number] = exact, _floors(exact, rounded)


def _floors(exact: Mapping[str, Array], rounded: list[dict[str, Array]]) -> dict[str, float]:
    """Return the largest error of several float32 runs, by quantity."""
    return {
        name: max(error(_measure(name), other[name], value) for other in rounded)
        for name, value in exact.items()
    }


def _clips(spec: Spec, state: oracle.Network, x: Array, y: NDArray[Any]) -> bool:
    chosen = oracle.outputs(spec, state.weights, x)[np.arange(len(y)), y]
    return bool(chosen.min() < 2 * CLIP or chosen.max() > 1 - 2 * CLIP)


def _read_out(spec: Spec, start: Point, state: oracle.Network, loss: float) -> dict[str, Array]:
    found: dict[str, Array] = {"loss": np.asarray(loss)}
    for name, slots in state.slots.items():
        found |= {
            f"slot/{name}/{kind}": slot
            for kind, slot in zip(oracle.slot_names(spec.optimizer), slots, strict=True)
        }
    return found | {
        f"update/{name}": displacement(weight, start.weights[name])
        for name, weight in state.weights.items()
    }


def _measure(name: str) -> Measure:
    return SCALED if name == "loss" else "relative"


def examine_epoch(
    epoch: Epoch, stop: int, found: Mapping[str, Array]
) -> tuple[Finding | None, tuple[Finding, ...]]:
    """Return the plainest finding outside its gate after so many updates, and all findings.

    None where all are inside; there is a finding for each quantity.

    Args:
        epoch: the referee's.
        stop: the number of updates.
        found: what the arm handed back, by name, of any shape.
    """
    received = _received(epoch, found)
    findings = [
        replace(
            compare(name, _measure(name), exact, received.get(name), gate_at(epoch, stop, name)),
            floor=epoch.floors[stop][name],
        )
        for name, exact in epoch.quantities[stop].items()
    ]
    n_updates = int(found.get("n_updates", -1))
    if n_updates != stop:
        said = f"expected {stop}; received {n_updates}"
        findings.insert(0, Finding("n_updates", "exact", float("inf"), 0, 1, said))
    outside = (finding for finding in findings if not finding.inside)
    # None follows from another.
    plainest = min(outside, key=lambda each: each.margin if each.gate else 0.0, default=None)
    return plainest, tuple(findings)


def _received(epoch: Epoch, found: Mapping[str, Array]) -> dict[str, Array]:
    """Return an arm's loss and slots, and the updates of its weights."""
    kept = {
        name: value for name, value in found.items() if name == "loss" or name.startswith("slot/")
    }
    received = {name: np.asarray(value) for name, value in kept.items()}
    return received | {
        f"update/{name}": displacement(found[f"weight/{name}"], weight)
        for name, weight in epoch.start.weights.items()
        if f"weight/{name}" in found
    }


def point_of(stop: int) -> str:
    """Return how the first epoch as far as that update is called."""
    return f"update-{stop}"


def gate_at(epoch: Epoch, stop: int, name: str) -> float:
    """Return how far a quantity may lie from the referee's after so many updates.

    Args:
        epoch: the referee's.
        stop: the number of updates.
        name: of the quantity.
    """
    return max(FACTOR * epoch.floors[stop][name], LEAST[name.partition("/")[0]])
