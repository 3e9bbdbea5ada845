"""The referee: the spec's network and its optimizers in float64, independent of every arm.

Constants are rounded to float32 first, since that is what every backend computes with: Adam's exact
0.999 would show all of them 1.3e-7 off in the first kernel after one step, where rounding leaves
2.6e-8. Weights in float32 make the same code the referee's twin, which tells what an ordinary
float32 implementation costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.spec.config import SGD, Adam, RMSprop, Spec

Array = NDArray[np.floating[Any]]
Labels = NDArray[np.integer]
Layers = Sequence[tuple[Array, Array]]
"""(z, a), before and after the activation, of each layer, (B, units); first the inputs, as both."""
Loss = Literal["logits", "probs", "unclipped"]
"""Cross-entropy of logits; of probabilities clipped to [CLIP, 1 - CLIP]; of probabilities that are
not clipped, computed from their logits."""
CLIP = 1e-7  # of probabilities; Keras's epsilon
UNIT = 2.0**-24  # of float32: the largest relative error of one rounding


@dataclass(frozen=True, slots=True)
class Network:
    """A network between two updates."""

    weights: Mapping[str, Array]  # "name/kernel" (inputs, units), "name/bias" (units,)
    slots: Mapping[str, tuple[Array, ...]]  # of each weight, in the order of slot_names
    n_updates: int = 0


def slot_names(optimizer: SGD | RMSprop | Adam) -> tuple[str, ...]:
    """Return the names of an optimizer's slots for each weight."""
    match optimizer:
        case Adam():
            return ("mean", "square")
        case RMSprop():
            return ("square",)
        case SGD(momentum=momentum):
            return ("velocity",) if momentum else ()


def start(spec: Spec, weights: Mapping[str, NDArray[np.float32]]) -> Network:
    """Return the network before its first update, in float64, every slot zeros.

    The weights are kernels (inputs, units) and biases (units,), float32.
    """
    exact = {name: weight.astype(np.float64) for name, weight in weights.items()}
    n_slots = len(slot_names(spec.optimizer))
    return Network(exact, {name: (np.zeros_like(exact[name]),) * n_slots for name in exact})


def in_float32(network: Network) -> Network:
    """Return a network in float32, in which the same code then computes."""
    weights, slots = network.weights, network.slots
    return Network(
        {name: weight.astype(np.float32) for name, weight in weights.items()},
        {name: tuple(slot.astype(np.float32) for slot in slots[name]) for name in slots},
        network.n_updates,
    )


def step(
    spec: Spec, network: Network, x: Array, y: Labels, loss: Loss | None = None
) -> tuple[Network, float]:
    """Return the network after one update on a batch, and the batch's mean loss before it.

    Args:
        spec: model, loss form and optimizer.
        network: before the update.
        x: (B, inputs) floats.
        y: (B,) integers, the class of each sample.
        loss: the spec's own form where None.
    """
    mean, gradients = loss_and_gradients(spec, network.weights, x, y, loss)
    return update(spec, network, gradients), mean


def update(spec: Spec, network: Network, gradients: Mapping[str, Array]) -> Network:
    """Return the network after one update.

    Args:
        spec: its optimizer.
        network: before the update.
        gradients: by weight, each of its weight's shape.
    """
    n_updates = network.n_updates + 1
    pairs = {
        name: updated_weight(spec, weight, network.slots[name], gradients[name], n_updates)
        for name, weight in network.weights.items()
    }
    weights = {name: weight for name, (weight, _) in pairs.items()}
    return Network(weights, {name: slots for name, (_, slots) in pairs.items()}, n_updates)


def outputs(spec: Spec, weights: Mapping[str, Array], x: Array) -> Array:
    """Return the last layer's outputs, (B, classes) floats: probabilities or logits.

    Args:
        spec: the layers.
        weights: by name, kernels (inputs, units), biases (units,); their dtype is computed in.
        x: (B, inputs) floats.
    """
    return forward(spec, weights, x.astype(next(iter(weights.values())).dtype))[-1][1]


