"""The referee: the spec's network and its optimizers in float64, by NumPy, written independently of every arm.

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
Loss = Literal["logits", "probs", "unclipped"]
"""Cross-entropy of logits; of probabilities clipped to [CLIP, 1 - CLIP]; of probabilities, taken from the logits before them."""
CLIP = 1e-7  # of probabilities; Keras's epsilon
UNIT = 2.0**-24  # of float32: the largest relative error of one rounding


@dataclass(frozen=True, slots=True)
class Trained:
    """A network between two updates."""

    weights: Mapping[str, Array]  # "name/kernel" (inputs, units), "name/bias" (units,)
    slots: Mapping[str, tuple[Array, ...]]  # of each weight, in the order of slot_names
    n_updates: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One update, quantity by quantity, in the order in which a step makes them."""

    quantities: Mapping[str, Array]
    slack: Mapping[
        str, Array
    ]  # how far a unit at its kink may move each element of a gradient and of what follows from it
    after: Trained


def slot_names(optimizer: SGD | RMSprop | Adam) -> tuple[str, ...]:
    """Return what an optimizer remembers of each weight: velocity, square of the gradient, mean and square."""
    match optimizer:
        case Adam():
            return ("mean", "square")
        case RMSprop():
            return ("square",)
        case SGD(momentum=momentum):
            return ("velocity",) if momentum else ()


def start(spec: Spec, weights: Mapping[str, NDArray[np.float32]]) -> Trained:
    """Return the network before its first update: those weights in float64, every slot zeros."""
    exact = {name: weight.astype(np.float64) for name, weight in weights.items()}
    return Trained(
        exact,
        {
            name: tuple(np.zeros_like(weight) for _ in slot_names(spec.optimizer))
            for name, weight in exact.items()
        },
    )


def in_float32(network: Trained) -> Trained:
    """Return a network as an ordinary float32 implementation has it: the same code then computes in float32."""
    weights = {name: weight.astype(np.float32) for name, weight in network.weights.items()}
    slots = {
        name: tuple(slot.astype(np.float32) for slot in several)
        for name, several in network.slots.items()
    }
    return Trained(weights, slots, network.n_updates)


def step(
    spec: Spec, network: Trained, x: Array, y: NDArray[np.integer], loss: Loss | None = None
) -> tuple[Trained, float]:
    """Return the network after one update on a batch, and the batch's mean loss before it.

    Args:
        spec: model, loss form and optimizer.
        network: before the update.
        x: (B, inputs).
        y: (B,) the class of each sample.
        loss: the spec's own form where None.
    """
    mean, gradients = loss_and_gradients(spec, network.weights, x, y, loss)
    n_updates = network.n_updates + 1
    updated = {
        name: updated_weight(
            spec, network.weights[name], network.slots[name], gradients[name], n_updates
        )
        for name in gradients
    }
    after = Trained(
        {name: new for name, (new, _) in updated.items()},
        {name: slots for name, (_, slots) in updated.items()},
        n_updates,
    )
    return after, mean


