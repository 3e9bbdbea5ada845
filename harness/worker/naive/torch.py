"""From scratch on PyTorch: gradients by autograd, every step run as it is written (eager)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.worker.frameworks import torch as framework
from harness.worker.naive.batches import BatchGenerator, check_inputs
from harness.worker.optimizers import Optimizer

if TYPE_CHECKING:
    from harness.spec.config import Spec

ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "linear": lambda z: z,
    "relu": torch.relu,
    "softmax": lambda z: torch.softmax(z, dim=1),
}
DEVICE = (
    torch.accelerator.current_accelerator()
    if torch.accelerator.is_available()
    else torch.device("cpu")
)
EPSILON = 1e-7  # as Keras clips probabilities on JAX and PyTorch


class NaiveDense:
    """A fully connected layer: activation(x @ W + b), W uniform in [0, 0.1), b zeros."""

    def __init__(
        self,
        input_size: int,
        output_size: int,
        activation: Callable[[Any], Any],
        name: str = "NaiveDense",
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
    """Return each sample's loss, (B,), for labels (B,) and outputs (B, O): probabilities, or logits."""
    chosen = outputs.gather(1, labels[:, None])[:, 0]  # (B,) the output of the right class
    if loss_form == "logits":
        return torch.logsumexp(outputs, dim=1) - chosen
    return -torch.log(torch.clamp(chosen, EPSILON, 1 - EPSILON))


def update_weights(gradients: Sequence[Any], weights: Sequence[Any], optimizer: Optimizer) -> None:
    """Take one step of the optimizer: for SGD, w -= learning_rate * gradient."""
    with torch.no_grad():
        for weight, new in zip(
            weights, optimizer.updated(weights, gradients, torch.sqrt), strict=True
        ):
            weight.copy_(new)


def one_training_step(
    model: NaiveSequential, optimizer: Optimizer, images: Any, labels: Any, loss_form: str
) -> tuple[Any, Any]:
    """Update the model on one batch; return its mean loss and its outputs (B, O), both from before the update."""
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
            n_correct += torch.count_nonzero(outputs.argmax(dim=1) == labels_batch)
            if batch % 100 == 0:
                report(epoch, batch, float(loss))
    return float(loss_sum) / len(images), int(n_correct) / len(images)


@dataclass(frozen=True, slots=True)
class State:
    """A model, its optimizer, and how it is trained."""

    model: NaiveSequential
    optimizer: Optimizer
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
    sizes = [weights[f"{layer.name}/kernel"].shape for layer in spec.layers]
    layers = [
        NaiveDense(n_inputs, units, ACTIVATIONS[layer.activation], layer.name)
        for (n_inputs, units), layer in zip(sizes, spec.layers, strict=True)
    ]
    model = NaiveSequential(layers)
    for own, given in zip(model.weights, weights.values(), strict=True):
        own.data.copy_(torch.from_numpy(given))
    return State(
        model,
        Optimizer.start(spec.optimizer, model.weights, torch.zeros_like),
        spec.batch_size,
        spec.loss_form,
    )


def place(x: NDArray[np.float32], y: NDArray[np.uint8]) -> Samples:
    """Return the samples as tensors on the device."""
    samples = Samples(
        torch.from_numpy(x).to(DEVICE), torch.from_numpy(y.astype(np.int64)).to(DEVICE)
    )
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
    with torch.no_grad():
        return state.model(torch.from_numpy(x).to(DEVICE)).cpu().numpy()  # type: ignore[no-any-return]


def export(state: State) -> dict[str, NDArray[np.float32]]:
    """Return the weights by name, kernels (inputs, units), biases (units,)."""
    return {
        f"{layer.name}/{part}": weight.detach().cpu().numpy().copy()
        for layer in state.model.layers
        for part, weight in zip(("kernel", "bias"), layer.weights, strict=True)
    }


def slots(state: State) -> dict[str, NDArray[np.float32]]:
    """Return what the optimizer remembers of each weight: "WEIGHT/SLOT", shaped like the weight."""
    return state.optimizer.named_slots(export(state))


def resume(
    state: State,
    weights: Mapping[str, NDArray[np.float32]],
    slots: Mapping[str, NDArray[np.float32]],
    n_updates: int,
) -> State:
    """Return the state as training had left it after n_updates: those weights, those slots."""
    for own, given in zip(state.model.weights, weights.values(), strict=True):
        own.data.copy_(torch.from_numpy(given))
    state.optimizer.resume(
        weights, slots, n_updates, lambda value: torch.from_numpy(value).to(DEVICE)
    )
    return state


def wait(state: State) -> None:
    """Return once the device has finished every update."""
    framework.wait(state.model.weights)


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows."""
    weights = state.model.weights
    return {
        "device": framework.where(weights[0]),
        "n_parameters": int(sum(np.prod(weight.shape) for weight in weights)),
        "n_updates": state.optimizer.step,
        "n_compiles": 0,
        "jit_requested": False,
        "jit_effective": False,
        "eager": True,
        "precision": "float32",
    }