def loss_and_gradients(
    spec: Spec, weights: Mapping[str, Array], x: Array, y: Labels, loss: Loss | None = None
) -> tuple[float, dict[str, Array]]:
    """Return the mean loss and its gradient by each weight, of that weight's shape.

    Args:
        spec: layers and loss form.
        weights: by name, kernels (inputs, units), biases (units,); their dtype is computed in.
        x: (B, inputs) floats.
        y: (B,) integers, the class of each sample.
        loss: the spec's own form where None.
    """
    layers = forward(spec, weights, x.astype(next(iter(weights.values())).dtype))
    losses, gradient = losses_and_gradient(loss or spec.loss_form, *layers[-1], y)
    gradients, _ = backward(spec, weights, layers, gradient, kinks=False)
    return float(losses.mean()), {name: gradients[name] for name in weights}


def forward(spec: Spec, weights: Mapping[str, Array], x: Array) -> Layers:
    """Return (z, a), before and after the activation, of each layer, (B, units) floats.

    In front of them are the inputs, as both.

    Args:
        spec: the layers.
        weights: by name, kernels (inputs, units), biases (units,).
        x: (B, inputs), of the weights' dtype.
    """
    layers = [(x, x)]
    for layer in spec.layers:
        z = layers[-1][1] @ weights[f"{layer.name}/kernel"] + weights[f"{layer.name}/bias"]
        layers.append((z, activate(layer.activation, z)))
    return layers


