"""What a from-scratch arm has in common with the others: its state, and the verbs that read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from harness.spec.data.arrays import Weights
from harness.worker.arm_facts import arm_facts

Samples = tuple[Any, Any]
"""One epoch's samples on the device: images (n, features) float32, labels (n,) integers."""


@dataclass(frozen=True, slots=True)
class State:
    """A model, its optimizer, and how it is trained."""

    framework: ModuleType  # of harness.worker.frameworks
    model: Any  # NaiveSequential
    optimizer: Any  # Optimizer, or Keras's
    training: Mapping[str, Any]  # batch_size and loss_form, as `fit` takes them
    set_weights: Callable[[Any, Weights], None]  # of a model
    array: Callable[[Any], Any]  # from NumPy's to the framework's
    n_compiles: Callable[[], int] = lambda: 0
    compiled: bool = False


def export(state: State) -> Weights:
    """Return the weights by name, float32: kernels (inputs, units), biases (units,)."""
    parts = [f"{layer.name}/{part}" for layer in state.model.layers for part in ("kernel", "bias")]
    pairs = zip(parts, state.model.weights, strict=True)
    return {name: np.array(state.framework.read(weight)) for name, weight in pairs}


def slots(state: State) -> Weights:
    """Return the optimizer's slots, float32: "WEIGHT/SLOT", each of its weight's shape."""
    return state.optimizer.named_slots(export(state))  # type: ignore[no-any-return]


def resume(state: State, weights: Weights, slots: Weights, n_updates: int) -> State:
    """Return the state as training left it after `n_updates`.

    Args:
        state: of the same model.
        weights: by name, float32: kernels (inputs, units), biases (units,).
        slots: "WEIGHT/SLOT", float32, each of its weight's shape.
        n_updates: how many updates made them.
    """
    state.set_weights(state.model, weights)
    state.optimizer.resume(weights, slots, n_updates, state.array)
    return state


def wait(state: State) -> None:
    """Return once the device has finished every update."""
    state.framework.wait(state.model.weights)


def facts(state: State) -> dict[str, Any]:
    """Return what only this arm knows: device, counts, and what is compiled."""
    weights, n_updates = state.model.weights, int(state.optimizer.step)
    n_compiles, compiled = state.n_compiles(), state.compiled
    return arm_facts(state.framework, weights, n_updates, n_compiles, compiled=compiled)
