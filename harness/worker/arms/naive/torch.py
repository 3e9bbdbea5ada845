"""From scratch on PyTorch: gradients by autograd, every step run as it is written (eager)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.spec.data.arrays import Features, Labels, Weights
from harness.worker.arms.naive.arm import Samples, State, export, facts, resume, slots, wait
from harness.worker.arms.naive.batches import BatchGenerator, check_inputs
from harness.worker.frameworks import torch as framework
from harness.worker.frameworks.torch import DEVICE
from harness.worker.optimizers import Optimizer

if TYPE_CHECKING:
    from harness.spec.config import Spec

__all__ = ["build", "epoch", "export", "facts", "place", "predict", "resume", "slots", "wait"]

Activation = Callable[[Any], Any]
ACTIVATIONS: Mapping[str, Activation] = {
    "linear": lambda z: z,
    "relu": torch.relu,
    "softmax": lambda z: torch.softmax(z, dim=1),
}
EPSILON = 1e-7  # as Keras clips probabilities on JAX and PyTorch


class NaiveDense:
    """A fully connected layer: activation(x @ W + b), W uniform in [0, 0.1), b zeros."""

    def __init__(
        self, input_size: int, output_size: int, activation: Activation, name: str = "NaiveDense"
    ) -> None:
        self.W = (torch.rand((input_size, output_size)) * 0.1).to(DEVICE).requires_grad_()  # (I, O)
        self.b = torch.zeros((output_size,)).to(DEVICE).requires_grad_()  # (O,)
        self.activation, self.name = activation, name

    def __call__(self, inputs: Any) -> Any:
        """Return the layer's outputs, (B, O), for inputs (B, I)."""
        check_inputs(self.name, inputs.shape, self.W.shape)
        return self.activation(torch.matmul(inputs, self.W) + self.b)

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
    chosen = outputs.gather(1, labels[:, None])[:, 0]  # (B,) of the right class
    if loss_form == "logits":
        return torch.logsumexp(outputs, dim=1) - chosen
    return -torch.log(torch.clamp(chosen, EPSILON, 1 - EPSILON))


def update_weights(gradients: Sequence[Any], weights: Sequence[Any], optimizer: Optimizer) -> None:
    """Take one step of the optimizer: for SGD, w -= learning_rate * gradient.

    Args:
        gradients: one for each weight, of its shape.
        weights: float32: kernels (I, O), biases (O,).
        optimizer: its slots are updated too.
    """
    with torch.no_grad():
        for weight, new in zip(
            weights, optimizer.update(weights, gradients, torch.sqrt), strict=True
        ):
            weight.copy_(new)


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
    gradients = torch.autograd.grad(average_loss, model.weights)
    update_weights(gradients, model.weights, optimizer)
    return average_loss.detach(), outputs.detach()


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
            n_correct += torch.count_nonzero(outputs.argmax(dim=1) == labels_batch)
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
    optimizer = Optimizer.start(spec.optimizer, model.weights, torch.zeros_like)
    training = {"batch_size": spec.batch_size, "loss_form": spec.loss_form}
    return State(framework, model, optimizer, training, set_weights, _placed)


def set_weights(model: NaiveSequential, weights: Weights) -> None:
    """Give the model those weights: by name, kernels (inputs, units), biases (units,), float32."""
    for own, given in zip(model.weights, weights.values(), strict=True):
        own.data.copy_(torch.from_numpy(given))


def place(x: Features, y: Labels) -> Samples:
    """Return the samples, x (n, features) float32 and y (n,) uint8, as arrays on the device."""
    samples = _placed(x), _placed(y.astype(np.int64))
    framework.wait(samples)
    return samples


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in order; return the state, mean loss and accuracy before each update."""
    return state, *fit(state.model, state.optimizer, *data, epochs=1, **state.training)


def predict(state: State, x: Features) -> Features:
    """Return the model's outputs, (n, classes) float32, for x (n, features) float32."""
    with torch.no_grad():
        return framework.read(state.model(_placed(x)))


def _placed(array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(array).to(DEVICE)
