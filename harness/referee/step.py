"""One update of the referee with every quantity on its way, and how far kinks may move each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.referee import oracle
from harness.referee.oracle import Array, Labels, Layers, Loss, Network
from harness.spec.config import Spec


@dataclass(frozen=True, slots=True)
class Step:
    """One update, quantity by quantity, in the order in which a step makes them."""

    quantities: Mapping[str, Array]
    slack: Mapping[str, Array]  # how far units at their kinks may move each element
    after: Network


def trace_step(
    spec: Spec,
    network: Network,
    x: Array,
    y: Labels,
    loss: Loss | None = None,
    *,
    kinks: bool = True,
    softmax_error: float = 0.0,
) -> Step:
    """Return one update with every quantity on its way.

    The quantities: NAME/z and NAME/a of each layer (a linear layer has no a), losses, loss,
    gradient/WEIGHT from the last layer back, then slot/WEIGHT/SLOT, update/WEIGHT and
    weight/WEIGHT.

    Args:
        spec: model, loss form and optimizer.
        network: before the update.
        x: (B, inputs) floats.
        y: (B,) integers, the class of each sample.
        loss: the spec's own form where None.
        kinks: compute the slack; without, it is zeros.
        softmax_error: relative error of each probability in the backward pass.
    """
    weights, dtype = network.weights, next(iter(network.weights.values())).dtype
    layers = oracle.forward(spec, weights, x.astype(dtype))
    losses, gradient = oracle.losses_and_gradient(loss or spec.loss_form, *layers[-1], y)
    if softmax_error:
        kept = gradient.any(axis=1, keepdims=True)  # where a clip cuts, the gradient is zeros
        error = dtype.type(softmax_error / len(y))
        gradient = gradient + kept * oracle.activate("softmax", layers[-1][0]) * error
    gradients, slack = oracle.backward(spec, weights, layers, gradient, kinks=kinks)
    after = oracle.update(spec, network, gradients)
    found = _layer_quantities(spec, layers) | {"losses": losses, "loss": np.asarray(losses.mean())}
    found |= {f"gradient/{name}": value for name, value in gradients.items()}
    found |= _named_slots(spec, after.slots)
    found |= {f"update/{name}": after.weights[name] - weights[name] for name in weights}
    found |= {f"weight/{name}": weight for name, weight in after.weights.items()}
    return Step(found, _slack_of_step(spec, network, gradients, slack), after)


def _layer_quantities(spec: Spec, layers: Layers) -> dict[str, Array]:
    """Return NAME/z and NAME/a of each layer; a linear layer has no a."""
    found: dict[str, Array] = {}
    for layer, (z, a) in zip(spec.layers, layers[1:], strict=True):
        found[f"{layer.name}/z"] = z
        if layer.activation != "linear":
            found[f"{layer.name}/a"] = a
    return found


def _named_slots(spec: Spec, slots: Mapping[str, tuple[Array, ...]]) -> dict[str, Array]:
    """Return slot/WEIGHT/SLOT."""
    names = oracle.slot_names(spec.optimizer)
    pairs = ((weight, *pair) for weight in slots for pair in zip(names, slots[weight], strict=True))
    return {f"slot/{weight}/{name}": value for weight, name, value in pairs}


def _slack_of_step(
    spec: Spec, network: Network, gradients: Mapping[str, Array], slack: Mapping[str, Array]
) -> dict[str, Array]:
    """Return how far slack in the gradients moves the gradients and what is computed from them."""
    found = {f"gradient/{name}": bound for name, bound in slack.items()}
    n_updates, slots = network.n_updates + 1, network.slots
    moved = {
        name: _slack_of_update(spec, slots[name], gradients[name], slack[name], n_updates)
        for name in network.weights
    }
    found |= _named_slots(spec, {name: of_slots for name, (of_slots, _) in moved.items()})
    for name, (_, of_update) in moved.items():
        found |= {f"update/{name}": of_update, f"weight/{name}": of_update}
    return found


def _slack_of_update(
    spec: Spec, slots: Sequence[Array], gradient: Array, slack: Array, n_updates: int
) -> tuple[tuple[Array, ...], Array]:
    """Return how far slots and update move at most where the gradient moves by up to its slack.

    Nine gradients within the slack are tried.
    """
    zeros = np.zeros_like(gradient)
    most = [zeros] * (1 + len(slots))  # of the update, then of each slot
    if slack.any():
        update, new_slots = oracle.updated_weight(spec, zeros, slots, gradient, n_updates)
        for part in np.linspace(-1, 1, 9):
            other = oracle.updated_weight(spec, zeros, slots, gradient + part * slack, n_updates)
            moves = zip(most, (other[0], *other[1]), (update, *new_slots), strict=True)
            most = [np.maximum(so_far, np.abs(new - old)) for so_far, new, old in moves]
    return tuple(most[1:]), most[0]
