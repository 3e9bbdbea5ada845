"""From scratch on TensorFlow: gradients by tf.GradientTape, every step run as written (eager).

Two options change a part each: `operations = "keras"` writes layers and loss in keras.ops,
`update = "keras"` has a Keras optimizer do the update.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from harness.spec.data.arrays import Features, Labels, Weights
from harness.worker.arms.naive.arm import Samples, State, export, facts, resume, slots, wait
from harness.worker.arms.naive.batches import BatchGenerator, check_inputs
from harness.worker.frameworks import tensorflow as framework
from harness.worker.keras_optimizer import KerasOptimizer, make_optimizer
from harness.worker.optimizers import Optimizer

if TYPE_CHECKING:
    from harness.spec.config import Spec

__all__ = ["build", "epoch", "export", "facts", "place", "predict", "resume", "slots", "wait"]

OPTIONS = {"operations": ("tensorflow", "keras"), "update": ("by_hand", "keras")}
Activation = Callable[[Any], Any]
ACTIVATIONS: Mapping[str, Activation] = {
    "linear": tf.identity,
    "relu": tf.nn.relu,
    "softmax": tf.nn.softmax,
}
KERAS_ACTIVATIONS = {"linear": lambda z: z, "relu": keras.ops.relu, "softmax": keras.ops.softmax}
EPSILON = 1e-7  # as Keras clips probabilities on JAX and PyTorch


class NaiveDense:
    """A fully connected layer: activation(x @ W + b), W uniform in [0, 0.1), b zeros."""

    def __init__(
        self, input_size: int, output_size: int, activation: Activation, name: str = "NaiveDense"
    ) -> None:
        kernel = tf.random.uniform((input_size, output_size), minval=0, maxval=0.1)
        self.W = tf.Variable(kernel)  # (I, O)
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
    """Return each sample's loss, (B,) float32.

    Args:
        labels: (B,) integers.
        outputs: (B, O) float32.
        loss_form: what the outputs are: "probs" or "logits".
    """
    one_hot = tf.one_hot(labels, outputs.shape[1])
    chosen = tf.reduce_sum(outputs * one_hot, axis=1)  # (B,) of the right class
    if loss_form == "logits":
        return tf.reduce_logsumexp(outputs, axis=1) - chosen
    return -tf.math.log(tf.clip_by_value(chosen, EPSILON, 1 - EPSILON))


def keras_cross_entropy(labels: Any, outputs: Any, loss_form: str) -> Any:
    """Return the same in keras.ops, (B,) float32.

    **Differs**: from probabilities that keras.ops.softmax made it goes back to the logits.

    Args:
        labels: (B,) integers.
        outputs: (B, O) float32.
        loss_form: what the outputs are: "probs" or "logits".
    """
    from_logits = loss_form == "logits"
    return keras.ops.sparse_categorical_crossentropy(labels, outputs, from_logits=from_logits)


def update_weights(gradients: Sequence[Any], weights: Sequence[Any], optimizer: Any) -> None:
    """Take one step of the optimizer, by hand or Keras's: for SGD, w -= learning_rate * gradient.

    Args:
        gradients: one for each weight, of its shape.
        weights: float32: kernels (I, O), biases (O,).
        optimizer: its slots are updated too.
    """
    if isinstance(optimizer, KerasOptimizer):
        optimizer.optimizer.apply(gradients, weights)
        return
    for weight, new in zip(weights, optimizer.update(weights, gradients, tf.sqrt), strict=True):
        weight.assign(new)


def one_training_step(
    model: NaiveSequential, optimizer: Any, images: Any, labels: Any, loss_form: str
) -> tuple[Any, Any]:
    """Update the model on one batch; return its mean loss and outputs (B, O) before the update.

    Args:
        model: what is trained.
        optimizer: its own.
        images: (B, features) float32.
        labels: (B,) integers.
        loss_form: what the outputs are: "probs" or "logits".
    """
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
    """Train, and return the last epoch's mean loss and accuracy, each sample before its update.

    Args:
        model: what is trained.
        optimizer: its own.
        images: (n, features) float32.
        labels: (n,) integers.
        epochs: how often all samples are trained on, in the order given.
        batch_size: samples of a batch; the last one may be short.
        loss_form: what the outputs are: "probs" or "logits".
        report: is called with epoch, batch and loss at every hundredth batch.
    """
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


def build(spec: Spec, weights: Weights, options: SimpleNamespace) -> State:
    """Return the spec's model with those weights.

    Args:
        spec: layers, loss form, optimizer, batch size.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        options: the arm's own.
    """
    in_keras = getattr(options, "operations", "tensorflow") == "keras"
    dense = NaiveKerasDense if in_keras else NaiveDense
    activations = KERAS_ACTIVATIONS if in_keras else ACTIVATIONS
    sizes = [weights[f"{layer.name}/kernel"].shape for layer in spec.layers]
    layers = [
        dense(n_inputs, units, activations[layer.activation], layer.name)
        for (n_inputs, units), layer in zip(sizes, spec.layers, strict=True)
    ]
    model = NaiveSequential(layers)
    if in_keras:
        model.cross_entropy, model.mean = keras_cross_entropy, keras.ops.mean
    set_weights(model, weights)
    optimizer: Any = Optimizer.start(spec.optimizer, model.weights, tf.zeros_like)
    if getattr(options, "update", "by_hand") == "keras":
        made = make_optimizer(spec.optimizer)
        optimizer = KerasOptimizer(made, spec.optimizer, model.weights)
    training = {"batch_size": spec.batch_size, "loss_form": spec.loss_form}
    return State(framework, model, optimizer, training, set_weights, tf.convert_to_tensor)


def set_weights(model: NaiveSequential, weights: Weights) -> None:
    """Give the model those weights: by name, kernels (inputs, units), biases (units,), float32."""
    for own, given in zip(model.weights, weights.values(), strict=True):
        own.assign(given)


def place(x: Features, y: Labels) -> Samples:
    """Return the samples, x (n, features) float32 and y (n,) uint8, as arrays on the device."""
    samples = tf.convert_to_tensor(x), tf.convert_to_tensor(y.astype(np.int64))
    framework.wait(samples)
    return samples


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in order; return the state, mean loss and accuracy before each update."""
    return state, *fit(state.model, state.optimizer, *data, epochs=1, **state.training)


def predict(state: State, x: Features) -> Features:
    """Return the model's outputs, (n, classes) float32, for x (n, features) float32."""
    return state.model(tf.convert_to_tensor(x)).numpy()  # type: ignore[no-any-return]
