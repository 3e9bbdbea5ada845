"""TensorFlow's own idiom, without tf.keras: tf.Variable, tf.function, tf.GradientTape.

`equal`: a whole epoch is one program compiled by XLA, a loop over its full batches and the short
one after them; optimizers in Keras's equations. `idiomatic`: a traced step (tf.function),
TensorFlow's own optimizers with their defaults, and tf.data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from harness.errors import Refused
from harness.spec.data.arrays import Features, Labels, Weights
from harness.worker.arm_facts import arm_facts
from harness.worker.epochs.tensorflow import fold_batches
from harness.worker.frameworks import tensorflow as framework
from harness.worker.optimizers import Optimizer, rule_of

if TYPE_CHECKING:
    from harness.spec.config import Spec

OPTIONS = {"flavour": ("equal", "idiomatic")}
EXPRESSES = {"activations": ("linear", "relu")}  # of hidden layers
ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {"linear": tf.identity, "relu": tf.nn.relu}
PREDICT_BATCH = 1000
Train = Callable[["Samples"], tuple[Any, Any]]
"""From an epoch's samples to the sum of losses and the number right; updates the variables."""


@dataclass(slots=True)
class Progress:
    """What was done besides training: programs traced, updates counted, a pipeline's seconds."""

    n_updates: Any  # a variable: counted where the update is made
    traces: list[str] = field(default_factory=list)
    setup_s: float = 0.0
    teardown_s: float = 0.0


@dataclass(slots=True)
class State:
    """The variables, and the functions that train and use them."""

    names: tuple[str, ...]
    weights: list[Any]
    optimizer: Optimizer | None  # None in the idiomatic flavour, whose slots are TensorFlow's own
    start: Callable[[], Train]  # makes `train`; in the idiomatic flavour with new slots
    train: Train
    predict: Callable[[Any], Any]
    progress: Progress


@dataclass(frozen=True, slots=True)
class Samples:
    """One epoch's samples on the device, and in the CPU's memory."""

    x: Any  # (n, features) float32
    y: Any  # (n,) int64: on an accelerator TensorFlow keeps int32 in the CPU's memory
    host: tuple[Any, Any]


def forward(weights: Sequence[Any], images: Any, activations: tuple[str, ...]) -> Any:
    """Return the logits, (B, O) float32.

    Args:
        weights: kernels (inputs, units) and biases (units,) by turns.
        images: (B, features) float32.
        activations: of the hidden layers.
    """
    for index, activation in enumerate((*activations, "linear")):
        images = ACTIVATIONS[activation](
            tf.matmul(images, weights[2 * index]) + weights[2 * index + 1]
        )
    return images


def gradients_of(
    weights: Sequence[Any], images: Any, labels: Any, activations: tuple[str, ...]
) -> tuple[Any, Any, Any]:
    """Return the gradients of the mean loss, the sum of losses, and how many are right.

    **Differs**: the loss is from logits in both forms, as in Keras on TensorFlow, which goes back
    from a softmax's output to the logits before it.

    Args:
        weights: kernels (inputs, units) and biases (units,) by turns.
        images: (B, features) float32.
        labels: (B,) int64.
        activations: of the hidden layers.
    """
    with tf.GradientTape() as tape:
        tape.watch(weights)
        logits = forward(weights, images, activations)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        mean = tf.reduce_mean(losses)
    n_correct = tf.reduce_sum(tf.cast(tf.argmax(logits, axis=1) == labels, tf.float32))
    return tape.gradient(mean, weights), tf.reduce_sum(losses), n_correct


def build(spec: Spec, weights: Weights, options: SimpleNamespace) -> State:
    """Return variables that hold those weights, and the functions of the flavour asked for.

    Args:
        spec: layers, loss form, optimizer, batch size.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        options: the arm's own.
    """
    idiomatic = getattr(options, "flavour", "equal") == "idiomatic"
    activations = tuple(layer.activation for layer in spec.layers[:-1])
    variables = [tf.Variable(value) for value in weights.values()]
    progress = Progress(tf.Variable(np.float32(0)))
    zeros_like = lambda weight: tf.Variable(tf.zeros_like(weight))  # noqa: E731
    optimizer = None if idiomatic else Optimizer.start(spec.optimizer, variables, zeros_like)

    def start() -> Train:
        if optimizer:
            return compiled_epoch(spec, variables, optimizer, activations, progress)
        return traced_steps(spec, variables, activations, progress)

    @tf.function
    def predict(images: Any) -> Any:
        progress.traces.append("predict")  # Python runs here only while TensorFlow traces
        logits = forward(variables, images, activations)
        return tf.nn.softmax(logits) if spec.loss_form == "probs" else logits

    return State(tuple(weights), variables, optimizer, start, start(), predict, progress)


def compiled_epoch(
    spec: Spec,
    variables: list[Any],
    optimizer: Optimizer,
    activations: tuple[str, ...],
    progress: Progress,
) -> Train:
    """Return an epoch as one program compiled by XLA.

    Weights and slots are values in its loop, and are assigned to the variables at its end.

    Args:
        spec: optimizer and batch size.
        variables: kernels (inputs, units) and biases (units,) by turns.
        optimizer: its slots are variables.
        activations: of the hidden layers.
        progress: takes down traces and updates.
    """
    slots = optimizer.slots

    def step(carry: tuple[Any, ...], images: Any, labels: Any) -> tuple[Any, ...]:
        weights, slots, n_updates, loss_sum, n_correct = carry
        gradients, loss, n = gradients_of(weights, images, labels, activations)
        current = Optimizer(spec.optimizer, slots, n_updates)
        weights = current.update(weights, gradients, tf.sqrt)
        return weights, current.slots, current.step, loss_sum + loss, n_correct + n

    @tf.function(jit_compile=True, reduce_retracing=False)
    def epoch(images: Any, labels: Any) -> tuple[Any, Any]:
        progress.traces.append("epoch")
        own = variables, slots, progress.n_updates
        values = tf.nest.map_structure(lambda variable: variable.read_value(), own)
        carry = *values, tf.constant(0.0), tf.constant(0.0)
        *values, loss_sum, n_correct = fold_batches(step, carry, images, labels, spec.batch_size)
        tf.nest.map_structure(lambda variable, value: variable.assign(value), own, tuple(values))
        return loss_sum, n_correct

    return lambda data: epoch(data.x, data.y)


