"""Arrays too large to be kept whole, as sums that keep what two of them differ by.

A large array becomes LENGTH sums of its elements, each element with a sign of its own, drawn by
chance. The norm of a difference of two arrays is that of the difference of their sums, to some
2 %, whether it lies in one element or in all; and a factor between two arrays is one between their
sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
LENGTH = 4096
SHAPE = "shape of "  # a quantity's shape, where it is kept as sums
SIGNS = np.random.default_rng(0).choice(np.array([-1.0, 1.0]), 2**18)


def shorten(arrays: Arrays) -> Arrays:
    """Return arrays of any shape and dtype, the large ones as sums, (LENGTH,), beside a shape."""
    found: Arrays = {}
    for name, value in arrays.items():
        found[name] = value
        if value.size > LENGTH:
            found[name] = sketch(value)
            found[SHAPE + name] = np.array(value.shape)
    return found


def sketch(value: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sums, (LENGTH,), of an array of numbers of any shape."""
    flat = value.ravel()
    n_rows = -(-flat.size // LENGTH)
    starts = np.random.default_rng(n_rows).integers(0, len(SIGNS) - LENGTH, n_rows)
    total = np.zeros(LENGTH)
    with np.errstate(invalid="ignore"):
        for number, start in enumerate(starts):
            row = flat[number * LENGTH : (number + 1) * LENGTH].astype(np.float64)
            total[: len(row)] += row * SIGNS[start : start + len(row)]
    return total
