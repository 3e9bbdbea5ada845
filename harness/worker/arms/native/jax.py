"""JAX's own idiom: pure functions, compiled.

`equal`: a whole epoch is one compiled program, a loop over its full batches and the short one after
them; optimizers in Keras's equations. `idiomatic`: a compiled step, optax with its defaults, and a
Python loop over batches of NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from harness.errors import Refused
from harness.spec.data.arrays import Features, Labels, Weights
from harness.worker.arm_facts import arm_facts
from harness.worker.epochs.jax import compiled_epoch
from harness.worker.frameworks import jax as framework
from harness.worker.optimizers import Optimizer

if TYPE_CHECKING:
    from harness.spec.config import Spec

OPTIONS = {"flavour": ("equal", "idiomatic")}
EXPRESSES = {"activations": ("linear", "relu")}  # of hidden layers
ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {"linear": lambda z: z, "relu": jax.nn.relu}
EPSILON = 1e-7  # as Keras clips probabilities
Train = Callable[[Any, "Samples"], tuple[Any, Any, Any]]
"""From carry and an epoch's samples to the next carry, the sum of losses and the number right."""
Update = tuple[Callable[[Any], Any], Callable[[Any, Any, Any], tuple[Any, Any]]]
"""Two functions. The first one, from weights to the optimizer's state before its first update; the
second one, from weights, gradients and state to new weights and new state."""


@dataclass(slots=True)
class State:
    """What training carries from batch to batch, and the functions that train."""

    carry: Any  # {"weights": [(I, O), (O,), ...], "optimizer": its state, "n_updates": ()}
    names: tuple[str, ...]
    settings: Any  # the optimizer's; None in the idiomatic flavour, whose state is optax's own
    start: Callable[[Any], Any]  # from weights to the optimizer's state before its first update
    train: Train
    predict: Callable[[Any, Any], Any]
    n_compiles: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Samples:
    """One epoch's samples, in NumPy's memory and on the device."""

    host: tuple[NDArray[np.float32], NDArray[np.int32]]
    device: tuple[Any, Any]  # (n, features) float32, (n,) int32


def forward(weights: Any, images: Any, activations: tuple[str, ...]) -> Any:
    """Return the logits, (B, O) float32.

    Args:
        weights: kernels (inputs, units) and biases (units,) by turns.
        images: (B, features) float32.
        activations: of the hidden layers.
    """
    for index, activation in enumerate((*activations, "linear")):
        images = ACTIVATIONS[activation](images @ weights[2 * index] + weights[2 * index + 1])
    return images


def loss_from_probabilities(logits: Any, labels: Any) -> Any:
    """Return each sample's loss, (B,), from clipped probabilities, as Keras computes it on JAX."""
    logs = jnp.log(jnp.clip(jax.nn.softmax(logits), EPSILON, 1 - EPSILON))
    return -jnp.sum(jax.nn.one_hot(labels, logits.shape[1]) * logs, axis=1)


def loss_from_logits(logits: Any, labels: Any) -> Any:
    """Return each sample's loss, (B,), from logits (B, O), as Keras computes it on JAX."""
    return -jnp.sum(jax.nn.one_hot(labels, logits.shape[1]) * jax.nn.log_softmax(logits), axis=1)


OPTAX_LOSS = optax.losses.softmax_cross_entropy_with_integer_labels
LOSSES = {"probs": loss_from_probabilities, "logits": loss_from_logits}


def keras_update(settings: Any) -> Update:
    """Return the optimizer in Keras's equations, with all of the spec's settings."""

    def start(weights: Any) -> Any:
        slots = Optimizer.start(settings, weights, jnp.zeros_like).slots
        return {"slots": slots, "step": jnp.float32(0)}

    def update(weights: Any, gradients: Any, state: Any) -> tuple[Any, Any]:
        optimizer = Optimizer(settings, state["slots"], state["step"])
        weights = optimizer.update(weights, gradients, jnp.sqrt)
        return weights, {"slots": optimizer.slots, "step": optimizer.step}

    return start, update


