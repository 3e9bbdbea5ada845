"""Defects planted into the student, each with the stage that must catch it, and changes that must not matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness.experiments.proof import student
from harness.experiments.proof.student import Array, Optimizer, Samples, Slots, State, Student
from harness.referee.fixtures import Point
from harness.referee.oracle import Loss
from harness.spec.config import SGD, Adam, Dense, RMSprop, Spec

N_LATE = 401  # updates of the epoch in which late defects are planted
LATE = f"epoch update-{N_LATE}"
FULL = 512  # units of the hidden layer, as in backends.toml


def specs(units: int = FULL) -> dict[str, Spec]:
    """Return what the gate is proved under, by name: each optimizer, both forms of the loss."""
    hidden = Dense(name="hidden", units=units, activation="relu")
    probs = (hidden, Dense(name="output", units=10, activation="softmax"))
    logits = (hidden, Dense(name="output", units=10, activation="linear"))
    return {
        "rmsprop-probs": Spec(layers=probs, optimizer=RMSprop(name="rmsprop"), loss_form="probs"),
        "rmsprop-logits": Spec(
            layers=logits, optimizer=RMSprop(name="rmsprop"), loss_form="logits"
        ),
        "adam-logits": Spec(layers=logits, optimizer=Adam(name="adam"), loss_form="logits"),
        "momentum-logits": Spec(
            layers=logits, optimizer=SGD(name="sgd", momentum=0.9), loss_form="logits"
        ),
        "sgd-probs": Spec(
            layers=probs, optimizer=SGD(name="sgd", learning_rate=0.001), loss_form="probs"
        ),
    }


@dataclass(frozen=True, slots=True)
class Defect:
    """One planted defect."""

    name: str
    at: str  # the quantity that must be the first to depart; of small epochs "loop QUANTITY", of the whole first one "epoch UPDATE"
    why: str
    parts: Mapping[str, Any]  # of the student, replaced
    spec: str = "rmsprop-probs"
    loss: Loss = field(default="probs")  # that the implementation is documented to compute

    @property
    def late(self) -> bool:
        """Whether it shows in the whole first epoch only."""
        return self.at.startswith("epoch ")

    @property
    def student(self) -> Student:
        """The implementation that has it."""
        return replace(Student(), **self.parts)


def _settings(**wrong: float) -> dict[str, Any]:
    return {"settings": lambda optimizer: optimizer.model_copy(update=wrong)}


def faster(by: float) -> dict[str, Any]:
    """Return the part with another learning rate: 1 + by of it."""
    return {
        "settings": lambda optimizer: optimizer.model_copy(
            update={"learning_rate": optimizer.learning_rate * (1 + by)}
        )
    }


def _epsilon_outside(
    settings: Optimizer, name: str, weight: Array, slots: Slots, gradient: Array, number: int
) -> tuple[Array, Slots]:
    _, new = student.update(settings, name, weight, slots, gradient, number)
    assert isinstance(settings, RMSprop)  # noqa: S101
    return weight - np.float32(settings.learning_rate) * gradient / (
        np.sqrt(new[0]) + np.float32(settings.epsilon)
    ), new


def _untrained(
    settings: Optimizer, name: str, weight: Array, slots: Slots, gradient: Array, number: int
) -> tuple[Array, Slots]:
    return (
        (weight, slots)
        if name == "output/bias"
        else student.update(settings, name, weight, slots, gradient, number)
    )


def _stale(
    settings: Optimizer, name: str, weight: Array, slots: Slots, gradient: Array, number: int
) -> tuple[Array, Slots]:
    _, new = student.update(settings, name, weight, slots, gradient, number)
    assert isinstance(settings, RMSprop)  # noqa: S101
    return weight - np.float32(settings.learning_rate) * gradient / np.sqrt(
        slots[0] + np.float32(settings.epsilon)
    ), new


def _uncorrected(
    settings: Optimizer, name: str, weight: Array, slots: Slots, gradient: Array, number: int
) -> tuple[Array, Slots]:
    _, new = student.update(settings, name, weight, slots, gradient, number)
    assert isinstance(settings, Adam)  # noqa: S101
    return weight - np.float32(settings.learning_rate) * new[0] / (
        np.sqrt(new[1]) + np.float32(settings.epsilon)
    ), new


def _turned(state: State) -> dict[str, Array]:
    """Return weights with each kernel's bytes read in the other layout: (units, inputs) taken for (inputs, units)."""
    return {
        name: np.ascontiguousarray(value.T).reshape(value.shape)
        for name, value in state.weights.items()
    }


