"""The Keras model and optimizer on TensorFlow, in one program of XLA's an epoch.

**Differs**: on TensorFlow a Keras optimizer has no stateless form (`stateless_apply` raises), so
the loop assigns its variables and the model's; XLA turns them into values that the loop carries on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from harness.inputs.arrays import Features, Labels, Weights
from harness.worker import keras_model
from harness.worker.epochs.tensorflow import over_batches
from harness.worker.frameworks import tensorflow as framework
from harness.worker.keras_model import export, predict, resume, slots, wait

if TYPE_CHECKING:
    from harness.spec.config import Spec

__all__ = ["build", "epoch", "export", "facts", "place", "predict", "resume", "slots", "wait"]

Samples = tuple[Any, Any]
"""On the device: (n, features) float32, (n,) int64, since on an accelerator TensorFlow keeps int32 in the CPU's memory."""


@dataclass(slots=True)
class State:
    """A Keras model, and an epoch of it as one program."""

    model: Any
    settings: Any  # of its optimizer
    train: Callable[
        [Any, Any], tuple[Any, Any]
    ]  # from images and labels to the sum of losses and the number right
    n_compiles: Callable[[], int]


def build(spec: Spec, weights: Weights, options: SimpleNamespace) -> State:
    """Return the spec's model as `fit` would have it, holding those weights, and its epoch as one program.

    Args:
        spec: layers, loss form, optimizer, batch size.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        options: the arm's own.
    """
    model = keras_model.compiled(spec, weights)
    model.optimizer.build(model.trainable_variables)
    traces: list[str] = []
    predicted = framework.watch_compiles(model)
    return State(
        model,
        spec.optimizer,
        compiled_epoch(model, spec.batch_size, traces),
        lambda: len(traces) + predicted(),
    )


def compiled_epoch(
    model: Any, batch_size: int, traces: list[str]
) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Return an epoch as one program compiled by XLA; each trace of it is noted."""

    def step(carried: tuple[Any, Any], images: Any, labels: Any) -> tuple[Any, Any]:
        loss_sum, n_correct = carried
        with tf.GradientTape() as tape:
            outputs = model(images, training=True)
            loss = model.loss(labels, outputs)
        weights = model.trainable_variables
        model.optimizer.apply(tape.gradient(loss, [weight.value for weight in weights]), weights)
        right = tf.reduce_sum(tf.cast(tf.argmax(outputs, axis=1) == labels, tf.float32))
        return loss_sum + loss * len(labels), n_correct + right

    @tf.function(jit_compile=True, reduce_retracing=False)
    def epoch(images: Any, labels: Any) -> tuple[Any, Any]:
        traces.append("epoch")  # Python runs here only while TensorFlow traces
        sums: tuple[Any, Any] = over_batches(
            step, (tf.constant(0.0), tf.constant(0.0)), images, labels, batch_size
        )
        return sums

    return epoch  # type: ignore[no-any-return]


def place(x: Features, y: Labels) -> Samples:
    """Return the samples, x (n, features) float32 and y (n,) uint8, on the device."""
    samples = tf.convert_to_tensor(x), tf.convert_to_tensor(y.astype(np.int64))
    framework.wait(samples)
    return samples


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in the order given; return the state, mean loss and accuracy.

    Loss and accuracy are of each sample before its update.
    """
    loss_sum, n_correct = state.train(*data)
    n = len(data[1])
    return state, float(loss_sum) / n, float(n_correct) / n


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows: device, counts, and what is compiled."""
    return keras_model.known(state.model) | {
        "n_compiles": state.n_compiles(),
        "n_dispatches": 1,
        "jit_requested": True,
        "jit_effective": True,
        "eager": False,
    }
