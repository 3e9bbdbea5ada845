"""The Keras model of every arm that trains one: built, compiled, read out and resumed, on whichever backend is set.

Here are the verbs that all these arms have in common, of any state that holds such a model; an arm
takes them over by their names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import keras
import numpy as np

from harness.inputs.arrays import Features, Weights
from harness.worker import keras_optimizer
from harness.worker.facts import framework_of

if (
    TYPE_CHECKING
):  # the request comes as plain attributes: this environment holds no validation library
    from harness.spec.config import Spec

FRAMEWORK = framework_of(keras.backend.backend())
PREDICT_BATCH = 1000  # divides the 10,000 test images: one shape to compile


def compiled(spec: Spec, weights: Weights, **options: Any) -> Any:
    """Return the spec's model, compiled as in the textbook and with those options of `compile`, holding those weights."""
    n_inputs = weights[f"{spec.layers[0].name}/kernel"].shape[0]
    layers = [
        keras.layers.Dense(layer.units, activation=layer.activation, name=layer.name)
        for layer in spec.layers
    ]
    model = keras.Sequential([keras.Input((n_inputs,)), *layers])
    set_weights(model, weights)
    model.compile(
        optimizer=keras_optimizer.of(spec.optimizer),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=spec.loss_form == "logits"),
        metrics=["accuracy"],
        **options,
    )
    return model


def set_weights(model: Any, weights: Weights) -> None:
    """Have the model hold those weights."""
    for layer in model.layers:
        layer.kernel.assign(weights[f"{layer.name}/kernel"])
        layer.bias.assign(weights[f"{layer.name}/bias"])


class Trained(Protocol):
    """A state of training that holds a compiled Keras model."""

    model: Any
    settings: Any  # of its optimizer


S = TypeVar("S", bound=Trained)


def predict(state: Trained, x: Features) -> Features:
    """Return the model's outputs, (n, classes) float32, for x (n, features) float32."""
    return np.asarray(state.model.predict(x, batch_size=PREDICT_BATCH, verbose=0))


def export(state: Trained) -> Weights:
    """Return the weights by name, float32: kernels (inputs, units), biases (units,)."""
    return {
        f"{layer.name}/{part}": keras.ops.convert_to_numpy(getattr(layer, part))
        for layer in state.model.layers
        for part in ("kernel", "bias")
    }


def slots(state: Trained) -> Weights:
    """Return what the optimizer remembers, float32: "WEIGHT/SLOT", each of its weight's shape."""
    return (
        keras_optimizer.slots(state.model.optimizer, state.settings, export(state))
        if state.model.optimizer.built
        else {}
    )


def resume(state: S, weights: Weights, slots: Weights, n_updates: int) -> S:
    """Return the state as training left it after `n_updates`.

    Args:
        state: of the same model.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        slots: "WEIGHT/SLOT", float32, each of its weight's shape.
        n_updates: how many updates made them.
    """
    set_weights(state.model, weights)
    keras_optimizer.resume(
        state.model.optimizer,
        state.settings,
        state.model.trainable_variables,
        weights,
        slots,
        n_updates,
    )
    return state


def wait(state: Trained) -> None:
    """Return once the device has finished every update."""
    FRAMEWORK.wait([variable.value for variable in state.model.variables])


def known(model: Any) -> dict[str, Any]:
    """Return what is known of any Keras model: device, counts and precision."""
    return {
        "device": FRAMEWORK.where(model.trainable_variables[0].value),
        "n_parameters": int(sum(np.prod(variable.shape) for variable in model.trainable_variables)),
        "n_updates": int(keras.ops.convert_to_numpy(model.optimizer.iterations)),
        "precision": keras.config.dtype_policy().name,
    }
