"""PyTorch's own idiom: an nn.Module, a loss, an optimizer, and the loop over batches; eager.

`equal`: batches are slices of tensors on the device, and RMSprop and Adam are Keras's, which
torch.optim cannot express. `idiomatic`: CrossEntropyLoss on logits, torch.optim with its defaults,
and a DataLoader, which collates sample by sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from harness.errors import Refused
from harness.spec.data.arrays import Features, Labels, Weights
from harness.worker.arm_facts import arm_facts
from harness.worker.frameworks import torch as framework
from harness.worker.frameworks.torch import DEVICE
from harness.worker.optimizers import rule_of

if TYPE_CHECKING:
    from harness.spec.config import Spec

OPTIONS = {"flavour": ("equal", "idiomatic")}
EXPRESSES = {"activations": ("linear", "relu")}  # of hidden layers
ACTIVATIONS = {"linear": nn.Identity, "relu": nn.ReLU}
EPSILON = 1e-7  # as Keras clips probabilities
PREDICT_BATCH = 256
Parameters = Iterable[torch.Tensor]  # kernels (units, inputs) and biases (units,), float32
Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]


class Network(nn.Module):
    """A stack of Linear layers; its outputs are logits whatever the spec's last activation."""

    def __init__(self, n_inputs: int, spec: Spec) -> None:
        super().__init__()
        sizes = [n_inputs, *(layer.units for layer in spec.layers)]
        hidden = [ACTIVATIONS[layer.activation]() for layer in spec.layers[:-1]]
        self.names = [layer.name for layer in spec.layers]
        self.linear = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))
        self.activations = nn.ModuleList([*hidden, nn.Identity()])

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits, (B, O) float32, for inputs (B, features) float32."""
        for linear, activation in zip(self.linear, self.activations, strict=True):
            inputs = activation(linear(inputs))
        return inputs


class KerasOptimizer(torch.optim.Optimizer):
    """A torch optimizer in Keras's equations, whose slots begin at zeros."""

    def __init__(self, parameters: Parameters, settings: Any) -> None:
        super().__init__(parameters, {**vars(settings), "step": 0})

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters, all of them in one call of each operation."""
        for group in self.param_groups:
            group["step"] += 1
            weights = group["params"]
            self._update(group, weights, [weight.grad for weight in weights])

    def _slots(self, name: str, weights: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        for weight in weights:
            if name not in self.state[weight]:
                self.state[weight][name] = torch.zeros_like(weight)
        return [self.state[weight][name] for weight in weights]


class KerasRMSprop(KerasOptimizer):
    """RMSprop with epsilon inside the root: see harness.worker.optimizers.rmsprop."""

    def _update(self, group: Any, weights: list[Any], gradients: list[Any]) -> None:
        squares = self._slots("square", weights)
        torch._foreach_mul_(squares, group["rho"])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["rho"])
        roots = torch._foreach_add(squares, group["epsilon"])
        torch._foreach_sqrt_(roots)
        torch._foreach_addcdiv_(weights, gradients, roots, -group["learning_rate"])


class KerasAdam(KerasOptimizer):
    """Adam with epsilon-hat: see harness.worker.optimizers.adam."""

    def _update(self, group: Any, weights: list[Any], gradients: list[Any]) -> None:
        known = ("learning_rate", "beta_1", "beta_2", "step")
        rate, beta_1, beta_2, step = (np.float32(group[name]) for name in known)
        alpha = float(rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step))
        means, squares = self._slots("mean", weights), self._slots("square", weights)
        torch._foreach_lerp_(means, gradients, 1 - group["beta_1"])
        torch._foreach_mul_(squares, group["beta_2"])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["beta_2"])
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, group["epsilon"])
        torch._foreach_addcdiv_(weights, means, roots, -alpha)


@dataclass(slots=True)
class State:
    """A network with its loss and its optimizer, and how it is trained."""

    network: Network
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    optimizer: torch.optim.Optimizer
    batches: Callable[[Samples], Batches]
    probabilities: bool  # what predict returns
    settings: Any  # the optimizer's; None in the idiomatic flavour, whose slots are torch's
    n_compiles: Callable[[], int]
    n_updates: int = 0


@dataclass(frozen=True, slots=True)
class Samples:
    """One epoch's samples, in the CPU's memory and on the device."""

    dataset: TensorDataset
    x: torch.Tensor  # (n, features) float32
    y: torch.Tensor  # (n,) int64


def build(spec: Spec, weights: Weights, options: SimpleNamespace) -> State:
    """Return a network with those weights, its loss and optimizer in the flavour asked for.

    Args:
        spec: layers, loss form, optimizer, batch size.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        options: the arm's own.
    """
    network = Network(weights[f"{spec.layers[0].name}/kernel"].shape[0], spec)
    with torch.no_grad():
        for name, weight in _parameters(network).items():
            weight.copy_(_tensor(name, weights[name]))
    network.to(DEVICE)
    idiomatic = getattr(options, "flavour", "equal") == "idiomatic"
    make_optimizer, make_batches = keras_optimizer, slice_batches
    if idiomatic:
        make_optimizer, make_batches = torch_optimizer, load_batches
    from_logits = idiomatic or spec.loss_form == "logits"
    return State(
        network=network,
        loss=nn.CrossEntropyLoss() if from_logits else clipped_cross_entropy,
        optimizer=make_optimizer(network.parameters(), spec.optimizer),
        batches=lambda samples: make_batches(samples, spec.batch_size),
        probabilities=spec.loss_form == "probs",
        settings=None if idiomatic else spec.optimizer,
        n_compiles=framework.watch_compiles(network),
    )


def clipped_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean loss, () float32, of logits (B, O) by way of clipped probabilities."""
    chosen = torch.softmax(logits, dim=1).gather(1, labels[:, None])
    return -torch.log(torch.clamp(chosen, EPSILON, 1 - EPSILON)).mean()


