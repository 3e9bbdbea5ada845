"""The Keras model of every arm that trains one: built, compiled, read out and resumed, on whichever backend is set.

Here are the verbs that all these arms have in common, of any state that holds such a model; an arm
takes them over by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import keras
import numpy as np
from numpy.typing import NDArray

from harness.worker import keras_optimizer
from harness.worker.facts import framework_of

if (
    TYPE_CHECKING
):  # the request comes as plain attributes: this environment holds no validation library
    from harness.spec.config import Spec

FRAMEWORK = framework_of(keras.backend.backend())
PREDICT_BATCH = 1000  # divides the 10,000 test images: one shape to compile


def compiled(spec: Spec, weights: Mapping[str, NDArray[np.float32]], **options: Any) -> Any:
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


def set_weights(model: Any, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Have the model hold those weights."""
    for layer in model.layers:
        layer.kernel.assign(weights[f"{layer.name}/kernel"])
        layer.bias.assign(weights[f"{layer.name}/bias"])


class Trained(Protocol):
    """A state of training that holds a compiled Keras model."""

    model: Any
    settings: Any  # of its optimizer


S = TypeVar("S", bound=Trained)


def predict(state: Trained, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the model's output for each sample, (n, classes): probabilities or logits, as its last layer has it."""
    return np.asarray(state.model.predict(x, batch_size=PREDICT_BATCH, verbose=0))


def export(state: Trained) -> dict[str, NDArray[np.float32]]:
    """Return the weights by name, kernels (inputs, units), biases (units,)."""
    return {
        f"{layer.name}/{part}": keras.ops.convert_to_numpy(getattr(layer, part))
        for layer in state.model.layers
        for part in ("kernel", "bias")
    }


def slots(state: Trained) -> dict[str, NDArray[np.float32]]:
    """Return what the optimizer remembers of each weight: "WEIGHT/SLOT", shaped like the weight."""
    return (
        keras_optimizer.slots(state.model.optimizer, state.settings, export(state))
        if state.model.optimizer.built
        else {}
    )


def resume(
    state: S,
    weights: Mapping[str, NDArray[np.float32]],
    slots: Mapping[str, NDArray[np.float32]],
    n_updates: int,
) -> S:
    """Return the state as training had left it after n_updates: those weights, those slots."""
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
