"""From scratch on NumPy: no automatic gradients, so each layer has a backward pass of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.spec.data.arrays import Features, Labels, Weights
from harness.worker.arms.naive.arm import Samples, State, export, facts, resume, slots, wait
from harness.worker.arms.naive.batches import BatchGenerator, check_inputs
from harness.worker.frameworks import numpy as framework
from harness.worker.optimizers import Optimizer

if TYPE_CHECKING:
    from harness.spec.config import Spec

__all__ = ["build", "epoch", "export", "facts", "place", "predict", "resume", "slots", "wait"]

Activation = tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]
"""From z to the outputs; from the loss's gradient by the outputs, and the outputs, to that by z."""
EPSILON = 1e-7  # as Keras clips probabilities on JAX and PyTorch


def linear(z: Any) -> Any:
    """Return z itself."""
    return z


def linear_backward(gradient: Any, outputs: Any) -> Any:
    """Return the loss's gradient by z, given that by the outputs."""
    return gradient


def relu(z: Any) -> Any:
    """Return max(z, 0)."""
    return np.maximum(z, 0)


def relu_backward(gradient: Any, outputs: Any) -> Any:
    """Return the gradient by z: that of the outputs where they are positive, else 0."""
    return gradient * (outputs > 0)


def softmax(z: Any) -> Any:
    """Return exp(z) over its sum in each row; z less its largest, so that exp cannot overflow."""
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def softmax_backward(gradient: Any, outputs: Any) -> Any:
    """Return the gradient by z: p * (g - sum(g * p)) in each row."""
    return outputs * (gradient - (gradient * outputs).sum(axis=1, keepdims=True))


ACTIVATIONS = {
    "linear": (linear, linear_backward),
    "relu": (relu, relu_backward),
    "softmax": (softmax, softmax_backward),
}


class NaiveDense:
    """A fully connected layer: activation(x @ W + b), W uniform in [0, 0.1), b zeros."""

    def __init__(
        self, input_size: int, output_size: int, activation: Activation, name: str = "NaiveDense"
    ) -> None:
        kernel = np.random.default_rng().uniform(0, 0.1, (input_size, output_size))
        self.W = kernel.astype(np.float32)  # (I, O)
        self.b = np.zeros(output_size, np.float32)  # (O,)
        (self.activation, self.activation_backward), self.name = activation, name

    def __call__(self, inputs: Any) -> Any:
        """Return the layer's outputs, (B, O), for inputs (B, I); `backward` needs both."""
        check_inputs(self.name, inputs.shape, self.W.shape)
        self.inputs = inputs
        self.outputs = self.activation(inputs @ self.W + self.b)
        return self.outputs

    def backward(self, gradient: Any, *, first: bool = False) -> Any:
        """Return the loss's gradient by the inputs, (B, I), given that by the outputs, (B, O).

        The gradients by W and b are kept. The first layer's inputs are the samples, whose gradient
        nobody needs.
        """
        gradient = self.activation_backward(gradient, self.outputs)  # (B, O)
        self.gradients = [self.inputs.T @ gradient, gradient.sum(axis=0)]  # (I, O), (O,)
        return None if first else gradient @ self.W.T

    @property
    def weights(self) -> list[Any]:
        """W and b."""
        return [self.W, self.b]


class NaiveSequential:
    """Layers, one after another."""

    def __init__(self, layers: Sequence[NaiveDense]) -> None:
        self.layers = layers

    def __call__(self, inputs: Any) -> Any:
        """Return the last layer's outputs, (B, O)."""
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs

    def backward(self, gradient: Any) -> list[Any]:
        """Return the loss's gradient by each weight, given that by the outputs, (B, O).

        This is the chain rule, from the last layer back.
        """
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient, first=layer is self.layers[0])
        return [gradient for layer in self.layers for gradient in layer.gradients]

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
    chosen = outputs[np.arange(len(labels)), labels]  # (B,) of the right class
    if loss_form == "logits":
        largest = outputs.max(axis=1)
        return np.log(np.exp(outputs - largest[:, None]).sum(axis=1)) + largest - chosen
    return -np.log(np.clip(chosen, EPSILON, 1 - EPSILON))


def cross_entropy_backward(labels: Any, outputs: Any, loss_form: str) -> Any:
    """Return the mean loss's gradient by the outputs, (B, O) float32.

    Args:
        labels: (B,) integers.
        outputs: (B, O) float32.
        loss_form: what the outputs are: "probs" or "logits".
    """
    rows = np.arange(len(labels))
    if loss_form == "logits":
        gradient = softmax(outputs)
        gradient[rows, labels] -= 1
        return gradient / np.float32(len(labels))
    chosen = outputs[rows, labels]
    gradient = np.zeros_like(outputs)
    inside = (chosen > EPSILON) & (chosen < 1 - EPSILON)  # where the clip cuts, nothing flows back
    slopes = np.where(inside, -1 / np.maximum(chosen, EPSILON), 0)
    gradient[rows, labels] = slopes / np.float32(len(labels))
    return gradient


def update_weights(gradients: Sequence[Any], weights: Sequence[Any], optimizer: Optimizer) -> None:
    """Take one step of the optimizer: for SGD, w -= learning_rate * gradient.

    Args:
        gradients: one for each weight, of its shape.
        weights: float32: kernels (I, O), biases (O,).
        optimizer: its slots are updated too.
    """
    for weight, new in zip(weights, optimizer.update(weights, gradients, np.sqrt), strict=True):
        weight[...] = new


def one_training_step(
    model: NaiveSequential, optimizer: Optimizer, images: Any, labels: Any, loss_form: str
) -> tuple[Any, Any]:
    """Update the model on one batch; return its mean loss and outputs (B, O) before the update.

    Args:
        model: what is trained.
        optimizer: its own.
        images: (B, features) float32.
        labels: (B,) integers.
        loss_form: what the outputs are: "probs" or "logits".
    """
    outputs = model(images)
    average_loss = cross_entropy(labels, outputs, loss_form).mean()
    gradients = model.backward(cross_entropy_backward(labels, outputs, loss_form))
    update_weights(gradients, model.weights, optimizer)
    return average_loss, outputs


def fit(
    model: NaiveSequential,
    optimizer: Optimizer,
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
            n_correct += int(np.count_nonzero(outputs.argmax(axis=1) == labels_batch))
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
    sizes = [weights[f"{layer.name}/kernel"].shape for layer in spec.layers]
    layers = [
        NaiveDense(n_inputs, units, ACTIVATIONS[layer.activation], layer.name)
        for (n_inputs, units), layer in zip(sizes, spec.layers, strict=True)
    ]
    model = NaiveSequential(layers)
    set_weights(model, weights)
    optimizer = Optimizer.start(spec.optimizer, model.weights, np.zeros_like)
    training = {"batch_size": spec.batch_size, "loss_form": spec.loss_form}
    return State(framework, model, optimizer, training, set_weights, np.array)


def set_weights(model: NaiveSequential, weights: Weights) -> None:
    """Give the model those weights: by name, kernels (inputs, units), biases (units,), float32."""
    for own, given in zip(model.weights, weights.values(), strict=True):
        own[...] = given


def place(x: Features, y: Labels) -> Samples:
    """Return the samples, x (n, features) float32 and y (n,) uint8, as they are."""
    return x, y


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in order; return the state, mean loss and accuracy before each update."""
    return state, *fit(state.model, state.optimizer, *data, epochs=1, **state.training)


def predict(state: State, x: Features) -> Features:
    """Return the model's outputs, (n, classes) float32, for x (n, features) float32."""
    return state.model(x)  # type: ignore[no-any-return]
