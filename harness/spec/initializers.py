"""Initial weights of a Dense stack, from any generator of uniform numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.spec.data.arrays import Weights

Uniform = Callable[[float, float, tuple[int, ...]], NDArray[np.floating]]
"""uniform(low, high, shape): numbers in [low, high)."""


def glorot_uniform(n_inputs: int, units: int) -> tuple[tuple[float, float], None]:
    """Return the range of the kernel, ±sqrt(6 / (inputs + units)); biases are zeros.

    Source: Glorot and Bengio 2010; the default of Keras 3.15's `Dense`.
    """
    limit = math.sqrt(6 / (n_inputs + units))
    return (-limit, limit), None


def uniform(n_inputs: int, units: int) -> tuple[tuple[float, float], None]:
    """Return [0, 0.1), the kernel's range in the layer from scratch; biases are zeros.

    Source: Chollet, Deep Learning with Python, NaiveDense.
    """
    return (0.0, 0.1), None


def fan_in_uniform(n_inputs: int, units: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return ±1 / sqrt(inputs), the range of kernel and bias alike.

    Source: torch.nn.Linear in PyTorch 2.13, which gets there by `kaiming_uniform_` with a =
    sqrt(5).
    """
    limit = 1 / math.sqrt(n_inputs)
    return (-limit, limit), (-limit, limit)


INITIALIZERS = {
    "glorot_uniform": glorot_uniform,
    "uniform": uniform,
    "fan_in_uniform": fan_in_uniform,
}


def initial_weights(
    draw: Uniform,
    n_inputs: int,
    layers: Sequence[tuple[str, int]],
    initializer: str = "glorot_uniform",
) -> Weights:
    """Return the initial weights of a Dense stack, drawn in the order of the layers.

    Args:
        draw: the generator.
        n_inputs: features of one sample.
        layers: name and units of each layer, in order.
        initializer: a name in INITIALIZERS.

    Returns:
        "name/kernel" (inputs, units) and "name/bias" (units,), float32.
    """
    weights: Weights = {}
    for name, units in layers:
        kernel, bias = INITIALIZERS[initializer](n_inputs, units)
        weights[f"{name}/kernel"] = np.asarray(draw(*kernel, (n_inputs, units)), np.float32)
        biases = draw(*bias, (units,)) if bias else np.zeros(units)
        weights[f"{name}/bias"] = np.asarray(biases, np.float32)
        n_inputs = units
    return weights
