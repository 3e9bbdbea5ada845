"""The network in ordinary float32 NumPy, in parts that can be replaced one by one.

On it the gate is proved able to fail.

It is written apart from the referee, and hands back what a worker's arm hands back. A part replaced
is a planted defect, or a change that must not matter: see `harness.experiments.proof.defects`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.referee.fixtures import Point
from harness.referee.oracle import Loss
from harness.referee.trace import Arrays
from harness.spec.config import SGD, Adam, Dense, RMSprop, Spec

Array = NDArray[Any]
Slots = tuple[Array, ...]
Optimizer = SGD | RMSprop | Adam
Samples = tuple[Array, Array]  # x (n, inputs), y (n,)
Passed = tuple[Dense, Array, Array, Array]  # a layer, its inputs, kernel and z
SLOTS = {"rmsprop": ("square",), "adam": ("mean", "square"), "sgd": ("velocity",)}
EPSILON = np.float32(1e-7)  # at which Keras clips probabilities


@dataclass(frozen=True, slots=True)
class State:
    """What the student holds between two updates."""

    weights: dict[str, Array]
    slots: dict[str, Slots]
    n_updates: int
    gradients: dict[str, Array] = field(default_factory=dict)  # of the update before


def load(spec: Spec, point: Point) -> State:
    """Return the state that a point describes."""
    names = SLOTS[spec.optimizer.name] if point.slots else ()
    return State(
        dict(point.weights),
        {name: tuple(point.slots[f"{name}/{kind}"] for kind in names) for name in point.weights},
        point.n_updates,
    )


def dense(
    product: Callable[[Array, Array], Array],
    layer: Dense,
    inputs: Array,
    kernel: Array,
    bias: Array,
) -> Array:
    """Return inputs @ kernel + bias, (B, units)."""
    return np.asarray(product(inputs, kernel) + bias)


def activate(layer: Dense, z: Array) -> Array:
    """Return the layer's outputs, (B, units)."""
    match layer.activation:
        case "relu":
            return np.where(z > 0, z, np.float32(0))
        case "softmax":
            return softmax(z)
        case "linear":
            return z


def softmax(z: Array) -> Array:
    """Return probabilities, (B, classes)."""
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def slope(layer: Dense, z: Array) -> Array:
    """Return the slope of a hidden layer's activation at z, (B, units)."""
    return (z > 0).astype(np.float32) if layer.activation == "relu" else np.ones_like(z)


def cross_entropy(form: Loss, z: Array, a: Array, y: Array) -> tuple[Array, Array]:
    """Return each sample's loss, (B,), and its gradient by the last z, (B, classes).

    It is not divided by B yet.
    """
    rows = np.arange(len(y))
    if form == "probs":
        losses, gradient = -np.log(np.clip(a[rows, y], EPSILON, 1 - EPSILON)), a.copy()
        kept = (a[rows, y] >= EPSILON) & (a[rows, y] <= 1 - EPSILON)
    else:
        losses, gradient = np.log(np.exp(z - z[rows, y][:, None]).sum(axis=1)), softmax(z)
        kept = np.ones(len(y), bool)
    gradient[rows, y] -= 1
    return losses, gradient * kept[:, None]


def update(
    settings: Optimizer, name: str, weight: Array, slots: Slots, gradient: Array, number: int
) -> tuple[Array, Slots]:
    """Return a weight and its slots after update number `number`, all constants float32."""
    rate = np.float32(settings.learning_rate)
    match settings:
        case SGD():
            if not slots:
                return weight - rate * gradient, ()
            velocity = np.float32(settings.momentum) * slots[0] - rate * gradient
            return weight + velocity, (velocity,)
        case RMSprop():
            square = np.float32(settings.rho) * slots[0] + np.float32(1 - settings.rho) * np.square(
                gradient
            )
            return weight - rate * gradient / np.sqrt(square + np.float32(settings.epsilon)), (
                square,
            )
        case Adam():
            mean = slots[0] + np.float32(1 - settings.beta_1) * (gradient - slots[0])
            square = slots[1] + np.float32(1 - settings.beta_2) * (np.square(gradient) - slots[1])
            power_1, power_2 = (
                np.float32(beta) ** np.float32(number)
                for beta in (settings.beta_1, settings.beta_2)
            )
            rate = rate * np.sqrt(1 - power_2) / (1 - power_1)
            return weight - mean * rate / (np.sqrt(square) + np.float32(settings.epsilon)), (
                mean,
                square,
            )


def batches(x: Array, y: Array, size: int) -> Iterable[Samples]:
    """Yield the samples batch by batch, the last one short."""
    for begin in range(0, len(y), size):
        yield x[begin : begin + size], y[begin : begin + size]


