"""The referee: the spec's network and its optimizers in float64, by NumPy, written independently of every arm.

Constants are rounded to float32 first, since that is what every backend computes with: Adam's exact 0.999 would show all
of them 1.3e-7 off in the first kernel after one step, where rounding leaves 2.6e-8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.spec.config import SGD, Adam, RMSprop, Spec

Array = NDArray[np.float64]
CLIP = 1e-7  # of probabilities; Keras's epsilon


@dataclass(frozen=True, slots=True)
class Trained:
    """A network between two updates."""

    weights: Mapping[str, Array]  # "name/kernel" (inputs, units), "name/bias" (units,)
    slots: Mapping[str, tuple[Array, ...]]  # SGD with momentum: velocity; RMSprop: square; Adam: mean, square
    n_updates: int = 0


def start(spec: Spec, weights: Mapping[str, NDArray[np.float32]]) -> Trained:
    """Return the network before its first update: those weights in float64, every slot zeros."""
    match spec.optimizer:
        case Adam():
            n_slots = 2
        case RMSprop():
            n_slots = 1
        case SGD(momentum=momentum):
            n_slots = 1 if momentum else 0
    exact = {name: weight.astype(np.float64) for name, weight in weights.items()}
    return Trained(exact, {name: tuple(np.zeros_like(weight) for _ in range(n_slots)) for name, weight in exact.items()})


def step(spec: Spec, network: Trained, x: NDArray[np.float32], y: NDArray[np.integer]) -> tuple[Trained, float]:
    """Return the network after one update on a batch, and the batch's mean loss before it.

    Args:
        spec: model, loss form and optimizer.
        network: before the update.
        x: (B, inputs).
        y: (B,) the class of each sample.
    """
    loss, gradients = loss_and_gradients(spec, network.weights, x, y)
    n_updates = network.n_updates + 1
    updated = {name: _updated(spec, network.weights[name], network.slots[name], gradients[name], n_updates) for name in gradients}
    return Trained(
        {name: new for name, (new, _) in updated.items()}, {name: slots for name, (_, slots) in updated.items()}, n_updates
    ), loss


def outputs(spec: Spec, weights: Mapping[str, Array], x: NDArray[np.floating]) -> Array:
    """Return the last layer's outputs, (B, classes): probabilities or logits."""
    return _forward(spec, weights, x.astype(np.float64))[-1]


def loss_and_gradients(
    spec: Spec, weights: Mapping[str, Array], x: NDArray[np.floating], y: NDArray[np.integer]
) -> tuple[float, dict[str, Array]]:
    """Return the mean loss and its gradient by each weight, by the chain rule."""
    activations = _forward(spec, weights, x.astype(np.float64))
    loss, flowing = _loss(spec.loss_form, activations[-1], y)
    gradients: dict[str, Array] = {}
    for index in reversed(range(len(spec.layers))):
        layer, inputs, out = spec.layers[index], activations[index], activations[index + 1]
        flowing = _through(layer.activation, out, flowing)  # (B, units)
        gradients[f"{layer.name}/kernel"] = inputs.T @ flowing
        gradients[f"{layer.name}/bias"] = flowing.sum(axis=0)
        flowing = flowing @ weights[f"{layer.name}/kernel"].T
    return loss, {name: gradients[name] for name in weights}


def _forward(spec: Spec, weights: Mapping[str, Array], x: Array) -> list[Array]:
    """Return the inputs and each layer's outputs."""
    passed = [x]
    for layer in spec.layers:
        z = passed[-1] @ weights[f"{layer.name}/kernel"] + weights[f"{layer.name}/bias"]
        if layer.activation == "relu":
            z = np.maximum(z, 0)
        elif layer.activation == "softmax":
            powers = np.exp(z - z.max(axis=1, keepdims=True))
            z = powers / powers.sum(axis=1, keepdims=True)
        passed.append(z)
    return passed


def _through(activation: str, out: Array, flowing: Array) -> Array:
    """Return the loss's gradient by an activation's input, given that by its output."""
    if activation == "relu":
        flowing = np.where(out > 0, flowing, 0)
    elif activation == "softmax":
        flowing = out * (flowing - np.sum(flowing * out, axis=1, keepdims=True))
    return flowing


def _loss(form: str, out: Array, y: NDArray[np.integer]) -> tuple[float, Array]:
    """Return the mean cross-entropy, and its gradient by the outputs."""
    rows, n = np.arange(len(y)), len(y)
    gradient = np.zeros_like(out)
    if form == "probs":  # as Keras has it on JAX and PyTorch; on TensorFlow it goes back to the logits and never clips
        chosen = out[rows, y]
        inside = (chosen >= CLIP) & (chosen <= 1 - CLIP)
        clipped = np.clip(chosen, CLIP, 1 - CLIP)
        gradient[rows, y] = np.where(inside, -1 / clipped, 0) / n
        return float(-np.log(clipped).mean()), gradient
    shifted = out - out.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    gradient[:] = np.exp(shifted - log_sum[:, None]) / n
    gradient[rows, y] -= 1 / n
    return float(np.mean(log_sum - shifted[rows, y])), gradient


def _updated(spec: Spec, weight: Array, slots: Sequence[Array], gradient: Array, n_updates: int) -> tuple[Array, tuple[Array, ...]]:
    """Return a weight and its slots after one update in Keras's equations."""
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
            return weight - rate * gradient / np.sqrt(square + _rounded(optimizer.epsilon)), (square,)
        case Adam():
            mean = slots[0] + (gradient - slots[0]) * _rounded(1 - optimizer.beta_1)
            square = slots[1] + (gradient**2 - slots[1]) * _rounded(1 - optimizer.beta_2)
            correction = np.sqrt(1 - _rounded(optimizer.beta_2) ** n_updates) / (1 - _rounded(optimizer.beta_1) ** n_updates)
            return weight - rate * correction * mean / (np.sqrt(square) + _rounded(optimizer.epsilon)), (mean, square)


def _rounded(constant: float) -> float:
    return float(np.float32(constant))