def _turned_back(state: State) -> dict[str, Array]:
    return {
        name: np.ascontiguousarray(value.reshape(value.shape[::-1]).T)
        for name, value in state.weights.items()
    }


def _loaded_turned(spec: Spec, point: Point) -> State:
    state = student.load(spec, point)
    return replace(state, weights=_turned(state))


def _without_slots(spec: Spec, point: Point) -> State:
    state = student.load(spec, point)
    return replace(
        state,
        slots={
            name: tuple(np.zeros_like(slot) for slot in several)
            for name, several in state.slots.items()
        },
    )


def _without_bias(product: Any, layer: Dense, inputs: Array, kernel: Array, bias: Array) -> Array:
    return (
        np.asarray(product(inputs, kernel))
        if layer.name == "hidden"
        else student.dense(product, layer, inputs, kernel, bias)
    )


def _leaky(layer: Dense, z: Array) -> Array:
    return (
        np.where(z > 0, z, np.float32(0.01) * z)
        if layer.activation == "relu"
        else student.activate(layer, z)
    )


def _twice(layer: Dense, z: Array) -> Array:
    a = student.activate(layer, z)
    return student.softmax(a) if layer.activation == "softmax" else a


def _dead(layer: Dense, z: Array) -> Array:
    a = student.activate(layer, z)
    return a * (np.arange(a.shape[1]) != 7) if layer.name == "hidden" else a


def cut(n_bits: int) -> dict[str, Any]:
    """Return the part that multiplies matrices whose elements keep n bits of the mantissa's 23."""
    mask = np.uint32(0xFFFFFFFF << (23 - n_bits) & 0xFFFFFFFF)

    def short(array: Array) -> Array:
        return (np.ascontiguousarray(array, np.float32).view(np.uint32) & mask).view(np.float32)

    return {"product": lambda one, other: short(one) @ short(other)}


def _collected(gradient: Array, before: Array | None) -> Array:
    return gradient if before is None else gradient + before


def _without_last(x: Array, y: Array, size: int) -> list[Samples]:
    return [batch for batch in student.batches(x, y, size) if len(batch[1]) == size]


def _first_order(epochs: Sequence[Samples]) -> list[Samples]:
    return [epochs[0]] * len(epochs)


def _faster_for_a_while(
    settings: Optimizer, name: str, weight: Array, slots: Slots, gradient: Array, number: int
) -> tuple[Array, Slots]:
    rate = settings.learning_rate * (1.1 if 300 < number <= 466 else 1)
    return student.update(
        settings.model_copy(update={"learning_rate": rate}), name, weight, slots, gradient, number
    )


def _one_twice(x: Array, y: Array, size: int) -> list[Samples]:
    several = list(student.batches(x, y, size))
    return [several[299] if index == 300 else batch for index, batch in enumerate(several)]


def _two_exchanged(x: Array, y: Array, size: int) -> list[Samples]:
    several = list(student.batches(x, y, size))
    places = {310: 311, 311: 310} if len(several) > 311 else {}
    return [several[places.get(index, index)] for index in range(len(several))]


