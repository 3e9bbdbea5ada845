"""Optimizers by hand, in Keras's equations, for the arrays of any framework.

They use operators, and the framework's own sqrt. A rule returns the new weight and its new slots
(what the optimizer remembers of that weight, zeros at first); nothing is changed in place. Adam's
powers of beta are taken in float32, as in Keras 3.15.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.spec.data.arrays import Weights

if TYPE_CHECKING:
    from harness.spec.config import SGD, Adam, RMSprop

Array = Any
Slots = tuple[Array, ...]
Sqrt = Callable[[Array], Array]
Rule = Callable[[Array, Array, Slots, Any, Any, Sqrt], tuple[Array, Slots]]


def sgd(
    weight: Array, gradient: Array, slots: Slots, step: Any, settings: SGD, sqrt: Sqrt
) -> tuple[Array, Slots]:
    """Return weight - learning_rate * gradient. Slots: none.

    **Differs**: nowhere; Keras, torch.optim.SGD, optax.sgd and TensorFlow's own GradientDescent are
    this line.

    Args:
        weight: of any shape.
        gradient: of that shape.
        slots: each of that shape.
        step: number of this update, 1 for the first, a float32 scalar.
        settings: the spec's.
        sqrt: the framework's.
    """
    return weight - gradient * settings.learning_rate, ()


def momentum(
    weight: Array, gradient: Array, slots: Slots, step: Any, settings: SGD, sqrt: Sqrt
) -> tuple[Array, Slots]:
    """Return weight + velocity. Slots: velocity.

    The velocity is momentum * velocity - learning_rate * gradient.

    **Differs**: the learning rate is inside the velocity, as in Keras. torch.optim.SGD and
    optax.sgd leave it outside (velocity = momentum * velocity + gradient; weight -= learning_rate *
    velocity): the same path while the learning rate is constant, another one under a schedule.

    Args:
        weight: of any shape.
        gradient: of that shape.
        slots: each of that shape.
        step: number of this update, 1 for the first, a float32 scalar.
        settings: the spec's.
        sqrt: the framework's.
    """
    (velocity,) = slots
    velocity = velocity * settings.momentum - gradient * settings.learning_rate
    return weight + velocity, (velocity,)


def rmsprop(
    weight: Array, gradient: Array, slots: Slots, step: Any, settings: RMSprop, sqrt: Sqrt
) -> tuple[Array, Slots]:
    """Return weight - learning_rate * gradient / sqrt(square + epsilon). Slots: square.

    The square is the running mean of gradient².

    **Differs**: epsilon is inside the root in Keras and TensorFlow, and in optax by default
    (`eps_in_sqrt=True`); torch.optim.RMSprop adds it outside. Defaults: Keras rho 0.9, epsilon
    1e-7; torch alpha 0.99, eps 1e-8, learning rate 0.01; optax decay 0.9, eps 1e-8;
    tf.compat.v1.train decay 0.9, epsilon 1e-10, and only there the running mean begins at ones, not
    zeros, so that its first updates are some three times as small.

    Args:
        weight: of any shape.
        gradient: of that shape.
        slots: each of that shape.
        step: number of this update, 1 for the first, a float32 scalar.
        settings: the spec's.
        sqrt: the framework's.

    Source: Tieleman and Hinton 2012, Coursera lecture 6.5.
    """
    (square,) = slots
    square = square * settings.rho + gradient * gradient * (1 - settings.rho)
    return weight - gradient * settings.learning_rate / sqrt(square + settings.epsilon), (square,)


def adam(
    weight: Array, gradient: Array, slots: Slots, step: Any, settings: Adam, sqrt: Sqrt
) -> tuple[Array, Slots]:
    """Return weight - alpha * mean / (sqrt(square) + epsilon). Slots: mean, square.

    Alpha is the bias-corrected learning rate.

    **Differs**: this is Keras's and TensorFlow's form, epsilon-hat in the paper: epsilon is added
    to the uncorrected root. torch.optim.Adam and optax.adam correct mean and square first and add
    epsilon then, which weighs it by sqrt(1 - beta_2^step) of what it weighs here, a thirty-second
    in the first update. Defaults: epsilon 1e-7 in Keras, 1e-8 elsewhere.

    Args:
        weight: of any shape.
        gradient: of that shape.
        slots: each of that shape.
        step: number of this update, 1 for the first, a float32 scalar.
        settings: the spec's.
        sqrt: the framework's.

    Source: Kingma and Ba 2015, the note before section 2.1.
    """
    mean, square = slots
    beta_1, beta_2 = np.float32(settings.beta_1), np.float32(settings.beta_2)
    alpha = (1 - beta_2**step) ** 0.5 / (1 - beta_1**step) * np.float32(settings.learning_rate)
    mean = mean + (gradient - mean) * (1 - settings.beta_1)
    square = square + (gradient * gradient - square) * (1 - settings.beta_2)
    return weight - mean * alpha / (sqrt(square) + settings.epsilon), (mean, square)


def rule_of(settings: Any) -> tuple[Rule, tuple[str, ...]]:
    """Return the rule that a spec's optimizer names, and the names of its slots for each weight."""
    if settings.name == "sgd":
        return (momentum, ("velocity",)) if settings.momentum else (sgd, ())
    known: dict[str, tuple[Rule, tuple[str, ...]]] = {
        "rmsprop": (rmsprop, ("square",)),
        "adam": (adam, ("mean", "square")),
    }
    return known[settings.name]


