"""The Keras model and optimizer on JAX, stateless, in one program an epoch.

Keras's variables are given back their values after every epoch: five small arrays are renamed, and
none is copied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from harness.spec.data.arrays import Features, Labels, Weights
from harness.worker import keras_model
from harness.worker.epochs.jax import Step, Train, compiled_epoch
from harness.worker.frameworks import jax as framework
from harness.worker.keras_model import export, predict, resume, slots, wait
from harness.worker.replicas import jax as replicas

if TYPE_CHECKING:
    from harness.spec.config import Spec

__all__ = ["build", "epoch", "export", "facts", "place", "predict", "resume", "slots", "wait"]

REPLICAS = {"jax": ()}
Samples = tuple[Any, Any]  # on the device: (n, features) float32, (n,) int32


@dataclass(slots=True)
class State:
    """A Keras model, and an epoch of it as one program."""

    model: Any
    settings: Any  # of its optimizer
    train: Train
    n_compiles: Callable[[], int]


def build(spec: Spec, weights: Weights, options: SimpleNamespace) -> State:
    """Return the spec's model with those weights, as `fit` has it, and its epoch as one program.

    Args:
        spec: layers, loss form, optimizer, batch size.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        options: the arm's own.
    """
    model = keras_model.compiled_model(spec, weights)
    model.optimizer.build(model.trainable_variables)
    train = compiled_epoch(pure_step(model), spec.batch_size)
    return State(model, spec.optimizer, train, framework.watch_compiles(None))


def pure_step(model: Any) -> Step:
    """Return one update of a Keras model as a pure function of the values of its `variables`."""

    def mean_loss(weights: Any, others: Any, images: Any, labels: Any) -> tuple[Any, Any]:
        outputs, others = model.stateless_call(weights, others, images, training=True)
        return model.loss(labels, outputs), (others, jnp.sum(jnp.argmax(outputs, axis=1) == labels))

    def step(carry: Any, batch: tuple[Any, Any]) -> tuple[Any, tuple[Any, Any]]:
        weights, others, optimizer = carry
        batch = replicas.divide(batch)
        differentiate = jax.value_and_grad(mean_loss, has_aux=True)
        (loss, (others, n_correct)), gradients = differentiate(weights, others, *batch)
        weights, optimizer = model.optimizer.stateless_apply(optimizer, gradients, weights)
        return (weights, others, optimizer), (loss * len(batch[1]), n_correct)

    return step


def variables(model: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Return what training changes: weights, the layers' other variables, the optimizer's."""
    return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables


def place(x: Features, y: Labels) -> Samples:
    """Return the samples, x (n, features) float32 and y (n,) uint8, on the device."""
    samples: Samples = jax.device_put((x, y.astype(np.int32)), replicas.everywhere())
    framework.wait(samples)
    return samples


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in order; return the state, mean loss and accuracy before each update."""
    own = variables(state.model)
    carry = jax.tree.map(lambda variable: variable.value, own)
    carry, loss_sum, n_correct = state.train(carry, *data)
    for variable, value in zip(jax.tree.leaves(own), jax.tree.leaves(carry), strict=True):
        variable.assign(value)
    n = len(data[1])
    return state, float(loss_sum) / n, int(n_correct) / n


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows: device, counts, and what is compiled."""
    return keras_model.model_facts(state, compiled=True) | {"n_dispatches": 1}
