"""The network in ordinary float32 NumPy, in parts that can be replaced one by one.

On it the gate is proved able to fail.

It is written apart from the referee, and hands back what a worker's arm hands back. A part replaced
is a planted defect, or a change that must not matter: see `harness.experiments.proof.defects`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.referee.epoch import Epoch
from harness.referee.fixtures import Point
from harness.referee.oracle import Loss
from harness.referee.trace import Arrays
from harness.spec.config import SGD, Adam, Dense, RMSprop, Spec

Array = NDArray[Any]
Slots = tuple[Array, ...]
Optimizer = SGD | RMSprop | Adam
Samples = tuple[Array, Array]  # x (n, inputs), y (n,)
SLOTS = {"rmsprop": ("square",), "adam": ("mean", "square"), "sgd": ("velocity",)}
EPSILON = np.float32(1e-7)  # at which Keras clips probabilities


@dataclass(frozen=True, slots=True)
class Given:
    """What a layer computes from."""

    layer: Dense
    inputs: Array  # (B, inputs)
    kernel: Array  # (inputs, units)
    bias: Array  # (units,)


@dataclass(frozen=True, slots=True)
class Update:
    """What an update of one weight computes from, all float32."""

    settings: Optimizer
    name: str  # of the weight
    weight: Array
    slots: Slots  # of the weight's shape
    gradient: Array  # of the weight's shape
    number: int  # of the update, from 1


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


def dense(product: Callable[[Array, Array], Array], given: Given) -> Array:
    """Return inputs @ kernel + bias, (B, units)."""
    return np.asarray(product(given.inputs, given.kernel) + given.bias)


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


def _cross_entropy(form: Loss, z: Array, a: Array, y: Array) -> tuple[Array, Array]:
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


def update(this: Update) -> tuple[Array, Slots]:
    """Return a weight and its slots after an update, all constants float32."""
    settings, slots, gradient = this.settings, this.slots, this.gradient
    rate = np.float32(settings.learning_rate)
    match settings:
        case SGD():
            if not slots:
                return this.weight - rate * gradient, ()
            velocity = np.float32(settings.momentum) * slots[0] - rate * gradient
            return this.weight + velocity, (velocity,)
        case RMSprop():
            square: Array = np.float32(settings.rho) * slots[0]
            square = square + np.float32(1 - settings.rho) * np.square(gradient)
            step = rate * gradient / np.sqrt(square + np.float32(settings.epsilon))
            return this.weight - step, (square,)
        case Adam():
            mean = slots[0] + np.float32(1 - settings.beta_1) * (gradient - slots[0])
            square = slots[1] + np.float32(1 - settings.beta_2) * (np.square(gradient) - slots[1])
            power_1, power_2 = (
                np.float32(beta) ** np.float32(this.number)
                for beta in (settings.beta_1, settings.beta_2)
            )
            rate = rate * np.sqrt(1 - power_2) / (1 - power_1)
            step = mean * rate / (np.sqrt(square) + np.float32(settings.epsilon))
            return this.weight - step, (mean, square)


def batches(samples: Samples, size: int) -> Iterable[Samples]:
    """Yield the samples batch by batch, the last one short."""
    x, y = samples
    for begin in range(0, len(y), size):
        yield x[begin : begin + size], y[begin : begin + size]


@dataclass(frozen=True, slots=True)
class Student:
    """An implementation of a spec.

    Each further field is one thing that it does, and that it may do wrongly.
    """

    spec: Spec
    loss: Loss  # that it is documented to compute
    settings: Callable[[Optimizer], Optimizer] = lambda optimizer: optimizer
    read: Callable[[Array, Array], Samples] = lambda x, y: (x, y)
    load: Callable[[Spec, Point], State] = load
    export: Callable[[State], Mapping[str, Array]] = lambda state: state.weights
    product: Callable[[Array, Array], Array] = np.matmul
    dense: Callable[[Callable[[Array, Array], Array], Given], Array] = dense
    activate: Callable[[Dense, Array], Array] = activate
    slope: Callable[[Dense, Array], Array] = slope
    form: Callable[[Loss], Loss] = lambda loss: loss
    # Of one sample in the gradient of n, in batches of size.
    share: Callable[[int, int], float] = lambda n, size: 1 / n
    collect: Callable[[Array, Array | None], Array] = lambda gradient, before: gradient
    update: Callable[[Update], tuple[Array, Slots]] = update
    epochs: Callable[[Sequence[Samples]], Sequence[Samples]] = lambda epochs: epochs
    batches: Callable[[Samples, int], Iterable[Samples]] = batches
    # Of right ones and samples in each batch.
    accuracy: Callable[[Array, Array], float] = lambda n_right, n: n_right.sum() / n.sum()

    def step(self, state: State, samples: Samples) -> tuple[Arrays, State]:
        """Return every quantity of one update by a batch, and the state after it."""
        spec, (x, y) = self.spec, self.read(*samples)
        found: Arrays = {}
        passed, out = [], x
        for layer in spec.layers:
            parts = (state.weights[f"{layer.name}/{part}"] for part in ("kernel", "bias"))
            given = Given(layer, out, *parts)
            z = self.dense(self.product, given)
            out = self.activate(layer, z)
            found |= {f"{layer.name}/z": z} | (
                {} if layer.activation == "linear" else {f"{layer.name}/a": out}
            )
            passed.append((given, z))
        losses, flow = _cross_entropy(self.form(self.loss), z, out, y)
        found |= {"losses": losses, "loss": np.asarray(losses.mean())}
        flow = flow * np.float32(self.share(len(y), spec.batch_size))
        gradients = self._pull_back(state, passed, flow)
        settings, number = self.settings(spec.optimizer), state.n_updates + 1
        after = {
            name: self.update(
                Update(settings, name, weight, state.slots[name], gradients[name], number)
            )
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
        } | self._held(state), state

    def _pull_back(
        self, state: State, passed: Sequence[tuple[Given, Array]], flow: Array
    ) -> dict[str, Array]:
        """Return every weight's gradient, from that of the last layer's z, (B, classes)."""
        gradients: dict[str, Array] = {}
        for given, z in reversed(passed):
            layer = given.layer
            flow = flow if layer is self.spec.layers[-1] else flow * self.slope(layer, z)
            own = {
                f"{layer.name}/kernel": self.product(given.inputs.T, flow),
                f"{layer.name}/bias": flow.sum(axis=0),
            }
            gradients |= {
                name: self.collect(gradient, state.gradients.get(name))
                for name, gradient in own.items()
            }
            flow = flow if layer is self.spec.layers[0] else self.product(flow, given.kernel.T)
        return gradients

    def trace(self, point: Point) -> dict[str, Arrays]:
        """Return what a worker hands back of one update from a point, by program."""
        spec = self.spec
        state = self.load(spec, point)
        given = {
            f"set/{name.partition('/')[2]}": value
            for name, value in self._held(state).items()
            if name != "n_updates"
        }
        found, _ = self.step(state, (point.x, point.y))
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

    def loop(self, point: Point, epochs: Sequence[Samples]) -> Arrays:
        """Return what a worker hands back of some epochs from a point."""
        state, last = self.load(self.spec, point), self.spec.layers[-1]
        losses, accuracies = [], []
        for samples in self.epochs(epochs):
            loss_sum, n_right, n = 0.0, [], []
            for batch in self.batches(samples, self.spec.batch_size):
                found, state = self.step(state, batch)
                labels = batch[1]
                outputs = found[f"{last.name}/{'z' if last.activation == 'linear' else 'a'}"]
                loss_sum += float(found["loss"]) * len(labels)
                n_right.append(np.count_nonzero(outputs.argmax(axis=1) == labels))
                n.append(len(labels))
            losses.append(loss_sum / sum(n))
            accuracies.append(self.accuracy(np.array(n_right), np.array(n)))
        return {
            "loss": np.array(losses),
            "accuracy": np.array(accuracies),
            **self._held(state),
        }

    def first_epoch(self, whole: Epoch) -> dict[int, Arrays]:
        """Return what a worker hands back of the first epoch, as far as each of its stops."""
        x, y = (np.concatenate(several) for several in zip(*whole.batches(), strict=True))
        slower, found = replace(self, spec=whole.spec), {}
        for stop in whole.stops:
            n = stop * whole.spec.batch_size
            of_prefix = slower.loop(whole.start, [(x[:n], y[:n].astype(np.int64))])
            found[stop] = of_prefix | {"loss": of_prefix["loss"][0]}
        return found

    def _held(self, state: State) -> Arrays:
        """Return weights, slots and count as they are read out."""
        found = {f"weight/{name}": value for name, value in self.export(state).items()}
        kinds = SLOTS[self.spec.optimizer.name]
        found |= {
            f"slot/{name}/{kind}": slot
            for name, several in state.slots.items()
            for kind, slot in zip(kinds, several, strict=False)
        }
        return found | {"n_updates": np.asarray(state.n_updates)}
