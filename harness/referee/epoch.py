"""The whole first epoch: which samples each batch has, and the same rule at every update.

What one update does is held from given states; what happens between them shows here. Each arm
trains by its production path through the first epoch, in one go, as far as a few updates and to the
end. Left to itself at the spec's own rate, a training drifts apart by a twentieth within 469
updates of RMSprop, since a unit at its kink decides what comes after. So the spec's own optimizer
has a hundredth of its rate here: weights then hardly move, an update depends on its batch alone,
and float32 stays within some 4e-5 of the update's sum. One batch fed twice is 3e-3 of it, two
neighbours exchanged 4e-4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.records.parity import Departure
from harness.referee import oracle
from harness.referee.fixtures import Point
from harness.referee.gates import Array, Finding, Measure, error
from harness.referee.loop import compare, departure_at
from harness.referee.oracle import CLIP, Loss
from harness.referee.trace import displacement
from harness.spec.config import SGD, Spec

Batches = Callable[[], Iterator[tuple[NDArray[np.float32], NDArray[Any]]]]
"""The batches of the first epoch, x (B, inputs) and y (B,), from the first one on."""
FACTOR = 20  # times what two twins show: they are few, and over an epoch float32 drifts further
EARLY = (10, 100)  # updates at which weights are read out, besides the last
# Of the rate of an optimizer that divides by what it remembers; of plain SGD, the most that its
# rate may be.
CALM = 0.01
LEAST = {
    "loss": 2e-5,
    "slot": 5e-4,
    "update": 1e-4,
}  # of a gate: what one unit at its kink may move in batches of FULL
FULL = 128  # in a smaller batch each sample, and so each unit at its kink, is a larger part
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
    batches: Batches
    quantities: Mapping[int, Mapping[str, Array]]  # by number of updates
    floors: Mapping[int, Mapping[str, float]]

    @property
    def stops(self) -> tuple[int, ...]:
        """The updates after which it is read out."""
        return tuple(self.quantities)


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
    spec: Spec, start: Point, batches: Batches, stops: tuple[int, ...], losses: set[Loss]
) -> dict[Loss, Epoch]:
    """Return the referee's first epoch for each form of the loss.

    Args:
        spec: what is trained; its rate is changed here.
        start: the initial state.
        batches: of the first epoch.
        stops: updates after which it is read out, in rising order.
        losses: forms of cross-entropy that some arm is documented to compute.
    """
    slow = calm(spec)
    found: dict[Loss, tuple[Epoch, bool]] = {}
    for loss in sorted(losses):
        alike = next(
            (
                each
                for each, (_, clips) in found.items()
                if not clips and {each, loss} == {"probs", "unclipped"}
            ),
            None,
        )
        found[loss] = (
            found[alike] if alike else _followed(Epoch(slow, loss, start, batches, {}, {}), stops)
        )
    return {loss: each for loss, (each, _) in found.items()}


def read_after(epoch: Epoch, stops: tuple[int, ...]) -> Epoch:
    """Return the same epoch read out after other updates."""
    return _followed(epoch, stops)[0]


def _followed(epoch: Epoch, stops: tuple[int, ...]) -> tuple[Epoch, bool]:
    """Return the epoch with what is read out, and whether a clip matters.

    It matters where it changes any probability.
    """
    spec, loss, start = epoch.spec, epoch.loss, epoch.start
    random = np.random.default_rng([start.n_updates, 6])
    states = [start.trained(), *(start.trained(np.float32) for _ in range(N_FLOAT32))]
    sums, n_samples, clips = np.zeros(len(states)), 0, False
    quantities: dict[int, dict[str, Array]] = {}
    floors: dict[int, dict[str, float]] = {}
    for number, (x, y) in enumerate(epoch.batches(), start=1):
        clips = clips or (loss != "logits" and _clips(spec, states[0], x, y))
        for index, state in enumerate(states):
            rows = random.permutation(len(y)) if index > 1 else np.arange(len(y))
            states[index], mean = oracle.step(spec, state, x[rows], y[rows], loss)
            sums[index] += mean * len(y)
        n_samples += len(y)
        if number in stops:
            means = [(state, each / n_samples) for state, each in zip(states, sums, strict=True)]
            exact, *rounded = (_read_out(spec, start, state, mean) for state, mean in means)
            quantities[number], floors[number] = exact, _floors(exact, rounded)
        if number == stops[-1]:
            break
    return replace(epoch, quantities=quantities, floors=floors), clips


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
) -> tuple[Departure | None, tuple[Finding, ...]]:
    """Return where an arm's epoch departs after so many updates, and all findings.

    None where it does not depart; there is a finding for each quantity.

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
    outside = [finding for finding in findings if not finding.inside]
    if not outside:
        return None, tuple(findings)
    # None follows from another: the plainest.
    first = min(outside, key=lambda finding: finding.margin if finding.gate else 0.0)
    return departure_at("epoch", point_of(stop), first), tuple(findings)


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
    least = LEAST[name.partition("/")[0]] * max(1.0, FULL / epoch.spec.batch_size)
    return max(FACTOR * epoch.floors[stop][name], least)
