"""Changes of the student that must not matter: sums in another order, or rounded otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.experiments.proof import student
from harness.experiments.proof.student import Array
from harness.spec.config import Dense


def _blocks(one: Array, other: Array) -> Array:
    """Return the product, summed over 64 inputs at a time."""
    return np.asarray(
        sum(
            one[:, begin : begin + 64] @ other[begin : begin + 64]
            for begin in range(0, len(other), 64)
        )
    )


def _halves(one: Array, other: Array) -> Array:
    """Return the product, summed in pairs of halves."""
    middle = len(other) // 2
    return (
        one @ other
        if middle < 16
        else _halves(one[:, :middle], other[:middle]) + _halves(one[:, middle:], other[middle:])
    )


def _one_by_one(one: Array, other: Array) -> Array:
    """Return the product, one term added after another, as no fast library does it."""
    total = np.zeros((len(one), other.shape[1]), np.float32)
    for column, row in zip(one.T, other, strict=True):
        total += np.outer(column, row)
    return total


def _a_unit_more(layer: Dense, z: Array) -> Array:
    """Return the layer's outputs.

    Probabilities a unit in the last place too large, as another softmax may have them.
    """
    a = student.activate(layer, z)
    return np.nextafter(a, np.float32(2)) if layer.activation == "softmax" else a


ORDERS: dict[str, dict[str, Any]] = {
    "no change": {},
    "sums in blocks of 64": {"product": _blocks},
    "sums in pairs of halves": {"product": _halves},
    "sums from the other end": {"product": lambda one, other: one[:, ::-1] @ other[::-1]},
    "products transposed": {
        "product": lambda one, other: np.ascontiguousarray((other.T @ one.T).T)
    },
    "sums in float64": {
        "product": lambda one, other: (one.astype(np.float64) @ other).astype(np.float32)
    },
    "sums one by one": {"product": _one_by_one},
    "probabilities a unit more": {"activate": _a_unit_more},
}
"""Null changes: the same mathematics, summed in another order or rounded otherwise."""
