"""Two trained models as functions: how often they answer differently, how far, and whether they lie in one valley."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.judge.parity import oracle
from harness.spec.config import Spec

Array = NDArray[Any]
TOP = 5  # ranks that count
THRESHOLD = 8.0  # of D_CLASS: the right class first in one model and not even second in the other, or first and second
ALPHAS = tuple(index / 10 for index in range(1, 10))


def flips(one: Array, other: Array) -> int:
    """Return for how many samples two models' outputs, (n, classes), have their largest at another class."""
    return int(np.count_nonzero(one.argmax(axis=1) != other.argmax(axis=1)))


def d_class(one: Array, other: Array, labels: Array) -> Array:
    """Return |score - score| of each sample, (n,): 2^(5 - rank of the right class), nothing beyond rank 5, so from 0 to 16.

    Source: Pham, Lutellier, Qi, Tan, CRADLE, ICSE 2019, section III-B; 8 and more counts as a
    distance between backends.
    """
    return np.asarray(np.abs(_score(one, labels) - _score(other, labels)))


def _score(outputs: Array, labels: Array) -> Array:
    right = outputs[np.arange(len(labels)), labels]
    rank = 1 + np.count_nonzero(outputs > right[:, None], axis=1)
    return np.where(rank <= TOP, 2.0 ** (TOP - rank), 0.0)


def d_mad(one: Array, other: Array, labels: Array) -> float:
    """Return the mean over samples of |a - b| / (a + b), a and b the mean distances of the two outputs from the one-hot label.

    Source: CRADLE, as above, its distance for regression.
    """
    truth = np.eye(one.shape[1])[labels]
    a, b = (np.abs(outputs - truth).mean(axis=1) for outputs in (one, other))
    whole = a + b
    return float(
        np.mean(np.divide(np.abs(a - b), whole, out=np.zeros_like(whole), where=whole > 0))
    )


def accuracy(outputs: Array, labels: Array) -> float:
    """Return the share of samples whose largest output is at their class."""
    return float(np.mean(outputs.argmax(axis=1) == labels))


def barrier(
    spec: Spec, one: Mapping[str, Array], other: Mapping[str, Array], x: Array, y: Array
) -> float:
    """Return how far the loss rises above the straight line between two models' losses, on the straight line between their weights.

    Next to nothing where both ended in one valley; the worst of nine points between. In float32, on
    x (n, inputs) and y (n,).

    Source: Frankle, Dziugaite, Roy, Carbin, Linear Mode Connectivity, ICML 2020.
    """

    def loss(alpha: float) -> float:
        weights = {name: (1 - alpha) * one[name] + alpha * other[name] for name in one}
        return float(
            oracle.losses_and_gradient(spec.loss_form, *oracle.forward(spec, weights, x)[-1], y)[
                0
            ].mean()
        )

    ends = loss(0.0), loss(1.0)
    return max(loss(alpha) - ((1 - alpha) * ends[0] + alpha * ends[1]) for alpha in ALPHAS)
