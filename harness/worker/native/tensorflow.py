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
from harness.inputs.arrays import Features, Labels, Weights
from harness.worker.epochs.tensorflow import over_batches
from harness.worker.frameworks import tensorflow as framework
from harness.worker.optimizers import Optimizer, rule_of

if TYPE_CHECKING:
    from harness.spec.config import Spec

OPTIONS = {"flavour": ("equal", "idiomatic")}
EXPRESSES = {"activations": ("linear", "relu")}  # of hidden layers
ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {"linear": tf.identity, "relu": tf.nn.relu}
PREDICT_BATCH = 1000
Train = Callable[["Samples"], tuple[Any, Any]]
"""From an epoch's samples to the sum of its losses and the number right; updates the variables on the way."""


@dataclass(slots=True)
class Progress:
    """What was done besides training: programs traced, updates counted, and a pipeline's seconds in the last epoch."""

    n_updates: Any  # a variable: counted where the update is made
    traces: list[str] = field(default_factory=list)
    setup_s: float = 0.0
    teardown_s: float = 0.0


@dataclass(slots=True)
class State:
    """The variables, and the functions that train and use them."""

    names: tuple[str, ...]
    weights: list[Any]
    optimizer: Optimizer | None  # None in the idiomatic flavour, whose memory is TensorFlow's own
    start: Callable[
        [], Train
    ]  # makes `train`, with a memory that begins anew in the idiomatic flavour
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
    """Return the logits, (B, O); `activations` are the hidden layers'."""
    for index, activation in enumerate((*activations, "linear")):
        images = ACTIVATIONS[activation](
            tf.matmul(images, weights[2 * index]) + weights[2 * index + 1]
        )
    return images


def gradients_of(
    weights: Sequence[Any], images: Any, labels: Any, activations: tuple[str, ...]
) -> tuple[Any, Any, Any]:
    """Return the gradients of the mean loss, the sum of losses, and how many of the batch are right.

    The loss is from logits in both forms: so it is in Keras on TensorFlow, which looks through a
    softmax before the loss.
    """
    with tf.GradientTape() as tape:
        tape.watch(weights)
        logits = forward(weights, images, activations)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        mean = tf.reduce_mean(losses)
    right = tf.reduce_sum(tf.cast(tf.argmax(logits, axis=1) == labels, tf.float32))
    return tape.gradient(mean, weights), tf.reduce_sum(losses), right


def build(spec: Spec, weights: Weights, options: SimpleNamespace) -> State:
    """Return variables that hold those weights, and their compiled functions in the flavour asked for.

    Args:
        spec: layers, loss form, optimizer, batch size.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        options: the arm's own.
    """
    idiomatic = getattr(options, "flavour", "equal") == "idiomatic"
    activations = tuple(layer.activation for layer in spec.layers[:-1])
    variables = [tf.Variable(value) for value in weights.values()]
    progress = Progress(tf.Variable(np.float32(0)))
    optimizer = (
        None
        if idiomatic
        else Optimizer.start(
            spec.optimizer, variables, lambda weight: tf.Variable(tf.zeros_like(weight))
        )
    )

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
    """Return an epoch as one program compiled by XLA, which carries weights and slots as values and assigns them at its end."""
    slots, count = optimizer.slots, progress.n_updates

    def step(carried: tuple[Any, ...], images: Any, labels: Any) -> tuple[Any, ...]:
        weights, memory, done, loss_sum, n_correct = carried
        gradients, loss, right = gradients_of(weights, images, labels, activations)
        working = Optimizer(spec.optimizer, memory, done)
        weights = working.update(weights, gradients, tf.sqrt)
        return weights, working.slots, working.step, loss_sum + loss, n_correct + right

    @tf.function(jit_compile=True, reduce_retracing=False)
    def epoch(images: Any, labels: Any) -> tuple[Any, Any]:
        progress.traces.append("epoch")
        state = (
            [variable.read_value() for variable in variables],
            [tuple(slot.read_value() for slot in several) for several in slots],
            count.read_value(),
            tf.constant(0.0),
            tf.constant(0.0),
        )
        state = over_batches(step, state, images, labels, spec.batch_size)
        for variable, value in zip(
            tf.nest.flatten((variables, slots, count)), tf.nest.flatten(state[:3]), strict=True
        ):
            variable.assign(value)
        return state[3], state[4]

    return lambda data: epoch(data.x, data.y)


