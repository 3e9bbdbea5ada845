"""From scratch on TensorFlow: gradients by tf.GradientTape, every step run as it is written (eager).

Two options change a part each: `operations = "keras"` writes layers and loss in keras.ops, `update = "keras"` has a Keras
optimizer do the update.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from harness.worker import keras_optimizer
from harness.worker.frameworks import tensorflow as framework
from harness.worker.naive.batches import BatchGenerator, check_inputs
from harness.worker.optimizers import Optimizer

if TYPE_CHECKING:
    from harness.spec.config import Spec

OPTIONS = {"operations": ("tensorflow", "keras"), "update": ("by_hand", "keras")}
ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "linear": tf.identity,
    "relu": tf.nn.relu,
    "softmax": tf.nn.softmax,
}
KERAS_ACTIVATIONS = {"linear": lambda z: z, "relu": keras.ops.relu, "softmax": keras.ops.softmax}
EPSILON = 1e-7  # as Keras clips probabilities on JAX and PyTorch; on TensorFlow it goes back to the logits


class NaiveDense:
    """A fully connected layer: activation(x @ W + b), W uniform in [0, 0.1), b zeros."""

    def __init__(
        self,
        input_size: int,
        output_size: int,
        activation: Callable[[Any], Any],
        name: str = "NaiveDense",
    ) -> None:
        self.W = tf.Variable(
            tf.random.uniform((input_size, output_size), minval=0, maxval=0.1)
        )  # (I, O)
        self.b = tf.Variable(tf.zeros((output_size,)))  # (O,)
        self.activation, self.name = activation, name

    def __call__(self, inputs: Any) -> Any:
        """Return the layer's outputs, (B, O), for inputs (B, I)."""
        check_inputs(self.name, inputs.shape, self.W.shape)
        return self.activation(tf.matmul(inputs, self.W) + self.b)

    @property
    def weights(self) -> list[Any]:
        """W and b."""
        return [self.W, self.b]


class NaiveKerasDense(NaiveDense):
    """The same layer in keras.ops."""

    def __call__(self, inputs: Any) -> Any:
        """Return the layer's outputs, (B, O), for inputs (B, I)."""
        check_inputs(self.name, inputs.shape, self.W.shape)
        return self.activation(keras.ops.matmul(inputs, self.W) + self.b)


class NaiveSequential:
    """Layers, one after another."""

    def __init__(self, layers: Sequence[NaiveDense]) -> None:
        self.layers = layers
        self.cross_entropy, self.mean = cross_entropy, tf.reduce_mean  # or those of keras.ops

    def __call__(self, inputs: Any) -> Any:
        """Return the last layer's outputs, (B, O)."""
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs

    @property
    def weights(self) -> list[Any]:
        """The weights of all layers, one list."""
        return [weight for layer in self.layers for weight in layer.weights]


def cross_entropy(labels: Any, outputs: Any, loss_form: str) -> Any:
    """Return each sample's loss, (B,), for labels (B,) and outputs (B, O): probabilities, or logits."""
    chosen = tf.reduce_sum(
        outputs * tf.one_hot(labels, outputs.shape[1]), axis=1
    )  # (B,) the output of the right class
    if loss_form == "logits":
        return tf.reduce_logsumexp(outputs, axis=1) - chosen
    return -tf.math.log(tf.clip_by_value(chosen, EPSILON, 1 - EPSILON))


def keras_cross_entropy(labels: Any, outputs: Any, loss_form: str) -> Any:
    """Return the same in keras.ops. **Differs**: of probabilities that keras.ops.softmax made, it goes back to the logits."""
    return keras.ops.sparse_categorical_crossentropy(
        labels, outputs, from_logits=loss_form == "logits"
    )


def update_weights(gradients: Sequence[Any], weights: Sequence[Any], optimizer: Any) -> None:
    """Take one step of the optimizer, by hand or Keras's: for SGD, w -= learning_rate * gradient."""
    if isinstance(optimizer, keras.optimizers.Optimizer):
        optimizer.apply(gradients, weights)
        return
    for weight, new in zip(weights, optimizer.updated(weights, gradients, tf.sqrt), strict=True):
        weight.assign(new)


def one_training_step(
    model: NaiveSequential, optimizer: Any, images: Any, labels: Any, loss_form: str
) -> tuple[Any, Any]:
    """Update the model on one batch; return its mean loss and its outputs (B, O), both from before the update."""
    with tf.GradientTape() as tape:
        outputs = model(images)
        average_loss = model.mean(model.cross_entropy(labels, outputs, loss_form))
    gradients = tape.gradient(average_loss, model.weights)
    update_weights(gradients, model.weights, optimizer)
    return average_loss, outputs