def keras_optimizer(parameters: Parameters, settings: Any) -> torch.optim.Optimizer:
    """Return the optimizer in Keras's equations, with all of the spec's settings."""
    if settings.name == "sgd":
        return torch_optimizer(parameters, settings)
    return {"rmsprop": KerasRMSprop, "adam": KerasAdam}[settings.name](parameters, settings)


def torch_optimizer(parameters: Parameters, settings: Any) -> torch.optim.Optimizer:
    """Return torch.optim's optimizer with its own defaults, at the spec's rate and momentum."""
    if settings.name == "sgd":
        return torch.optim.SGD(parameters, lr=settings.learning_rate, momentum=settings.momentum)
    known = {"rmsprop": torch.optim.RMSprop, "adam": torch.optim.Adam}
    return known[settings.name](parameters, lr=settings.learning_rate)


def slice_batches(samples: Samples, batch_size: int) -> Batches:
    """Return the batches, (B, features) float32 and (B,) int64: views of the samples."""
    return zip(samples.x.split(batch_size), samples.y.split(batch_size), strict=True)


def load_batches(samples: Samples, batch_size: int) -> Batches:
    """Return a DataLoader's batches, (B, features) float32 and (B,) int64, in their order."""
    loader = DataLoader(samples.dataset, batch_size=batch_size)
    return ((images.to(DEVICE), labels.to(DEVICE)) for images, labels in loader)


def place(x: Features, y: Labels) -> Samples:
    """Return the samples, x (n, features) float32 and y (n,) uint8, on the device."""
    images, labels = torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))
    samples = Samples(TensorDataset(images, labels), images.to(DEVICE), labels.to(DEVICE))
    framework.wait([samples.x, samples.y])
    return samples


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in order; return the state, mean loss and accuracy before each update."""
    state.network.train()
    loss_sum = torch.zeros((), device=DEVICE)
    n_correct = torch.zeros((), dtype=torch.int64, device=DEVICE)
    for images, labels in state.batches(data):
        state.optimizer.zero_grad()
        logits = state.network(images)
        loss = state.loss(logits, labels)
        loss.backward()
        state.optimizer.step()
        state.n_updates += 1
        loss_sum += loss.detach() * len(labels)
        n_correct += (logits.detach().argmax(dim=1) == labels).sum()
    return state, float(loss_sum) / len(data.y), int(n_correct) / len(data.y)


@torch.no_grad()
def predict(state: State, x: Features) -> Features:
    """Return the model's outputs, (n, classes) float32, for x (n, features) float32."""
    state.network.eval()
    batches = torch.from_numpy(x).split(PREDICT_BATCH)
    logits = torch.cat([state.network(images.to(DEVICE)) for images in batches])
    return framework.read(torch.softmax(logits, dim=1) if state.probabilities else logits)


def export(state: State) -> Weights:
    """Return the weights by name, float32: kernels (inputs, units), biases (units,)."""
    return {name: _array(name, weight) for name, weight in _parameters(state.network).items()}


def slots(state: State) -> Weights:
    """Return the slots, float32: "WEIGHT/SLOT", each of its weight's shape; none if idiomatic."""
    found = {}
    for name, weight in _parameters(state.network).items() if state.settings else ():
        for kind in rule_of(state.settings)[1]:
            key, factor = _torch_slot(kind, state.settings)
            found[f"{name}/{kind}"] = _array(name, state.optimizer.state[weight][key] * factor)
    return found


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
    if n_updates and not state.settings:
        raise Refused("the idiomatic flavour keeps torch.optim's own slots, and cannot be resumed")
    state.optimizer.state.clear()
    for name, weight in _parameters(state.network).items():
        with torch.no_grad():
            weight.copy_(_tensor(name, weights[name]))
        for kind in rule_of(state.settings)[1] if state.settings else ():
            key, factor = _torch_slot(kind, state.settings)
            value = _tensor(name, slots[f"{name}/{kind}"]).to(DEVICE) / factor
            state.optimizer.state[weight][key] = value
    for group in state.optimizer.param_groups:
        group["step"] = n_updates
    state.n_updates = n_updates
    return state


def _parameters(network: Network) -> dict[str, torch.Tensor]:
    """Return the weights by name, as Linear keeps them: kernels (units, inputs)."""
    names = [f"{name}/{part}" for name in network.names for part in ("kernel", "bias")]
    weights = [weight for linear in network.linear for weight in (linear.weight, linear.bias)]
    return dict(zip(names, weights, strict=True))


def _torch_slot(kind: str, settings: Any) -> tuple[str, float]:
    """Return torch's name of a slot, and the factor to Keras's, whose velocity holds the rate."""
    return ("momentum_buffer", -settings.learning_rate) if kind == "velocity" else (kind, 1.0)


def _array(name: str, tensor: torch.Tensor) -> NDArray[np.float32]:
    """Return a weight or a slot as Keras has it, a copy."""
    value = tensor.detach().cpu().numpy()
    return np.array(value.T if name.endswith("/kernel") else value, order="C")


def _tensor(name: str, value: NDArray[np.float32]) -> torch.Tensor:
    """Return a weight or a slot of Keras's as Linear has it, a copy."""
    return torch.from_numpy((value.T if name.endswith("/kernel") else value).copy())


def wait(state: State) -> None:
    """Return once the device has finished every update."""
    framework.wait(list(state.network.parameters()))


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows: device, counts, and what is compiled."""
    weights, n_compiles = list(state.network.parameters()), state.n_compiles()
    return arm_facts(framework, weights, state.n_updates, n_compiles, compiled=False)
