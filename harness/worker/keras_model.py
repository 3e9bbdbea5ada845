"""The Keras model of every arm that trains one: built, compiled, read and resumed.

Here are the verbs that all these arms have in common, for any state that holds such a model; an arm
imports them by their names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import keras
import numpy as np

from harness.spec.data.arrays import Features, Weights
from harness.worker import replicas
from harness.worker.arm_facts import arm_facts
from harness.worker.keras_optimizer import (
    FRAMEWORK,
    KerasOptimizer,
    make_optimizer,
    read_variable,
)

if TYPE_CHECKING:  # at run time a request has plain attributes: no validation library is here
    from harness.spec.config import Spec

PREDICT_BATCH = 1000  # divides the 10,000 test images: one shape to compile


def compiled_model(spec: Spec, weights: Weights, **options: Any) -> Any:
    """Return the spec's model with those weights, compiled as in the textbook.

    Args:
        spec: layers, loss form and optimizer.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        options: more arguments of `compile`.
    """
    n_inputs = weights[f"{spec.layers[0].name}/kernel"].shape[0]
    layers = [
        keras.layers.Dense(layer.units, activation=layer.activation, name=layer.name)
        for layer in spec.layers
    ]
    model = keras.Sequential([keras.Input((n_inputs,)), *layers])
    set_weights(model, weights)
    model.compile(
        optimizer=make_optimizer(spec.optimizer),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=spec.loss_form == "logits"),
        metrics=["accuracy"],
        **options,
    )
    return model


def set_weights(model: Any, weights: Weights) -> None:
    """Give the model those weights: by name, kernels (inputs, units), biases (units,), float32."""
    for layer in model.layers:
        layer.kernel.assign(weights[f"{layer.name}/kernel"])
        layer.bias.assign(weights[f"{layer.name}/bias"])


class KerasState(Protocol):
    """A state of training that holds a compiled Keras model."""

    model: Any
    settings: Any  # of its optimizer

    @property
    def n_compiles(self) -> Callable[[], int]:
        """How many programs were compiled so far."""


S = TypeVar("S", bound=KerasState)


def predict(state: KerasState, x: Features) -> Features:
    """Return the model's outputs, (n, classes) float32, for x (n, features) float32.

    **Differs**: on JAX each of several devices must have as many samples, so some come twice.
    """
    n_replicas = len(replicas.of(keras.backend.backend()).holders(state.model))
    padded = np.pad(x, ((0, -len(x) % n_replicas), (0, 0)), "edge") if n_replicas > 1 else x
    size = PREDICT_BATCH - PREDICT_BATCH % n_replicas
    return np.asarray(state.model.predict(padded, batch_size=size, verbose=0))[: len(x)]


def export(state: KerasState) -> Weights:
    """Return the weights by name, float32: kernels (inputs, units), biases (units,)."""
    return {
        f"{layer.name}/{part}": read_variable(getattr(layer, part))
        for layer in state.model.layers
        for part in ("kernel", "bias")
    }


def slots(state: KerasState) -> Weights:
    """Return the optimizer's slots, float32: "WEIGHT/SLOT", each of its weight's shape."""
    return _optimizer(state).named_slots(export(state))


def resume(state: S, weights: Weights, slots: Weights, n_updates: int) -> S:
    """Return the state as training left it after `n_updates`.

    Args:
        state: of the same model.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        slots: "WEIGHT/SLOT", float32, each of its weight's shape.
        n_updates: how many updates made them.
    """
    set_weights(state.model, weights)
    _optimizer(state).resume(weights, slots, n_updates)
    return state


def wait(state: KerasState) -> None:
    """Return once the device has finished every update."""
    FRAMEWORK.wait([variable.value for variable in state.model.variables])


def model_facts(state: KerasState, *, compiled: bool) -> dict[str, Any]:
    """Return what is known of any Keras model: device, counts, precision, and what is compiled."""
    weights = [variable.value for variable in state.model.trainable_variables]
    n_updates, n_compiles = _optimizer(state).step, state.n_compiles()
    found = arm_facts(FRAMEWORK, weights, n_updates, n_compiles, compiled=compiled)
    seen = replicas.seen(keras.backend.backend(), state.model)
    return found | {"precision": keras.config.dtype_policy().name} | seen


def _optimizer(state: KerasState) -> KerasOptimizer:
    model = state.model
    return KerasOptimizer(model.optimizer, state.settings, model.trainable_variables)