def traced(
    spec: Spec,
    network: Trained,
    x: Array,
    y: NDArray[np.integer],
    loss: Loss | None = None,
    *,
    kinks: bool = True,
    off: float = 0.0,
) -> Step:
    """Return one update with every quantity on its way.

    The quantities: NAME/z and NAME/a of each layer (a linear layer has no a), losses, loss,
    gradient/WEIGHT from the last layer back, then slot/WEIGHT/SLOT, update/WEIGHT and
    weight/WEIGHT. See `step` for the arguments; without kinks the slack is zeros. Off by that part
    of itself is each probability on the way back: softmax is an approximation of each framework's
    own.
    """
    dtype = next(iter(network.weights.values())).dtype
    passed = forward(spec, network.weights, x.astype(dtype))
    found: dict[str, Array] = {}
    for layer, (z, a) in zip(spec.layers, passed[1:], strict=True):
        found[f"{layer.name}/z"] = z
        if layer.activation != "linear":
            found[f"{layer.name}/a"] = a
    losses, flowing = losses_and_gradient(loss or spec.loss_form, *passed[-1], y)
    if off:
        kept = flowing.any(axis=1, keepdims=True)  # nothing flows back from where a clip cuts
        flowing = flowing + kept * activated("softmax", passed[-1][0]) * dtype.type(off / len(y))
    found |= {"losses": losses, "loss": np.asarray(losses.mean())}
    gradients, slack = backward(spec, network.weights, passed, flowing, kinks=kinks)
    found |= {f"gradient/{name}": gradient for name, gradient in gradients.items()}
    n_updates = network.n_updates + 1
    after = {
        name: updated_weight(
            spec, network.weights[name], network.slots[name], gradients[name], n_updates
        )
        for name in network.weights
    }
    loose = {f"gradient/{name}": bound for name, bound in slack.items()}
    for name, (_, slots) in after.items():
        of_slots, of_update = _slack_of_update(
            spec, network.slots[name], gradients[name], slack[name], n_updates
        )
        loose |= {
            f"slot/{name}/{slot}": bound
            for slot, bound in zip(slot_names(spec.optimizer), of_slots, strict=True)
        }
        loose |= {f"update/{name}": of_update, f"weight/{name}": of_update}
        found |= {
            f"slot/{name}/{slot}": value
            for slot, value in zip(slot_names(spec.optimizer), slots, strict=True)
        }
    found |= {f"update/{name}": new - network.weights[name] for name, (new, _) in after.items()}
    found |= {f"weight/{name}": new for name, (new, _) in after.items()}
    finished = Trained(
        {name: new for name, (new, _) in after.items()},
        {name: slots for name, (_, slots) in after.items()},
        n_updates,
    )
    return Step(found, loose, finished)


def outputs(spec: Spec, weights: Mapping[str, Array], x: Array) -> Array:
    """Return the last layer's outputs, (B, classes): probabilities or logits."""
    return forward(spec, weights, x.astype(next(iter(weights.values())).dtype))[-1][1]


def loss_and_gradients(
    spec: Spec,
    weights: Mapping[str, Array],
    x: Array,
    y: NDArray[np.integer],
    loss: Loss | None = None,
) -> tuple[float, dict[str, Array]]:
    """Return the mean loss and its gradient by each weight, by the chain rule."""
    passed = forward(spec, weights, x.astype(next(iter(weights.values())).dtype))
    losses, flowing = losses_and_gradient(loss or spec.loss_form, *passed[-1], y)
    gradients, _ = backward(spec, weights, passed, flowing, kinks=False)
    return float(losses.mean()), {name: gradients[name] for name in weights}


def forward(spec: Spec, weights: Mapping[str, Array], x: Array) -> list[tuple[Array, Array]]:
    """Return (z, a), before and after the activation, of each layer, (B, units); in front of them the inputs, as both."""
    passed = [(x, x)]
    for layer in spec.layers:
        z = passed[-1][1] @ weights[f"{layer.name}/kernel"] + weights[f"{layer.name}/bias"]
        passed.append((z, activated(layer.activation, z)))
    return passed