def tensorflow_optimizer(settings: Any) -> Any:
    """Return TensorFlow's optimizer with its own defaults, at the spec's rate and momentum."""
    known, rate = tf.compat.v1.train, settings.learning_rate
    if settings.name == "sgd" and settings.momentum:
        return known.MomentumOptimizer(rate, settings.momentum)
    sgd, rmsprop, adam = known.GradientDescentOptimizer, known.RMSPropOptimizer, known.AdamOptimizer
    return {"sgd": sgd, "rmsprop": rmsprop, "adam": adam}[settings.name](rate)


def traced_steps(
    spec: Spec, variables: list[Any], activations: tuple[str, ...], progress: Progress
) -> Train:
    """Return an epoch as a loop over a tf.data pipeline, each batch one call of a traced step.

    Args:
        spec: optimizer and batch size.
        variables: kernels (inputs, units) and biases (units,) by turns.
        activations: of the hidden layers.
        progress: takes down traces, updates, and the pipeline's seconds.
    """
    optimizer = tensorflow_optimizer(spec.optimizer)

    @tf.function
    def step(images: Any, labels: Any) -> tuple[Any, Any]:
        progress.traces.append("step")
        gradients, loss, n_correct = gradients_of(variables, images, labels, activations)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        progress.n_updates.assign_add(1)
        return loss, n_correct

    def train(data: Samples) -> tuple[Any, Any]:
        called = time.perf_counter()
        # tf.data slices on the CPU; from an accelerator it would copy all samples back first
        with tf.device("cpu:0"):
            dataset = tf.data.Dataset.from_tensor_slices(data.host).batch(spec.batch_size)
            batches = iter(dataset.prefetch(tf.data.AUTOTUNE))
        began, loss_sum, n_correct = time.perf_counter(), 0.0, 0.0
        for images, labels in batches:
            loss, n = step(images, labels)
            loss_sum, n_correct = loss_sum + loss, n_correct + n
        n_correct, ended = float(n_correct), time.perf_counter()
        del batches  # waits as Keras's fit does, see harness.worker.arms.keras_fit.epoch
        progress.setup_s, progress.teardown_s = began - called, time.perf_counter() - ended
        return loss_sum, n_correct

    return train


def place(x: Features, y: Labels) -> Samples:
    """Return the samples, x (n, features) float32 and y (n,) uint8, on the device."""
    with tf.device("cpu:0"):
        host = tf.convert_to_tensor(x), tf.convert_to_tensor(y.astype(np.int64))
    samples = Samples(tf.identity(host[0]), tf.identity(host[1]), host)
    framework.wait([samples.x, samples.y])
    return samples


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in order; return the state, mean loss and accuracy before each update."""
    loss_sum, n_correct = state.train(data)
    return state, float(loss_sum) / len(data.y), float(n_correct) / len(data.y)


def predict(state: State, x: Features) -> Features:
    """Return the model's outputs, (n, classes) float32, for x (n, features) float32."""
    begins = range(0, len(x), PREDICT_BATCH)
    batches = [tf.convert_to_tensor(x[begin : begin + PREDICT_BATCH]) for begin in begins]
    return np.concatenate([state.predict(batch).numpy() for batch in batches])


def export(state: State) -> Weights:
    """Return the weights by name, float32: kernels (inputs, units), biases (units,)."""
    return {name: weight.numpy() for name, weight in zip(state.names, state.weights, strict=True)}


def slots(state: State) -> Weights:
    """Return the slots, float32: "WEIGHT/SLOT", each of its weight's shape; none if idiomatic."""
    return state.optimizer.named_slots(state.names) if state.optimizer else {}


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
    if n_updates and not state.optimizer:
        raise Refused("the idiomatic flavour keeps TensorFlow's own slots, and cannot be resumed")
    for variable, value in zip(state.weights, weights.values(), strict=True):
        variable.assign(value)
    if state.optimizer:
        kinds = rule_of(state.optimizer.settings)[1]
        values = [slots[f"{name}/{kind}"] for name in weights for kind in kinds]
        for variable, value in zip(tf.nest.flatten(state.optimizer.slots), values, strict=True):
            variable.assign(value)
    state.progress.n_updates.assign(n_updates)
    if not state.optimizer:
        state.train = state.start()
    return state


def wait(state: State) -> None:
    """Return once the device has finished every update."""
    framework.wait(state.weights)


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows: device, counts, and what is compiled."""
    progress, compiled = state.progress, state.optimizer is not None
    n_updates, n_compiles = int(progress.n_updates), len(progress.traces)
    found = arm_facts(framework, state.weights, n_updates, n_compiles, compiled=compiled)
    found |= {"setup_s": progress.setup_s, "teardown_s": progress.teardown_s, "eager": False}
    return found | ({"n_dispatches": 1} if compiled else {})
