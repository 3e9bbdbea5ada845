"""PyTorch's own idiom: an nn.Module, a loss, an optimizer, and the loop over batches; eager.

`equal`: batches are slices of tensors on the device, and RMSprop and Adam are Keras's, which
torch.optim cannot express. `idiomatic`: CrossEntropyLoss on logits, torch.optim with its defaults,
and a DataLoader, which collates sample by sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from harness.errors import Refused
from harness.inputs.arrays import Features, Labels, Weights
from harness.worker.frameworks import torch as framework
from harness.worker.optimizers import rule_of

if TYPE_CHECKING:
    from harness.spec.config import Spec

OPTIONS = {"flavour": ("equal", "idiomatic")}
EXPRESSES = {"activations": ("linear", "relu")}  # of hidden layers
ACTIVATIONS = {"linear": nn.Identity, "relu": nn.ReLU}
DEVICE = (
    torch.accelerator.current_accelerator()
    if torch.accelerator.is_available()
    else torch.device("cpu")
)
EPSILON = 1e-7  # as Keras clips probabilities
PREDICT_BATCH = 256


class Network(nn.Module):
    """A stack of Linear layers; its outputs are logits whatever the spec's last activation."""

    def __init__(self, n_inputs: int, spec: Spec) -> None:
        super().__init__()
        sizes = [n_inputs, *(layer.units for layer in spec.layers)]
        self.names = [layer.name for layer in spec.layers]
        self.linear = nn.ModuleList(
            [nn.Linear(size, layer.units) for size, layer in zip(sizes, spec.layers, strict=False)]
        )
        self.activations = nn.ModuleList(
            [*(ACTIVATIONS[layer.activation]() for layer in spec.layers[:-1]), nn.Identity()]
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits, (B, O)."""
        for linear, activation in zip(self.linear, self.activations, strict=True):
            inputs = activation(linear(inputs))
        return inputs


class KerasOptimizer(torch.optim.Optimizer):
    """What Keras's optimizers share: slots that begin at zeros."""

    def _slots(self, name: str, weights: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        for weight in weights:
            if name not in self.state[weight]:
                self.state[weight][name] = torch.zeros_like(weight)
        return [self.state[weight][name] for weight in weights]


class KerasRMSprop(KerasOptimizer):
    """RMSprop in Keras's equations, see harness.worker.optimizers.rmsprop: epsilon inside the root."""

    def __init__(
        self, parameters: Iterable[torch.Tensor], learning_rate: float, rho: float, epsilon: float
    ) -> None:
        super().__init__(
            parameters, {"learning_rate": learning_rate, "rho": rho, "epsilon": epsilon}
        )

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters, all of them in one call of each operation."""
        for group in self.param_groups:
            weights = group["params"]
            gradients = [weight.grad for weight in weights]
            squares = self._slots("square", weights)
            torch._foreach_mul_(squares, group["rho"])
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["rho"])
            roots = torch._foreach_add(squares, group["epsilon"])
            torch._foreach_sqrt_(roots)
            torch._foreach_addcdiv_(weights, gradients, roots, -group["learning_rate"])


class KerasAdam(KerasOptimizer):
    """Adam in Keras's equations, see harness.worker.optimizers.adam: epsilon-hat."""

    def __init__(
        self,
        parameters: Iterable[torch.Tensor],
        learning_rate: float,
        beta_1: float,
        beta_2: float,
        epsilon: float,
    ) -> None:
        super().__init__(
            parameters,
            {
                "learning_rate": learning_rate,
                "beta_1": beta_1,
                "beta_2": beta_2,
                "epsilon": epsilon,
                "step": 0,
            },
        )

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters, all of them in one call of each operation."""
        for group in self.param_groups:
            group["step"] += 1
            beta_1, beta_2, step = (
                np.float32(group["beta_1"]),
                np.float32(group["beta_2"]),
                np.float32(group["step"]),
            )
            alpha = float(
                np.float32(group["learning_rate"]) * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
            )
            weights = group["params"]
            gradients = [weight.grad for weight in weights]
            means = self._slots("mean", weights)
            squares = self._slots("square", weights)
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
    batches: Callable[[Samples], Iterable[tuple[torch.Tensor, torch.Tensor]]]
    probabilities: bool  # what predict returns
    settings: (
        Any  # the optimizer's; None in the idiomatic flavour, whose memory is torch.optim's own
    )
    n_compiles: Callable[[], int]
    n_updates: int = 0


@dataclass(frozen=True, slots=True)
class Samples:
    """One epoch's samples, in the CPU's memory and on the device."""

    dataset: TensorDataset
    x: torch.Tensor  # (n, features) float32
    y: torch.Tensor  # (n,) int64


def build(spec: Spec, weights: Weights, options: SimpleNamespace) -> State:
    """Return the spec's network, holding those weights, its loss and its optimizer in the flavour asked for.

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
    from_logits = idiomatic or spec.loss_form == "logits"
    return State(
        network,
        nn.CrossEntropyLoss() if from_logits else clipped_cross_entropy,
        (own_optimizer if idiomatic else keras_optimizer)(network.parameters(), spec.optimizer),
        (lambda samples: loaded(samples, spec.batch_size))
        if idiomatic
        else (lambda samples: sliced(samples, spec.batch_size)),
        spec.loss_form == "probs",
        None if idiomatic else spec.optimizer,
        framework.watch_compiles(network),
    )


def clipped_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean loss by way of probabilities clipped to [1e-7, 1 - 1e-7], as Keras on PyTorch has it."""
    chosen = torch.softmax(logits, dim=1).gather(1, labels[:, None])
    return -torch.log(torch.clamp(chosen, EPSILON, 1 - EPSILON)).mean()


def keras_optimizer(parameters: Iterable[torch.Tensor], settings: Any) -> torch.optim.Optimizer:
    """Return the optimizer in Keras's equations, with all of the spec's settings."""
    if settings.name == "sgd":
        return torch.optim.SGD(parameters, lr=settings.learning_rate, momentum=settings.momentum)
    plain = {name: value for name, value in vars(settings).items() if name != "name"}
    return {"rmsprop": KerasRMSprop, "adam": KerasAdam}[settings.name](parameters, **plain)


def own_optimizer(parameters: Iterable[torch.Tensor], settings: Any) -> torch.optim.Optimizer:
    """Return torch.optim's optimizer of that name with its own defaults, at the spec's learning rate and momentum."""
    if settings.name == "sgd":
        return torch.optim.SGD(parameters, lr=settings.learning_rate, momentum=settings.momentum)
    return {"rmsprop": torch.optim.RMSprop, "adam": torch.optim.Adam}[settings.name](
        parameters, lr=settings.learning_rate
    )


def sliced(samples: Samples, batch_size: int) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    """Return the batches as views of the samples on the device."""
    return zip(samples.x.split(batch_size), samples.y.split(batch_size), strict=True)


def loaded(samples: Samples, batch_size: int) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    """Return the batches of a DataLoader, each moved to the device. The samples come in their order: no shuffling here."""
    return (
        (images.to(DEVICE), labels.to(DEVICE))
        for images, labels in DataLoader(samples.dataset, batch_size=batch_size)
    )


def place(x: Features, y: Labels) -> Samples:
    """Return the samples, x (n, features) float32 and y (n,) uint8, on the device."""
    images, labels = torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))
    samples = Samples(TensorDataset(images, labels), images.to(DEVICE), labels.to(DEVICE))
    framework.wait([samples.x, samples.y])
    return samples


def epoch(state: State, data: Samples) -> tuple[State, float, float]:
    """Train one epoch in the order given; return the state, mean loss and accuracy.

    Loss and accuracy are of each sample before its update.
    """
    state.network.train()
    loss_sum, n_correct = (
        torch.zeros((), device=DEVICE),
        torch.zeros((), dtype=torch.int64, device=DEVICE),
    )
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
    logits = torch.cat(
        [state.network(images.to(DEVICE)) for images in torch.from_numpy(x).split(PREDICT_BATCH)]
    )
    outputs = torch.softmax(logits, dim=1) if state.probabilities else logits
    return outputs.cpu().numpy()  # type: ignore[no-any-return]


def export(state: State) -> Weights:
    """Return the weights by name, float32: kernels (inputs, units), biases (units,)."""
    return {name: _array(name, weight) for name, weight in _parameters(state.network).items()}


def slots(state: State) -> Weights:
    """Return what the optimizer remembers, float32: "WEIGHT/SLOT", each of its weight's shape.

    The idiomatic flavour returns nothing.
    """
    found = {}
    for name, weight in _parameters(state.network).items() if state.settings else ():
        known = state.optimizer.state[weight]
        for kind in rule_of(state.settings)[1]:
            # torch.optim.SGD leaves the learning rate outside of its velocity.
            value = (
                known[kind]
                if kind != "velocity"
                else known["momentum_buffer"] * -state.settings.learning_rate
            )
            found[f"{name}/{kind}"] = _array(name, value)
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
        raise Refused(
            "the idiomatic flavour keeps torch.optim's own memory: it begins anew, and is not resumed"
        )
    state.optimizer.state.clear()
    for name, weight in _parameters(state.network).items():
        with torch.no_grad():
            weight.copy_(_tensor(name, weights[name]))
        for kind in rule_of(state.settings)[1] if state.settings else ():
            value = _tensor(name, slots[f"{name}/{kind}"]).to(DEVICE)
            known = (
                {kind: value}
                if kind != "velocity"
                else {"momentum_buffer": value / -state.settings.learning_rate}
            )
            state.optimizer.state[weight].update(known)
    for group in state.optimizer.param_groups:
        group["step"] = n_updates
    state.n_updates = n_updates
    return state


def _parameters(network: Network) -> dict[str, torch.Tensor]:
    """Return the weights by name, as Linear keeps them: kernels (units, inputs)."""
    pairs = zip(network.names, network.linear, strict=True)
    return {
        f"{name}/{part}": weight
        for name, linear in pairs
        for part, weight in (("kernel", linear.weight), ("bias", linear.bias))
    }


def _array(name: str, tensor: torch.Tensor) -> NDArray[np.float32]:
    """Return a weight, or what is remembered of it, as Keras has it."""
    value = tensor.detach().cpu().numpy()
    return np.ascontiguousarray(value.T) if name.endswith("/kernel") else value.copy()


def _tensor(name: str, value: NDArray[np.float32]) -> torch.Tensor:
    """Return a weight of Keras's, or what is remembered of it, as Linear has it."""
    return torch.from_numpy(
        np.ascontiguousarray(value.T) if name.endswith("/kernel") else value.copy()
    )


def wait(state: State) -> None:
    """Return once the device has finished every update."""
    framework.wait(list(state.network.parameters()))


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows: device, counts, and what is compiled."""
    weights = list(state.network.parameters())
    return {
        "device": framework.where(weights[0]),
        "n_parameters": sum(weight.numel() for weight in weights),
        "n_updates": state.n_updates,
        "n_compiles": state.n_compiles(),
        "jit_requested": False,
        "jit_effective": False,
        "eager": True,
        "precision": "float32",
    }
