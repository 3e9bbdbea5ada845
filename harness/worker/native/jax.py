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
from harness.inputs.arrays import Features, Labels, Weights
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
"""From what training carries on and an epoch's samples to what it carries on, the sum of losses and the number right."""


@dataclass(slots=True)
class State:
    """What training carries on, and the functions that do it."""

    carry: Any  # {"weights": [(I, O), (O,), ...], "optimizer": its state, "n_updates": ()}
    names: tuple[str, ...]
    settings: Any  # the optimizer's; None in the idiomatic flavour, whose memory is optax's own
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
    """Return the logits, (B, O); `activations` are the hidden layers'."""
    for index, activation in enumerate((*activations, "linear")):
        images = ACTIVATIONS[activation](images @ weights[2 * index] + weights[2 * index + 1])
    return images


def loss_from_probabilities(logits: Any, labels: Any) -> Any:
    """Return each sample's loss, (B,), by way of clipped probabilities and one-hot labels, as Keras on JAX has it."""
    logs = jnp.log(jnp.clip(jax.nn.softmax(logits), EPSILON, 1 - EPSILON))
    return -jnp.sum(jax.nn.one_hot(labels, logits.shape[1]) * logs, axis=1)


def loss_from_logits(logits: Any, labels: Any) -> Any:
    """Return each sample's loss, (B,), as Keras on JAX has it."""
    return -jnp.sum(jax.nn.one_hot(labels, logits.shape[1]) * jax.nn.log_softmax(logits), axis=1)


LOSSES = {"probs": loss_from_probabilities, "logits": loss_from_logits}


def keras_update(
    settings: Any,
) -> tuple[Callable[[Any], Any], Callable[[Any, Any, Any], tuple[Any, Any]]]:
    """Return (start, update) of the optimizer in Keras's equations, with all of the spec's settings."""

    def start(weights: Any) -> Any:
        return {
            "slots": Optimizer.start(settings, weights, jnp.zeros_like).slots,
            "step": jnp.float32(0),
        }

    def update(weights: Any, gradients: Any, carried: Any) -> tuple[Any, Any]:
        optimizer = Optimizer(settings, carried["slots"], carried["step"])
        return optimizer.update(weights, gradients, jnp.sqrt), {
            "slots": optimizer.slots,
            "step": optimizer.step,
        }

    return start, update


def own_update(
    settings: Any,
) -> tuple[Callable[[Any], Any], Callable[[Any, Any, Any], tuple[Any, Any]]]:
    """Return (start, update) of optax's optimizer of that name with its own defaults, at the spec's learning rate and momentum."""
    known = {
        "sgd": lambda: optax.sgd(settings.learning_rate, settings.momentum or None),
        "rmsprop": lambda: optax.rmsprop(settings.learning_rate),
        "adam": lambda: optax.adam(settings.learning_rate),
    }
    optimizer = known[settings.name]()

    def update(weights: Any, gradients: Any, carried: Any) -> tuple[Any, Any]:
        updates, carried = optimizer.update(gradients, carried, weights)
        return optax.apply_updates(weights, updates), carried

    return optimizer.init, update


def build(spec: Spec, weights: Weights, options: SimpleNamespace) -> State:
    """Return what training begins with, holding those weights, and its compiled functions in the flavour asked for.

    Args:
        spec: layers, loss form, optimizer, batch size.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        options: the arm's own.
    """
    idiomatic = getattr(options, "flavour", "equal") == "idiomatic"
    activations = tuple(layer.activation for layer in spec.layers[:-1])
    losses = (
        optax.losses.softmax_cross_entropy_with_integer_labels
        if idiomatic
        else LOSSES[spec.loss_form]
    )
    start, update = (own_update if idiomatic else keras_update)(spec.optimizer)

    def mean_loss(weights: Any, images: Any, labels: Any) -> tuple[Any, Any]:
        logits = forward(weights, images, activations)
        return losses(logits, labels).mean(), jnp.sum(jnp.argmax(logits, axis=1) == labels)

    def step(carry: Any, batch: tuple[Any, Any]) -> tuple[Any, tuple[Any, Any]]:
        images, labels = batch
        (average_loss, n_correct), gradients = jax.value_and_grad(mean_loss, has_aux=True)(
            carry["weights"], images, labels
        )
        new, optimizer = update(carry["weights"], gradients, carry["optimizer"])
        return {"weights": new, "optimizer": optimizer, "n_updates": carry["n_updates"] + 1}, (
            average_loss * len(labels),
            n_correct,
        )

    def outputs(carried: Any, images: Any) -> Any:
        logits = forward(carried, images, activations)
        return jax.nn.softmax(logits) if spec.loss_form == "probs" else logits

    first = [jnp.array(value) for value in weights.values()]
    return State(
        carry={"weights": first, "optimizer": start(first), "n_updates": jnp.int32(0)},
        names=tuple(weights),
        settings=None if idiomatic else spec.optimizer,
        start=start,
        train=(looped if idiomatic else whole)(step, spec.batch_size),
        predict=jax.jit(outputs),
        n_compiles=framework.watch_compiles(None),
    )


