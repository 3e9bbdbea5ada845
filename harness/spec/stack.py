"""A stack of Dense layers: weights, what an arm must know, what one epoch costs at the least."""

from __future__ import annotations

from itertools import pairwise

from harness.spec.config import SGD, Adam, RMSprop, Spec
from harness.spec.data.arrays import Weights
from harness.spec.initializers import Uniform, initial_weights

FLOAT_BYTES = 4


def draw_weights(spec: Spec, uniform: Uniform, n_inputs: int) -> Weights:
    """Return the initial weights of a spec; see `harness.spec.initializers.initial_weights`.

    Args:
        spec: its layers and its initializer.
        uniform: the generator.
        n_inputs: features of one sample.
    """
    layers = [(layer.name, layer.units) for layer in spec.layers]
    return initial_weights(uniform, n_inputs, layers, spec.initializer)


def demands(spec: Spec) -> list[tuple[str, str, str]]:
    """Return what an arm must be able to express: a spec's key, its kind among arms, its value."""
    hidden = enumerate(spec.layers[:-1])
    layers = [(f"layers[{n}].activation", "activations", layer.activation) for n, layer in hidden]
    return [*layers, ("optimizer.name", "optimizers", spec.optimizer.name)]


def outputs(spec: Spec) -> tuple[str, int]:
    """Return the key of the number of a spec's outputs, and that number."""
    return f"layers[{len(spec.layers) - 1}].units", spec.layers[-1].units


def n_layers(spec: Spec) -> int:
    """Return the number of layers, each with calls of its own."""
    return len(spec.layers)


def training_flops(spec: Spec, n_inputs: int) -> int:
    """Return the FLOPs of one sample's step: outputs and gradients, none of the data."""
    kernels = _kernels(spec, n_inputs)
    return 2 * (3 * sum(kernels) - kernels[0])


def n_parameters(spec: Spec, n_inputs: int) -> int:
    """Return the number of weights, biases among them."""
    return sum(_kernels(spec, n_inputs)) + sum(layer.units for layer in spec.layers)


def optimizer_bytes(spec: Spec, n_inputs: int, n_train: int) -> int:
    """Return the bytes that one epoch's updates move: each weight, gradient and slot once.

    Args:
        spec: the layers, the optimizer and the batch size.
        n_inputs: of one sample.
        n_train: samples of an epoch.
    """
    n_updates = -(-n_train // spec.batch_size)
    return FLOAT_BYTES * n_parameters(spec, n_inputs) * _moves(spec.optimizer) * n_updates


def _kernels(spec: Spec, n_inputs: int) -> list[int]:
    """Return each kernel's number of elements."""
    return [
        inputs * units
        for inputs, units in pairwise([n_inputs, *(layer.units for layer in spec.layers)])
    ]


def _moves(optimizer: SGD | RMSprop | Adam) -> int:
    """Return how many floats an update moves for each weight: itself, gradient and slots."""
    match optimizer:
        case SGD(momentum=0):
            return 3  # reads weight and gradient, writes the weight
        case SGD() | RMSprop():
            return 5  # and reads and writes one slot
        case Adam():
            return 7  # two slots