def own_sgd(rate: float, momentum: float) -> Any:
    """Return TensorFlow's own gradient descent, with momentum where there is any."""
    return (
        tf.compat.v1.train.MomentumOptimizer(rate, momentum)
        if momentum
        else tf.compat.v1.train.GradientDescentOptimizer(rate)
    )


def traced_steps(
    spec: Spec, variables: list[Any], activations: tuple[str, ...], progress: Progress
) -> Train:
    """Return an epoch as a loop over a tf.data pipeline, each batch one call of a traced step."""
    rate = spec.optimizer.learning_rate
    known = {
        "sgd": lambda: own_sgd(rate, getattr(spec.optimizer, "momentum", 0.0)),
        "rmsprop": lambda: tf.compat.v1.train.RMSPropOptimizer(rate),
        "adam": lambda: tf.compat.v1.train.AdamOptimizer(rate),
    }
    optimizer = known[spec.optimizer.name]()

    @tf.function
    def step(images: Any, labels: Any) -> tuple[Any, Any]:
        progress.traces.append("step")
        gradients, loss, right = gradients_of(variables, images, labels, activations)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        progress.n_updates.assign_add(1)
        return loss, right

    def train(data: Samples) -> tuple[Any, Any]:
        called = time.perf_counter()
        with tf.device(
            "cpu:0"
        ):  # tf.data slices there; on an accelerator it would copy all samples back first
            batches = iter(
                tf.data.Dataset.from_tensor_slices(data.host)
                .batch(spec.batch_size)
                .prefetch(tf.data.AUTOTUNE)
            )
        began, loss_sum, n_correct = time.perf_counter(), 0.0, 0.0
        for images, labels in batches:
            loss, right = step(images, labels)
            loss_sum, n_correct = loss_sum + loss, n_correct + right
        n_correct, ended = float(n_correct), time.perf_counter()
        del batches  # waits as Keras's fit does, see harness.worker.keras_fit.epoch
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
    """Train one epoch in the order given; return the state, mean loss and accuracy.

    Loss and accuracy are of each sample before its update.
    """
    loss_sum, n_correct = state.train(data)
    return state, float(loss_sum) / len(data.y), float(n_correct) / len(data.y)


def predict(state: State, x: Features) -> Features:
    """Return the model's outputs, (n, classes) float32, for x (n, features) float32."""
    batches = range(0, len(x), PREDICT_BATCH)
    return np.concatenate(
        [
            state.predict(tf.convert_to_tensor(x[begin : begin + PREDICT_BATCH])).numpy()
            for begin in batches
        ]
    )


def export(state: State) -> Weights:
    """Return the weights by name, float32: kernels (inputs, units), biases (units,)."""
    return {name: weight.numpy() for name, weight in zip(state.names, state.weights, strict=True)}


def slots(state: State) -> Weights:
    """Return what the optimizer remembers, float32: "WEIGHT/SLOT", each of its weight's shape.

    The idiomatic flavour returns nothing.
    """
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
        raise Refused(
            "the idiomatic flavour keeps TensorFlow's own memory: it begins anew, and is not resumed"
        )
    for variable, value in zip(state.weights, weights.values(), strict=True):
        variable.assign(value)
    if state.optimizer:
        for name, several in zip(weights, state.optimizer.slots, strict=True):
            for kind, variable in zip(rule_of(state.optimizer.settings)[1], several, strict=True):
                variable.assign(slots[f"{name}/{kind}"])
    state.progress.n_updates.assign(n_updates)
    if not state.optimizer:
        state.train = state.start()
    return state


def wait(state: State) -> None:
    """Return once the device has finished every update."""
    framework.wait(state.weights)


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows: device, counts, and what is compiled."""
    return {
        "device": framework.where(state.weights[0]),
        "n_parameters": int(sum(np.prod(weight.shape) for weight in state.weights)),
        "n_updates": int(state.progress.n_updates),
        "n_compiles": len(state.progress.traces),
        **({"n_dispatches": 1} if state.optimizer else {}),
        "setup_s": state.progress.setup_s,
        "teardown_s": state.progress.teardown_s,
        "jit_requested": state.optimizer is not None,
        "jit_effective": state.optimizer is not None,
        "eager": False,
        "precision": "float32",
    }