def activated(activation: str, z: Array) -> Array:
    """Return the activation of z, (B, units)."""
    if activation == "relu":
        return np.maximum(z, 0)
    if activation == "softmax":
        powers = np.exp(z - z.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    return z


def losses_and_gradient(
    loss: Loss, z: Array, a: Array, y: NDArray[np.integer]
) -> tuple[Array, Array]:
    """Return each sample's cross-entropy, (B,), and the gradient of their mean by the last layer's z, (B, classes)."""
    rows, n = np.arange(len(y)), len(y)
    if loss == "probs":  # as Keras has it on JAX and PyTorch
        chosen = a[rows, y]
        inside = (chosen >= CLIP) & (chosen <= 1 - CLIP)
        by_output = np.zeros_like(a)
        by_output[rows, y] = np.where(inside, -1 / np.clip(chosen, CLIP, 1 - CLIP), 0) / n
        return -np.log(np.clip(chosen, CLIP, 1 - CLIP)), _through("softmax", z, a, by_output)
    shifted = z - z.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    gradient = np.exp(shifted - log_sum[:, None]) / n
    gradient[rows, y] -= 1 / n
    return log_sum - shifted[rows, y], gradient


def backward(
    spec: Spec,
    weights: Mapping[str, Array],
    passed: Sequence[tuple[Array, Array]],
    flowing: Array,
    *,
    kinks: bool = True,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the mean loss's gradient by each weight, from the last layer back, and how far kinks may move each of its elements.

    A unit whose z is within rounding of 0 may be on in one implementation and off in another. Its
    part of the flow is then there or not, and what that can change is bounded here element by
    element, so that everything else is held tightly.

    Args:
        spec: the layers.
        weights: in float64, or in the twin's float32.
        passed: what `forward` returned.
        flowing: the gradient by the last layer's z, (B, classes).
        kinks: also work out the bounds; without, they are zeros.
    """
    gradients: dict[str, Array] = {}
    slack: dict[str, Array] = {}
    loose = np.zeros_like(flowing)
    for index in reversed(range(len(spec.layers))):
        name, inputs = spec.layers[index].name, passed[index][1]
        gradients |= {f"{name}/kernel": inputs.T @ flowing, f"{name}/bias": flowing.sum(axis=0)}
        slack |= {
            f"{name}/kernel": np.abs(inputs).T @ loose
            if loose.any()
            else np.zeros((inputs.shape[1], flowing.shape[1]))
        }
        slack |= {f"{name}/bias": loose.sum(axis=0)}
        if index:
            kernel, below = weights[f"{name}/kernel"], spec.layers[index - 1]
            by_output, loose_by_output = flowing @ kernel.T, loose @ np.abs(kernel).T
            flowing = _through(below.activation, *passed[index], by_output)
            loose = np.zeros_like(flowing)
            if kinks and below.activation == "relu":
                at_kink = np.abs(passed[index][0]) <= kink_width(
                    passed[index - 1][1], weights[f"{below.name}/kernel"]
                )
                loose = np.where(
                    at_kink,
                    np.abs(by_output) + loose_by_output,
                    np.where(passed[index][0] > 0, loose_by_output, 0),
                )
    return gradients, slack


def kink_width(inputs: Array, kernel: Array) -> Array:
    """Return how near to 0 each z, (B, units), must be for rounding to decide its sign: 8 sqrt(inputs) u |x| |w|."""
    lengths = np.linalg.norm(inputs, axis=1)[:, None] * np.linalg.norm(kernel, axis=0)
    return np.asarray(8 * np.sqrt(len(kernel)) * UNIT * lengths)


def _through(activation: str, z: Array, out: Array, flowing: Array) -> Array:
    """Return the loss's gradient by an activation's input, given that by its output."""
    if activation == "relu":
        return np.where(z > 0, flowing, 0)
    if activation == "softmax":
        return np.asarray(out * (flowing - np.sum(flowing * out, axis=1, keepdims=True)))
    return flowing


def updated_weight(
    spec: Spec, weight: Array, slots: Sequence[Array], gradient: Array, n_updates: int
) -> tuple[Array, tuple[Array, ...]]:
    """Return a weight and its slots after update number n_updates (1 for the first) in Keras's equations."""
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
            return weight - rate * gradient / np.sqrt(square + _rounded(optimizer.epsilon)), (
                square,
            )
        case Adam():
            mean = slots[0] + (gradient - slots[0]) * _rounded(1 - optimizer.beta_1)
            square = slots[1] + (gradient**2 - slots[1]) * _rounded(1 - optimizer.beta_2)
            correction = np.sqrt(1 - _rounded(optimizer.beta_2) ** n_updates) / (
                1 - _rounded(optimizer.beta_1) ** n_updates
            )
            return weight - float(rate * correction) * mean / (
                np.sqrt(square) + _rounded(optimizer.epsilon)
            ), (mean, square)


def _slack_of_update(
    spec: Spec, slots: Sequence[Array], gradient: Array, slack: Array, n_updates: int
) -> tuple[tuple[Array, ...], Array]:
    """Return how far slots and update move where the gradient moves by its slack: the most of a fine walk through its range."""
    none = np.zeros_like(gradient), tuple(np.zeros_like(gradient) for _ in slots)
    if not slack.any():
        return none[1], none[0]
    here = updated_weight(spec, none[0], slots, gradient, n_updates)
    of_update, of_slots = none[0], list(none[1])
    for part in np.linspace(-1, 1, 9):
        there = updated_weight(spec, none[0], slots, gradient + part * slack, n_updates)
        of_update = np.maximum(of_update, np.abs(there[0] - here[0]))
        of_slots = [
            np.maximum(most, np.abs(new - old))
            for most, new, old in zip(of_slots, there[1], here[1], strict=True)
        ]
    return tuple(of_slots), of_update


def _rounded(constant: float) -> float:
    return float(np.float32(constant))
