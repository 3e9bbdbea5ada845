"""Two trained models as functions: how often and how far they differ, and in one valley or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.referee import oracle
from harness.spec.config import Spec

Array = NDArray[Any]
TOP = 5  # ranks that count
THRESHOLD = (
    8.0  # of D_CLASS: the right class is first in one model, and second or later in the other
)
ALPHAS = tuple(index / 10 for index in range(1, 10))


def flips(one: Array, other: Array) -> int:
    """Return for how many samples the largest of two outputs, (n, classes) floats, differs."""
    return int(np.count_nonzero(one.argmax(axis=1) != other.argmax(axis=1)))


def d_class(one: Array, other: Array, labels: Array) -> Array:
    """Return the distance of two outputs' scores of each sample, (n,) float64, from 0 to 16.

    A score is 2^(5 - rank of the right class), 0 beyond rank 5.

    Args:
        one: outputs (n, classes) floats.
        other: outputs (n, classes) floats.
        labels: (n,) integers, the class of each sample.

    Source: Pham, Lutellier, Qi, Tan, CRADLE, ICSE 2019, section III-B; 8 and more counts as a
    distance between backends.
    """
    return np.asarray(np.abs(_score(one, labels) - _score(other, labels)))


def _score(outputs: Array, labels: Array) -> Array:
    right = outputs[np.arange(len(labels)), labels]
    rank = 1 + np.count_nonzero(outputs > right[:, None], axis=1)
    return np.where(rank <= TOP, 2.0 ** (TOP - rank), 0.0)


def d_mad(one: Array, other: Array, labels: Array) -> float:
    """Return the mean over samples of |a - b| / (a + b).

    a and b are the mean distances of the two outputs from the one-hot label.

    Args:
        one: outputs (n, classes) floats.
        other: outputs (n, classes) floats.
        labels: (n,) integers, the class of each sample.

    Source: CRADLE, as above, its distance for regression.
    """
    truth = np.eye(one.shape[1])[labels]
    a, b = (np.abs(outputs - truth).mean(axis=1) for outputs in (one, other))
    total = a + b
    shares = np.divide(np.abs(a - b), total, out=np.zeros_like(total), where=total > 0)
    return float(np.mean(shares))


def accuracy(outputs: Array, labels: Array) -> float:
    """Return the share of samples (n,) whose largest output, of (n, classes) floats, is right."""
    return float(np.mean(outputs.argmax(axis=1) == labels))


def barrier(
    spec: Spec, one: Mapping[str, Array], other: Mapping[str, Array], x: Array, y: Array
) -> float:
    """Return how far the loss between two models rises above the line between their losses.

    The worst of nine points between their weights; next to nothing where both are in one valley.

    Args:
        spec: layers and loss form.
        one: weights by name, kernels (inputs, units), biases (units,), float32.
        other: weights by name, of the same shapes.
        x: (n, inputs) float32.
        y: (n,) integers, the class of each sample.

    Source: Frankle, Dziugaite, Roy, Carbin, Linear Mode Connectivity, ICML 2020.
    """

    def loss(alpha: float) -> float:
        weights = {name: (1 - alpha) * one[name] + alpha * other[name] for name in one}
        outputs = oracle.forward(spec, weights, x)[-1]
        losses, _ = oracle.losses_and_gradient(spec.loss_form, *outputs, y)
        return float(losses.mean())

    ends = loss(0.0), loss(1.0)
    return max(loss(alpha) - ((1 - alpha) * ends[0] + alpha * ends[1]) for alpha in ALPHAS)