def whole(step: Callable[..., Any], batch_size: int) -> Train:
    """Return an epoch as one compiled program."""
    train = compiled_epoch(step, batch_size)
    return lambda carry, data: train(carry, *data.device)


def looped(step: Callable[..., Any], batch_size: int) -> Train:
    """Return an epoch as a Python loop over a compiled step."""
    compiled = jax.jit(step, donate_argnums=0)

    def train(carry: Any, data: Samples) -> tuple[Any, Any, Any]:
        loss_sum = right = 0
        images, labels = data.host
        for begin in range(0, len(labels), batch_size):
            batch = slice(begin, begin + batch_size)
            carry, (loss, n_correct) = compiled(carry, (images[batch], labels[batch]))
            loss_sum, right = loss_sum + loss, right + n_correct
        return carry, loss_sum, right

    return train


def place(x: Features, y: Labels) -> Samples:
    """Return the samples, x (n, features) float32 and y (n,) uint8, on the device."""
    host = x, y.astype(np.int32)
    samples = Samples(host, jax.device_put(host))
    framework.wait(samples.device)
    return samples


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in the order given; return the state, mean loss and accuracy.

    Loss and accuracy are of each sample before its update.
    """
    state.carry, loss_sum, n_correct = state.train(state.carry, data)
    n = len(data.host[1])
    return state, float(loss_sum) / n, int(n_correct) / n


def predict(state: State, x: Features) -> Features:
    """Return the model's outputs, (n, classes) float32, for x (n, features) float32."""
    return np.asarray(state.predict(state.carry["weights"], x))


def export(state: State) -> Weights:
    """Return the weights by name, float32: kernels (inputs, units), biases (units,)."""
    return {
        name: np.asarray(weight)
        for name, weight in zip(state.names, state.carry["weights"], strict=True)
    }


def slots(state: State) -> Weights:
    """Return what the optimizer remembers, float32: "WEIGHT/SLOT", each of its weight's shape.

    The idiomatic flavour returns nothing.
    """
    return (
        Optimizer(state.settings, state.carry["optimizer"]["slots"]).named_slots(state.names)
        if state.settings
        else {}
    )


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
        raise Refused(
            "the idiomatic flavour keeps optax's own memory: it begins anew, and is not resumed"
        )
    first = [jnp.array(value) for value in weights.values()]
    optimizer = state.start(first)
    if state.settings:
        there = Optimizer(state.settings, [])
        there.resume(state.names, slots, jnp.float32(n_updates), jnp.array)
        optimizer = {"slots": there.slots, "step": there.step}
    state.carry = {"weights": first, "optimizer": optimizer, "n_updates": jnp.int32(n_updates)}
    return state


def wait(state: State) -> None:
    """Return once the device has finished every update."""
    framework.wait(jax.tree.leaves(state.carry))


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows: device, counts, and what is compiled."""
    weights = state.carry["weights"]
    return {
        "device": framework.where(weights[0]),
        "n_parameters": sum(weight.size for weight in weights),
        "n_updates": int(state.carry["n_updates"]),
        "n_compiles": state.n_compiles(),
        **({"n_dispatches": 1} if state.settings else {}),
        "jit_requested": True,
        "jit_effective": True,
        "eager": False,
        "precision": "float32",
    }