@dataclass(frozen=True, slots=True)
class Student:
    """An implementation of a spec.

    Each field is one thing that it does, and that it may do wrongly.
    """

    settings: Callable[[Optimizer], Optimizer] = lambda optimizer: optimizer
    read: Callable[[Array, Array], Samples] = lambda x, y: (x, y)
    load: Callable[[Spec, Point], State] = load
    export: Callable[[State], Mapping[str, Array]] = lambda state: state.weights
    product: Callable[[Array, Array], Array] = np.matmul
    dense: Callable[[Callable[[Array, Array], Array], Dense, Array, Array, Array], Array] = dense
    activate: Callable[[Dense, Array], Array] = activate
    slope: Callable[[Dense, Array], Array] = slope
    form: Callable[[Loss], Loss] = lambda loss: loss
    # Of one sample in the gradient of n, in batches of size.
    share: Callable[[int, int], float] = lambda n, size: 1 / n
    collect: Callable[[Array, Array | None], Array] = lambda gradient, before: gradient
    update: Callable[[Optimizer, str, Array, Slots, Array, int], tuple[Array, Slots]] = update
    epochs: Callable[[Sequence[Samples]], Sequence[Samples]] = lambda epochs: epochs
    batches: Callable[[Array, Array, int], Iterable[Samples]] = batches
    # Of right ones and samples in each batch.
    accuracy: Callable[[Array, Array], float] = lambda n_right, n: n_right.sum() / n.sum()

    def step(
        self, spec: Spec, loss: Loss, state: State, x: Array, y: Array
    ) -> tuple[Arrays, State]:
        """Return every quantity of one update, and the state after it."""
        x, y = self.read(x, y)
        found: Arrays = {}
        passed, out = [], x
        for layer in spec.layers:
            inputs, kernel = out, state.weights[f"{layer.name}/kernel"]
            z = self.dense(self.product, layer, inputs, kernel, state.weights[f"{layer.name}/bias"])
            out = self.activate(layer, z)
            found |= {f"{layer.name}/z": z} | (
                {} if layer.activation == "linear" else {f"{layer.name}/a": out}
            )
            passed.append((layer, inputs, kernel, z))
        losses, flow = cross_entropy(self.form(loss), z, out, y)
        found |= {"losses": losses, "loss": np.asarray(losses.mean())}
        flow = flow * np.float32(self.share(len(y), spec.batch_size))
        gradients = self._pull_back(spec, state, passed, flow)
        settings, number = self.settings(spec.optimizer), state.n_updates + 1
        after = {
            name: self.update(settings, name, weight, state.slots[name], gradients[name], number)
            for name, weight in state.weights.items()
        }
        state = State(
            {name: new for name, (new, _) in after.items()},
            {name: slots for name, (_, slots) in after.items()},
            number,
            gradients,
        )
        return found | {
            f"gradient/{name}": gradient for name, gradient in gradients.items()
        } | self._held(spec, state), state

    def _pull_back(
        self, spec: Spec, state: State, passed: Sequence[Passed], flow: Array
    ) -> dict[str, Array]:
        """Return every weight's gradient, from that of the last layer's z, (B, classes)."""
        gradients: dict[str, Array] = {}
        for layer, inputs, kernel, z in reversed(passed):
            flow = flow if layer is spec.layers[-1] else flow * self.slope(layer, z)
            own = {
                f"{layer.name}/kernel": self.product(inputs.T, flow),
                f"{layer.name}/bias": flow.sum(axis=0),
            }
            gradients |= {
                name: self.collect(gradient, state.gradients.get(name))
                for name, gradient in own.items()
            }
            flow = flow if layer is spec.layers[0] else self.product(flow, kernel.T)
        return gradients

    def trace(self, spec: Spec, loss: Loss, point: Point) -> dict[str, Arrays]:
        """Return what a worker hands back of one update from a point, by program."""
        state = self.load(spec, point)
        given = {
            f"set/{name.partition('/')[2]}": value
            for name, value in self._held(spec, state).items()
            if name != "n_updates"
        }
        found, _ = self.step(spec, loss, state, point.x, point.y)
        last = spec.layers[-1]
        hidden = {f"{layer.name}/{part}" for layer in spec.layers for part in ("z", "a")} | {
            "losses"
        }
        outputs = found[f"{last.name}/{'z' if last.activation == 'linear' else 'a'}"]
        production = {name: value for name, value in found.items() if name not in hidden}
        # As it reports it; what it computes with is its own affair.
        rate = np.float32(spec.optimizer.learning_rate)
        return {
            "production": given | production | {"outputs": outputs},
            "instrumented": given | found | {"learning_rate": np.asarray(rate)},
        }

    def loop(self, spec: Spec, loss: Loss, point: Point, epochs: Sequence[Samples]) -> Arrays:
        """Return what a worker hands back of some epochs from a point."""
        state, last = self.load(spec, point), spec.layers[-1]
        losses, accuracies = [], []
        for x, y in self.epochs(epochs):
            loss_sum, n_right, n = 0.0, [], []
            for batch, labels in self.batches(x, y, spec.batch_size):
                found, state = self.step(spec, loss, state, batch, labels)
                outputs = found[f"{last.name}/{'z' if last.activation == 'linear' else 'a'}"]
                loss_sum += float(found["loss"]) * len(labels)
                n_right.append(np.count_nonzero(outputs.argmax(axis=1) == labels))
                n.append(len(labels))
            losses.append(loss_sum / sum(n))
            accuracies.append(self.accuracy(np.array(n_right), np.array(n)))
        return {
            "loss": np.array(losses),
            "accuracy": np.array(accuracies),
            **self._held(spec, state),
        }

    def first_epoch(
        self, spec: Spec, loss: Loss, start: Point, samples: Samples, stops: Sequence[int]
    ) -> dict[int, Arrays]:
        """Return what a worker hands back of the first epoch as far as each of those updates."""
        found = {}
        for stop in stops:
            n = stop * spec.batch_size
            of_prefix = self.loop(spec, loss, start, [(samples[0][:n], samples[1][:n])])
            found[stop] = of_prefix | {"loss": of_prefix["loss"][0]}
        return found

    def _held(self, spec: Spec, state: State) -> Arrays:
        """Return weights, slots and count as they are read out."""
        found = {f"weight/{name}": value for name, value in self.export(state).items()}
        kinds = SLOTS[spec.optimizer.name]
        found |= {
            f"slot/{name}/{kind}": slot
            for name, several in state.slots.items()
            for kind, slot in zip(kinds, several, strict=False)
        }
        return found | {"n_updates": np.asarray(state.n_updates)}