def activate(activation: str, z: Array) -> Array:
    """Return the activation of z, (B, units) floats."""
    if activation == "relu":
        return np.maximum(z, 0)
    if activation == "softmax":
        powers = np.exp(z - z.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    return z


def losses_and_gradient(loss: Loss, z: Array, a: Array, y: Labels) -> tuple[Array, Array]:
    """Return each sample's cross-entropy, (B,), and their mean's gradient by z, (B, classes).

    Args:
        loss: the form of cross-entropy.
        z: of the last layer, (B, classes) floats.
        a: its outputs, (B, classes).
        y: (B,) integers, the class of each sample.
    """
    rows, n = np.arange(len(y)), len(y)
    if loss == "probs":  # as Keras has it on JAX and PyTorch
        chosen = a[rows, y]
        inside = (chosen >= CLIP) & (chosen <= 1 - CLIP)
        by_output = np.zeros_like(a)
        by_output[rows, y] = np.where(inside, -1 / np.clip(chosen, CLIP, 1 - CLIP), 0) / n
        losses = -np.log(np.clip(chosen, CLIP, 1 - CLIP))
        return losses, _activation_gradient("softmax", z, a, by_output)
    shifted = z - z.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    gradient = np.exp(shifted - log_sum[:, None]) / n
    gradient[rows, y] -= 1 / n
    return log_sum - shifted[rows, y], gradient


def backward(
    spec: Spec, weights: Mapping[str, Array], layers: Layers, gradient: Array, *, kinks: bool = True
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the mean loss's gradient by each weight, from the last layer back, and its slack.

    A unit whose z is within rounding of 0 may be on in one implementation and off in another. Its
    part of the gradient is then there or not. The slack bounds what that can change, element by
    element, so that everything else is compared tightly.

    Args:
        spec: the layers.
        weights: by name, kernels (inputs, units), biases (units,), float64 or the twin's float32.
        layers: what `forward` returned.
        gradient: by the last layer's z, (B, classes).
        kinks: compute the slack; without, it is zeros.
    """
    gradients: dict[str, Array] = {}
    slack: dict[str, Array] = {}
    loose = np.zeros_like(gradient)  # how far kinks may move the gradient by this layer's z
    for index in reversed(range(len(spec.layers))):
        name, inputs = spec.layers[index].name, layers[index][1]
        gradients |= {f"{name}/kernel": inputs.T @ gradient, f"{name}/bias": gradient.sum(axis=0)}
        none = np.zeros((inputs.shape[1], gradient.shape[1]))
        slack[f"{name}/kernel"] = np.abs(inputs).T @ loose if loose.any() else none
        slack[f"{name}/bias"] = loose.sum(axis=0)
        if index:
            kernel, below = weights[f"{name}/kernel"], spec.layers[index - 1]
            by_output, loose_by_output = gradient @ kernel.T, loose @ np.abs(kernel).T
            gradient = _activation_gradient(below.activation, *layers[index], by_output)
            loose = np.zeros_like(gradient)
            if kinks and below.activation == "relu":
                z = layers[index][0]
                width = kink_width(layers[index - 1][1], weights[f"{below.name}/kernel"])
                off_kink = np.where(z > 0, loose_by_output, 0)
                at_kink = np.abs(by_output) + loose_by_output
                loose = np.where(np.abs(z) <= width, at_kink, off_kink)
    return gradients, slack


def kink_width(inputs: Array, kernel: Array) -> Array:
    """Return how near to 0 each z must be for rounding to decide its sign, (B, units) floats.

    It is 8 sqrt(n) u |x| |w|, for inputs x (B, n) and a kernel w (n, units).
    """
    lengths = np.linalg.norm(inputs, axis=1)[:, None] * np.linalg.norm(kernel, axis=0)
    return np.asarray(8 * np.sqrt(len(kernel)) * UNIT * lengths)


def kink_distances(spec: Spec, weights: Mapping[str, Array], x: Array) -> Array:
    """Return how near each sample brings any unit to its kink, (B,), in units of `kink_width`.

    Args:
        spec: the layers.
        weights: by name, kernels (inputs, units), biases (units,), float64.
        x: (B, inputs) floats.
    """
    layers, found = forward(spec, weights, x.astype(np.float64)), np.full(len(x), np.inf)
    for layer, (_, inputs), (z, _) in zip(spec.layers, layers, layers[1:], strict=False):
        if layer.activation == "relu":
            width = kink_width(inputs, weights[f"{layer.name}/kernel"])
            near = np.divide(np.abs(z), width, out=np.full_like(z, np.inf), where=width > 0)
            found = np.minimum(found, near.min(axis=1))
    return found


def _activation_gradient(activation: str, z: Array, a: Array, gradient: Array) -> Array:
    """Return the loss's gradient by an activation's input z, given that by its output a."""
    if activation == "relu":
        return np.where(z > 0, gradient, 0)
    if activation == "softmax":
        return np.asarray(a * (gradient - np.sum(gradient * a, axis=1, keepdims=True)))
    return gradient


def updated_weight(
    spec: Spec, weight: Array, slots: Sequence[Array], gradient: Array, n_updates: int
) -> tuple[Array, tuple[Array, ...]]:
    """Return a weight and its slots after one update in Keras's equations.

    Sources: those of harness.worker.optimizers.

    Args:
        spec: its optimizer.
        weight: of any shape, float64, or the twin's float32.
        slots: each of that shape, in the order of `slot_names`.
        gradient: of that shape.
        n_updates: number of this update, 1 for the first.
    """
    optimizer = spec.optimizer
    rate = _rounded(optimizer.learning_rate)
    match optimizer:
        case SGD(momentum=0):
            return weight - rate * gradient, ()
        case SGD():
            velocity = _rounded(optimizer.momentum) * slots[0] - rate * gradient
            return weight + velocity, (velocity,)
        case RMSprop():
            square = _rounded(optimizer.rho) * slots[0] + _rounded(1 - optimizer.rho) * gradient**2
            root = np.sqrt(square + _rounded(optimizer.epsilon))
            return weight - rate * gradient / root, (square,)
        case Adam():
            beta_1, beta_2 = _rounded(optimizer.beta_1), _rounded(optimizer.beta_2)
            mean = slots[0] + (gradient - slots[0]) * _rounded(1 - optimizer.beta_1)
            square = slots[1] + (gradient**2 - slots[1]) * _rounded(1 - optimizer.beta_2)
            alpha = float(rate * (np.sqrt(1 - beta_2**n_updates) / (1 - beta_1**n_updates)))
            root = np.sqrt(square) + _rounded(optimizer.epsilon)
            return weight - alpha * mean / root, (mean, square)


def _rounded(constant: float) -> float:
    return float(np.float32(constant))
