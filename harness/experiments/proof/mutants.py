"""Parts of the student that compute something wrong: what planted defects are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.experiments.proof import student
from harness.experiments.proof.student import Array, Given, Samples, Slots, State, Update
from harness.referee.fixtures import Point
from harness.spec.config import Adam, Dense, RMSprop, Spec


def settings(**wrong: float) -> dict[str, Any]:
    """Return the part with other settings of the optimizer."""
    return {"settings": lambda optimizer: optimizer.model_copy(update=wrong)}


def faster(by: float) -> dict[str, Any]:
    """Return the part with another learning rate: 1 + by of it."""
    return {
        "settings": lambda optimizer: optimizer.model_copy(
            update={"learning_rate": optimizer.learning_rate * (1 + by)}
        )
    }


def epsilon_outside(this: Update) -> tuple[Array, Slots]:
    """Update with epsilon added outside the root."""
    _, new = student.update(this)
    assert isinstance(this.settings, RMSprop)  # noqa: S101
    rate, epsilon = np.float32(this.settings.learning_rate), np.float32(this.settings.epsilon)
    return this.weight - rate * this.gradient / (np.sqrt(new[0]) + epsilon), new


def untrained(this: Update) -> tuple[Array, Slots]:
    """Update all but the last bias."""
    return (this.weight, this.slots) if this.name == "output/bias" else student.update(this)


def stale(this: Update) -> tuple[Array, Slots]:
    """Update by the slot of one step before."""
    _, new = student.update(this)
    assert isinstance(this.settings, RMSprop)  # noqa: S101
    rate, epsilon = np.float32(this.settings.learning_rate), np.float32(this.settings.epsilon)
    return this.weight - rate * this.gradient / np.sqrt(this.slots[0] + epsilon), new


def uncorrected(this: Update) -> tuple[Array, Slots]:
    """Update without bias correction."""
    _, new = student.update(this)
    assert isinstance(this.settings, Adam)  # noqa: S101
    rate, epsilon = np.float32(this.settings.learning_rate), np.float32(this.settings.epsilon)
    return this.weight - rate * new[0] / (np.sqrt(new[1]) + epsilon), new


def turned(state: State) -> dict[str, Array]:
    """Return weights with each kernel's bytes read in the other layout.

    (units, inputs) taken for (inputs, units).
    """
    return {
        name: np.ascontiguousarray(value.T).reshape(value.shape)
        for name, value in state.weights.items()
    }


def turned_back(state: State) -> dict[str, Array]:
    """Return weights, of any shape, turned back into the layout in which they were given."""
    return {
        name: np.ascontiguousarray(value.reshape(value.shape[::-1]).T)
        for name, value in state.weights.items()
    }


def loaded_turned(spec: Spec, point: Point) -> State:
    """Load a point with its kernels in the other layout."""
    state = student.load(spec, point)
    return replace(state, weights=turned(state))


def without_slots(spec: Spec, point: Point) -> State:
    """Load a point with slots of zeros."""
    state = student.load(spec, point)
    return replace(
        state,
        slots={
            name: tuple(np.zeros_like(slot) for slot in several)
            for name, several in state.slots.items()
        },
    )


def without_bias(product: Any, given: Given) -> Array:
    """Return the outputs, (B, units), of the hidden layer without its bias."""
    hidden = given.layer.name == "hidden"
    return student.dense(product, replace(given, bias=0 * given.bias) if hidden else given)


def leaky(layer: Dense, z: Array) -> Array:
    """Return outputs, (B, units), of a relu that is not 0 below 0."""
    return (
        np.where(z > 0, z, np.float32(0.01) * z)
        if layer.activation == "relu"
        else student.activate(layer, z)
    )


def twice(layer: Dense, z: Array) -> Array:
    """Return probabilities, (B, classes), of a softmax applied twice."""
    a = student.activate(layer, z)
    return student.softmax(a) if layer.activation == "softmax" else a


def dead(layer: Dense, z: Array) -> Array:
    """Return outputs, (B, units), with one hidden unit at 0."""
    a = student.activate(layer, z)
    return a * (np.arange(a.shape[1]) != 7) if layer.name == "hidden" else a


def cut(n_bits: int) -> dict[str, Any]:
    """Return the part that multiplies matrices whose elements keep n bits of the mantissa's 23."""
    mask = np.uint32(0xFFFFFFFF << (23 - n_bits) & 0xFFFFFFFF)

    def short(array: Array) -> Array:
        return (np.ascontiguousarray(array, np.float32).view(np.uint32) & mask).view(np.float32)

    return {"product": lambda one, other: short(one) @ short(other)}


def collected(gradient: Array, before: Array | None) -> Array:
    """Return a gradient, of any shape, added to the one before."""
    return gradient if before is None else gradient + before


def without_last(samples: Samples, size: int) -> list[Samples]:
    """Return the batches, x (B, inputs) and y (B,), without a short last one."""
    return [batch for batch in student.batches(samples, size) if len(batch[1]) == size]


def first_order(epochs: Sequence[Samples]) -> list[Samples]:
    """Return epochs, x (n, inputs) and y (n,), that are all the first one."""
    return [epochs[0]] * len(epochs)


def faster_for_a_while(this: Update) -> tuple[Array, Slots]:
    """Update faster from update 301 to 466."""
    rate = this.settings.learning_rate * (1.1 if 300 < this.number <= 466 else 1)
    settings = this.settings.model_copy(update={"learning_rate": rate})
    return student.update(replace(this, settings=settings))


def one_twice(samples: Samples, size: int) -> list[Samples]:
    """Return the batches, x (B, inputs) and y (B,), with batch 300 in the place of 301."""
    several = list(student.batches(samples, size))
    return [several[299] if index == 300 else batch for index, batch in enumerate(several)]


def two_exchanged(samples: Samples, size: int) -> list[Samples]:
    """Return the batches, x (B, inputs) and y (B,), with 311 and 312 exchanged."""
    several = list(student.batches(samples, size))
    places = {310: 311, 311: 310} if len(several) > 311 else {}
    return [several[places.get(index, index)] for index in range(len(several))]