STEP = "update/hidden/kernel"
DEFECTS = (
    Defect(
        "epsilon 1e-8", STEP, "slots are right, the denominator is not", _settings(epsilon=1e-8)
    ),
    Defect(
        "epsilon outside the root",
        STEP,
        "slots are right, the denominator is not",
        {"update": _epsilon_outside},
    ),
    Defect(
        "rho 0.99",
        "slot/hidden/kernel/square",
        "the first memory of the first weight",
        _settings(rho=0.99),
    ),
    Defect(
        "rho 0.9001",
        "slot/hidden/kernel/square",
        "the same, a thousandth of it",
        _settings(rho=0.9001),
    ),
    Defect(
        "learning rate x (1 + 1e-4)", STEP, "nothing before the update knows the rate", faster(1e-4)
    ),
    Defect(
        "bias 1 left out of the forward pass",
        "hidden/z",
        "where it is added, biases not zero",
        {"dense": _without_bias},
    ),
    Defect(
        "bias 2 not trained",
        "slot/output/bias/square",
        "its gradient is right, its memory stands still",
        {"update": _untrained},
    ),
    Defect(
        "kernels transposed", "inputs", "they do not read back as set", {"load": _loaded_turned}
    ),
    Defect(
        "kernels transposed, and back on reading",
        "hidden/z",
        "first use",
        {"load": _loaded_turned, "export": _turned_back},
    ),
    Defect(
        "labels shifted inside the batch",
        "losses",
        "first use of labels",
        {"read": lambda x, y: (x, np.roll(y, 1))},
    ),
    Defect("last batch dropped", "loop n_updates", "fewer updates", {"batches": _without_last}),
    Defect(
        "last batch divided by 128",
        "gradient/output/kernel",
        "96 samples; the mean loss is right",
        {"share": lambda n, size: 1 / size},
    ),
    Defect(
        "sum for mean",
        "gradient/output/kernel",
        "the mean loss is right",
        {"share": lambda n, size: 1},
    ),
    Defect("softmax twice", "output/a", "logits are right", {"activate": _twice}),
    Defect("clip removed", "losses", "a sure and wrong sample", {"form": lambda loss: "unclipped"}),
    Defect(
        "clip added",
        "losses",
        "a sure and wrong sample",
        {"form": lambda loss: "probs"},
        loss="unclipped",
    ),
    Defect("leaky relu", "hidden/a", "negative z", {"activate": _leaky}),
    Defect("TF32-like inputs", "hidden/z", "first product; 10 bits", cut(10)),
    Defect("bfloat16 inputs", "hidden/z", "first product; 7 bits", cut(7)),
    Defect(
        "/256 for /255",
        "hidden/z",
        "first use of pixels",
        {"read": lambda x, y: (x * np.float32(255 / 256), y)},
    ),
    Defect(
        "gradients not zeroed", "loop loss", "shows from the second update", {"collect": _collected}
    ),
    Defect(
        "a slot one step stale", STEP, "its value is right, its use is late", {"update": _stale}
    ),
    Defect(
        "bias correction missing",
        STEP,
        "slots are right",
        {"update": _uncorrected},
        "adam-logits",
        "logits",
    ),
    Defect(
        "epoch 2 in epoch 1's order",
        "loop loss",
        "other batches, other losses",
        {"epochs": _first_order},
    ),
    Defect("one hidden unit dead", "hidden/a", "one column of it", {"activate": _dead}),
    Defect(
        "accuracy averaged over batches",
        "loop accuracy",
        "the last is short",
        {"accuracy": lambda n_right, n: (n_right / n).mean()},
    ),
    Defect(
        "slots not restored on load",
        "inputs",
        "they do not read back as set",
        {"load": _without_slots},
    ),
    Defect(
        "learning rate x 1.1 from update 301 to 466",
        LATE,
        "no state is between",
        {"update": _faster_for_a_while},
    ),
    Defect(
        "the same under SGD",
        LATE,
        "no state is between",
        {"update": _faster_for_a_while},
        "sgd-probs",
    ),
    Defect(
        "batch 300 fed again as 301",
        LATE,
        "as many updates, other samples",
        {"batches": _one_twice},
    ),
    Defect(
        "the same under SGD with momentum",
        LATE,
        "as many updates, other samples",
        {"batches": _one_twice},
        "momentum-logits",
        "logits",
    ),
    Defect(
        "batches 311 and 312 exchanged",
        LATE,
        "the same samples in all",
        {"batches": _two_exchanged},
    ),
)


def _blocks(one: Array, other: Array) -> Array:
    """Return the product, summed over 64 inputs at a time."""
    return np.asarray(
        sum(
            one[:, begin : begin + 64] @ other[begin : begin + 64]
            for begin in range(0, len(other), 64)
        )
    )


def _halves(one: Array, other: Array) -> Array:
    """Return the product, summed in pairs of halves."""
    middle = len(other) // 2
    return (
        one @ other
        if middle < 16
        else _halves(one[:, :middle], other[:middle]) + _halves(one[:, middle:], other[middle:])
    )


def _one_by_one(one: Array, other: Array) -> Array:
    """Return the product, one term added after another, as no fast library does it."""
    total = np.zeros((len(one), other.shape[1]), np.float32)
    for column, row in zip(one.T, other, strict=True):
        total += np.outer(column, row)
    return total


def _a_unit_more(layer: Dense, z: Array) -> Array:
    """Return the layer's outputs; probabilities a unit in the last place too large, as another softmax may have them."""
    a = student.activate(layer, z)
    return np.nextafter(a, np.float32(2)) if layer.activation == "softmax" else a


ORDERS: dict[str, dict[str, Any]] = {
    "no change": {},
    "sums in blocks of 64": {"product": _blocks},
    "sums in pairs of halves": {"product": _halves},
    "sums from the other end": {"product": lambda one, other: one[:, ::-1] @ other[::-1]},
    "products transposed": {
        "product": lambda one, other: np.ascontiguousarray((other.T @ one.T).T)
    },
    "sums in float64": {
        "product": lambda one, other: (one.astype(np.float64) @ other).astype(np.float32)
    },
    "sums one by one": {"product": _one_by_one},
    "probabilities a unit more": {"activate": _a_unit_more},
}
"""Null changes: the same mathematics, summed in another order or rounded otherwise."""
