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

from harness.spec.data.arrays import Features, Labels, Weights
from harness.worker import keras_model
from harness.worker.epochs.tensorflow import fold_batches
from harness.worker.frameworks import tensorflow as framework
from harness.worker.keras_model import export, predict, resume, slots, wait
from harness.worker.replicas.tensorflow import part_of

if TYPE_CHECKING:
    from harness.spec.config import Spec

__all__ = ["build", "epoch", "export", "facts", "place", "predict", "resume", "slots", "wait"]

REPLICAS = {"tensorflow": ()}
Train = Callable[[Any, Any], tuple[Any, Any]]
"""From images and labels to the sum of losses and the number right; updates the variables."""
Samples = tuple[Any, Any]
"""On the device: (n, features) float32, (n,) int64; TensorFlow would keep int32 on the CPU."""


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
    traces: list[str] = []
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    make = replicated_epoch if several else compiled_epoch
    train, n_other = make(model, spec.batch_size, traces), framework.watch_compiles(model)
    return State(model, spec.optimizer, train, lambda: len(traces) + n_other())


def compiled_epoch(model: Any, batch_size: int, traces: list[str]) -> Train:
    """Return an epoch as one program compiled by XLA.

    Args:
        model: compiled by Keras, its optimizer built.
        batch_size: of a full batch; the last one may be short.
        traces: takes down each trace of the program.
    """

    def step(sums: tuple[Any, Any], images: Any, labels: Any) -> tuple[Any, Any]:
        loss_sum, n_correct = sums
        with tf.GradientTape() as tape:
            outputs = model(images, training=True)
            loss = model.loss(labels, outputs)
        weights = model.trainable_variables
        model.optimizer.apply(tape.gradient(loss, [weight.value for weight in weights]), weights)
        n = tf.reduce_sum(tf.cast(tf.argmax(outputs, axis=1) == labels, tf.float32))
        return loss_sum + loss * len(labels), n_correct + n

    @tf.function(jit_compile=True, reduce_retracing=False)
    def epoch(images: Any, labels: Any) -> tuple[Any, Any]:
        traces.append("epoch")  # Python runs here only while TensorFlow traces
        zeros = tf.constant(0.0), tf.constant(0.0)
        return fold_batches(step, zeros, images, labels, batch_size)  # type: ignore[no-any-return]

    return epoch  # type: ignore[no-any-return]


def replicated_epoch(model: Any, batch_size: int, traces: list[str]) -> Train:
    """Return an epoch as one program, in which each of several devices has a part of each batch.

    **Differs**: XLA on TensorFlow adds nothing up over devices, so it compiles what each of them
    derives; the sum of the gradients and the update are operations of TensorFlow's own.

    Args:
        model: compiled by Keras, its optimizer built, of a strategy's scope.
        batch_size: of a full batch; the last one may be short.
        traces: takes down each trace of the program.
    """
    strategy, weights = tf.distribute.get_strategy(), model.trainable_variables

    @tf.function(jit_compile=True, reduce_retracing=False)
    def derive(images: Any, labels: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape() as tape:
            outputs = model(images, training=True)
            loss = model.loss(labels, outputs)  # its part of the mean over the whole batch
        n = tf.reduce_sum(tf.cast(tf.argmax(outputs, axis=1) == labels, tf.float32))
        return tape.gradient(loss, [weight.value for weight in weights]), loss, n

    def update(images: Any, labels: Any) -> tuple[Any, Any]:
        start, size = part_of(0, len(labels))
        part = [tf.slice(images, [start, 0], [size, images.shape[1]])]
        gradients, loss, n = derive(*part, tf.slice(labels, [start], [size]))
        model.optimizer.apply(gradients, weights)
        return loss * len(labels), n

    def step(sums: tuple[Any, Any], images: Any, labels: Any) -> tuple[Any, Any]:
        found = strategy.run(update, (images, labels))
        added = (strategy.reduce("SUM", each, axis=None) for each in found)
        return tuple(old + new for old, new in zip(sums, added, strict=True))

    @tf.function(reduce_retracing=False)
    def epoch(images: Any, labels: Any) -> tuple[Any, Any]:
        traces.append("epoch")
        zeros = tf.constant(0.0), tf.constant(0.0)
        return fold_batches(step, zeros, images, labels, batch_size)  # type: ignore[no-any-return]

    return epoch  # type: ignore[no-any-return]


def place(x: Features, y: Labels) -> Samples:
    """Return the samples, x (n, features) float32 and y (n,) uint8, on the device."""
    samples = tf.convert_to_tensor(x), tf.convert_to_tensor(y.astype(np.int64))
    framework.wait(samples)
    return samples


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in order; return the state, mean loss and accuracy before each update."""
    loss_sum, n_correct = state.train(*data)
    n = len(data[1])
    return state, float(loss_sum) / n, float(n_correct) / n


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows: device, counts, and what is compiled."""
    return keras_model.model_facts(state, compiled=True) | {"n_dispatches": 1}