def optax_update(settings: Any) -> Update:
    """Return optax's optimizer with its own defaults, at the spec's learning rate and momentum."""
    known = {
        "sgd": lambda: optax.sgd(settings.learning_rate, settings.momentum or None),
        "rmsprop": lambda: optax.rmsprop(settings.learning_rate),
        "adam": lambda: optax.adam(settings.learning_rate),
    }
    optimizer = known[settings.name]()

    def update(weights: Any, gradients: Any, state: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update(gradients, state, weights)
        return optax.apply_updates(weights, updates), state

    return optimizer.init, update


def build(spec: Spec, weights: Weights, options: SimpleNamespace) -> State:
    """Return those weights, and the compiled functions that train them in the flavour asked for.

    Args:
        spec: layers, loss form, optimizer, batch size.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        options: the arm's own.
    """
    idiomatic = getattr(options, "flavour", "equal") == "idiomatic"
    activations = tuple(layer.activation for layer in spec.layers[:-1])
    losses = OPTAX_LOSS if idiomatic else LOSSES[spec.loss_form]
    start, update = (optax_update if idiomatic else keras_update)(spec.optimizer)

    def mean_loss(weights: Any, images: Any, labels: Any) -> tuple[Any, Any]:
        logits = forward(weights, images, activations)
        return losses(logits, labels).mean(), jnp.sum(jnp.argmax(logits, axis=1) == labels)

    def step(carry: Any, batch: tuple[Any, Any]) -> tuple[Any, tuple[Any, Any]]:
        images, labels = batch
        differentiate, weights = jax.value_and_grad(mean_loss, has_aux=True), carry["weights"]
        (average_loss, n_correct), gradients = differentiate(weights, images, labels)
        weights, optimizer = update(weights, gradients, carry["optimizer"])
        carry = {"weights": weights, "optimizer": optimizer, "n_updates": carry["n_updates"] + 1}
        return carry, (average_loss * len(labels), n_correct)

    def outputs(weights: Any, images: Any) -> Any:
        logits = forward(weights, images, activations)
        return jax.nn.softmax(logits) if spec.loss_form == "probs" else logits

    first = [jnp.array(value) for value in weights.values()]
    return State(
        carry={"weights": first, "optimizer": start(first), "n_updates": jnp.int32(0)},
        names=tuple(weights),
        settings=None if idiomatic else spec.optimizer,
        start=start,
        train=(python_loop if idiomatic else compiled_loop)(step, spec.batch_size),
        predict=jax.jit(outputs),
        n_compiles=framework.watch_compiles(None),
    )


def compiled_loop(step: Callable[..., Any], batch_size: int) -> Train:
    """Return an epoch as one compiled program."""
    train = compiled_epoch(step, batch_size)
    return lambda carry, data: train(carry, *data.device)


def python_loop(step: Callable[..., Any], batch_size: int) -> Train:
    """Return an epoch as a Python loop over a compiled step."""
    compiled = jax.jit(step, donate_argnums=0)

    def train(carry: Any, data: Samples) -> tuple[Any, Any, Any]:
        loss_sum = n_correct = 0
        images, labels = data.host
        for begin in range(0, len(labels), batch_size):
            batch = slice(begin, begin + batch_size)
            carry, (loss, n) = compiled(carry, (images[batch], labels[batch]))
            loss_sum, n_correct = loss_sum + loss, n_correct + n
        return carry, loss_sum, n_correct

    return train


def place(x: Features, y: Labels) -> Samples:
    """Return the samples, x (n, features) float32 and y (n,) uint8, on the device."""
    host = x, y.astype(np.int32)
    samples = Samples(host, jax.device_put(host))
    framework.wait(samples.device)
    return samples


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in order; return the state, mean loss and accuracy before each update."""
    state.carry, loss_sum, n_correct = state.train(state.carry, data)
    n = len(data.host[1])
    return state, float(loss_sum) / n, int(n_correct) / n


def predict(state: State, x: Features) -> Features:
    """Return the model's outputs, (n, classes) float32, for x (n, features) float32."""
    return np.asarray(state.predict(state.carry["weights"], x))


def export(state: State) -> Weights:
    """Return the weights by name, float32: kernels (inputs, units), biases (units,)."""
    return dict(zip(state.names, map(np.asarray, state.carry["weights"]), strict=True))


def slots(state: State) -> Weights:
    """Return the slots, float32: "WEIGHT/SLOT", each of its weight's shape; none if idiomatic."""
    if not state.settings:
        return {}
    return Optimizer(state.settings, state.carry["optimizer"]["slots"]).named_slots(state.names)


def resume(state: State, weights: Weights, slots: Weights, n_updates: int) -> State:
    """Return the state as training left it after `n_updates`.

    Args:
        state: of the same model.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        slots: "WEIGHT/SLOT", float32, each of its weight's shape.
        n_updates: how many updates made them.

    Raises:
        Refused: the idiomatic flavour cannot be resumed.
    """
    if n_updates and not state.settings:
        raise Refused("the idiomatic flavour keeps optax's own state, and cannot be resumed")
    first = [jnp.array(value) for value in weights.values()]
    optimizer = state.start(first)
    if state.settings:
        resumed = Optimizer(state.settings, [])
        resumed.resume(state.names, slots, jnp.float32(n_updates), jnp.array)
        optimizer = {"slots": resumed.slots, "step": resumed.step}
    state.carry = {"weights": first, "optimizer": optimizer, "n_updates": jnp.int32(n_updates)}
    return state


def wait(state: State) -> None:
    """Return once the device has finished every update."""
    framework.wait(jax.tree.leaves(state.carry))


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows: device, counts, and what is compiled."""
    weights, n_updates = state.carry["weights"], int(state.carry["n_updates"])
    found = arm_facts(framework, weights, n_updates, state.n_compiles(), compiled=True)
    return found | ({"n_dispatches": 1} if state.settings else {})