@dataclass(slots=True, eq=False)
class Optimizer:
    """An optimizer in use: a spec's settings, the slots of each weight, the number of updates."""

    settings: Any
    slots: list[Slots]
    step: Any = 0

    @classmethod
    def start(
        cls, settings: Any, weights: Iterable[Array], zeros_like: Callable[[Array], Array]
    ) -> Optimizer:
        """Return it before its first update: every slot is zeros.

        Args:
            settings: the spec's.
            weights: of any shape.
            zeros_like: the framework's; its result may be a variable.
        """
        _, names = rule_of(settings)
        return cls(settings, [tuple(zeros_like(weight) for _ in names) for weight in weights])

    def update(
        self, weights: Iterable[Array], gradients: Iterable[Array], sqrt: Sqrt
    ) -> list[Array]:
        """Count an update, replace the slots, and return the new weights.

        Args:
            weights: kernels (inputs, units), biases (units,).
            gradients: one for each weight, of its shape.
            sqrt: the framework's.
        """
        rule, _ = rule_of(self.settings)
        self.step += 1
        step = np.float32(self.step) if isinstance(self.step, int) else self.step
        pairs = [
            rule(weight, gradient, slots, step, self.settings, sqrt)
            for weight, gradient, slots in zip(weights, gradients, self.slots, strict=True)
        ]
        self.slots = [slots for _, slots in pairs]
        return [weight for weight, _ in pairs]

    def named_slots(self, names: Iterable[str]) -> Weights:
        """Return the slots, "WEIGHT/SLOT", each of its weight's shape, for those weights' names."""
        kinds = rule_of(self.settings)[1]
        named = [f"{name}/{kind}" for name in names for kind in kinds]
        values = [np.array(slot) for several in self.slots for slot in several]
        return dict(zip(named, values, strict=True))

    def resume(
        self, names: Iterable[str], slots: Weights, step: Any, array: Callable[[Any], Array]
    ) -> None:
        """Set the slots and the number of updates.

        Args:
            names: of the weights, in order.
            slots: "WEIGHT/SLOT", each of its weight's shape, float32.
            step: number of updates so far.
            array: makes an array of the framework's from NumPy's.
        """
        kinds = rule_of(self.settings)[1]
        self.slots = [tuple(array(slots[f"{name}/{kind}"]) for kind in kinds) for name in names]
        self.step = step