def fit(
    model: NaiveSequential,
    optimizer: Any,
    images: Any,
    labels: Any,
    *,
    epochs: int,
    batch_size: int = 128,
    loss_form: str = "probs",
    report: Callable[[int, int, float], None] = lambda epoch, batch, loss: None,
) -> tuple[float, float]:
    """Train; report the loss of every hundredth batch; return the last epoch's mean loss and accuracy over its samples."""
    loss_sum, n_correct = 0.0, 0
    for epoch in range(epochs):
        loss_sum, n_correct = 0.0, 0
        generator = BatchGenerator(images, labels, batch_size)
        for batch in range(generator.num_batches):
            images_batch, labels_batch = generator.next()
            loss, outputs = one_training_step(
                model, optimizer, images_batch, labels_batch, loss_form
            )
            loss_sum += loss * len(labels_batch)
            n_correct += tf.reduce_sum(
                tf.cast(tf.argmax(outputs, axis=1) == labels_batch, tf.float32)
            )
            if batch % 100 == 0:
                report(epoch, batch, float(loss))
    return float(loss_sum) / len(images), int(n_correct) / len(images)


@dataclass(frozen=True, slots=True)
class State:
    """A model, its optimizer, and how it is trained."""

    model: NaiveSequential
    optimizer: Any
    settings: Any  # the optimizer's
    batch_size: int
    loss_form: str


@dataclass(frozen=True, slots=True)
class Samples:
    """One epoch's samples on the device."""

    x: Any  # (n, features) float32
    y: Any  # (n,) int64


def build(
    spec: Spec, weights: Mapping[str, NDArray[np.float32]], options: SimpleNamespace
) -> State:
    """Return the spec's model, holding those weights."""
    in_keras = getattr(options, "operations", "tensorflow") == "keras"
    dense, activations = (
        (NaiveKerasDense, KERAS_ACTIVATIONS) if in_keras else (NaiveDense, ACTIVATIONS)
    )
    sizes = [weights[f"{layer.name}/kernel"].shape for layer in spec.layers]
    layers = [
        dense(n_inputs, units, activations[layer.activation], layer.name)
        for (n_inputs, units), layer in zip(sizes, spec.layers, strict=True)
    ]
    model = NaiveSequential(layers)
    if in_keras:
        model.cross_entropy, model.mean = keras_cross_entropy, keras.ops.mean
    for own, given in zip(model.weights, weights.values(), strict=True):
        own.assign(given)
    if getattr(options, "update", "by_hand") == "keras":
        optimizer = keras_optimizer.of(spec.optimizer)
    else:
        optimizer = Optimizer.start(spec.optimizer, model.weights, tf.zeros_like)
    return State(model, optimizer, spec.optimizer, spec.batch_size, spec.loss_form)


def place(x: NDArray[np.float32], y: NDArray[np.uint8]) -> Samples:
    """Return the samples as tensors on the device."""
    samples = Samples(tf.convert_to_tensor(x), tf.convert_to_tensor(y.astype(np.int64)))
    framework.wait([samples.x, samples.y])
    return samples


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in the order given; return the state, mean loss and accuracy, each sample before its update."""
    loss, accuracy = fit(
        state.model,
        state.optimizer,
        data.x,
        data.y,
        epochs=1,
        batch_size=state.batch_size,
        loss_form=state.loss_form,
    )
    return state, loss, accuracy


def predict(state: State, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the model's output for each sample, (n, classes)."""
    return state.model(tf.convert_to_tensor(x)).numpy()  # type: ignore[no-any-return]


def export(state: State) -> dict[str, NDArray[np.float32]]:
    """Return the weights by name, kernels (inputs, units), biases (units,)."""
    return {
        f"{layer.name}/{part}": weight.numpy()
        for layer in state.model.layers
        for part, weight in zip(("kernel", "bias"), layer.weights, strict=True)
    }


def slots(state: State) -> dict[str, NDArray[np.float32]]:
    """Return what the optimizer remembers of each weight: "WEIGHT/SLOT", shaped like the weight."""
    if isinstance(state.optimizer, Optimizer):
        return state.optimizer.named_slots(export(state))
    return keras_optimizer.slots(state.optimizer, state.settings, export(state))


def resume(
    state: State,
    weights: Mapping[str, NDArray[np.float32]],
    slots: Mapping[str, NDArray[np.float32]],
    n_updates: int,
) -> State:
    """Return the state as training had left it after n_updates: those weights, those slots."""
    variables = state.model.weights
    for own, given in zip(variables, weights.values(), strict=True):
        own.assign(given)
    if isinstance(state.optimizer, Optimizer):
        state.optimizer.resume(weights, slots, n_updates, tf.convert_to_tensor)
    else:
        keras_optimizer.resume(
            state.optimizer, state.settings, variables, weights, slots, n_updates
        )
    return state


def wait(state: State) -> None:
    """Return once the device has finished every update."""
    framework.wait(state.model.weights)


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows."""
    weights, optimizer = state.model.weights, state.optimizer
    return {
        "device": framework.where(weights[0]),
        "n_parameters": int(sum(np.prod(weight.shape) for weight in weights)),
        "n_updates": optimizer.step
        if isinstance(optimizer, Optimizer)
        else int(optimizer.iterations),
        "n_compiles": 0,
        "jit_requested": False,
        "jit_effective": False,
        "eager": True,
        "precision": "float32",
    }
