"""How far two arrays of one quantity are apart, where nobody knows which is right.

An element counts relative to its own size, and is taken for no smaller than FLOOR of the ordinary
one: what is 0 but for rounding has no size of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOOR = 1e-3
TINY = 1e-6  # the floor of numbers of many sizes, of which each counts
FAR = 1e300  # in place of infinity


def ordinary_size(arrays: Iterable[NDArray[Any]]) -> float:
    """Return the size of an ordinary element of any of the arrays (any shape), at least 1."""
    sizes = [np.abs(_widen(each)).ravel() for each in arrays]
    finite = [each[np.isfinite(each)] for each in sizes]
    return max([1.0, *(float(np.median(each)) for each in finite if each.size)])


def largest_error(one: NDArray[Any], other: NDArray[Any], floor: float) -> tuple[float, int] | None:
    """Return the largest relative difference of two arrays, and its place in the flat array.

    None where nothing can be compared: other shapes. Infinity, as FAR, where an element is not
    finite in one array only, or is not the same infinity in both.

    Args:
        one: of any shape.
        other: of the same shape.
        floor: what an element's size is at least taken for.
    """
    if one.shape != other.shape:
        return None
    if not one.size:
        return 0.0, 0
    a, b = _widen(one).ravel(), _widen(other).ravel()
    with np.errstate(invalid="ignore", over="ignore"):
        errors = np.abs(a - b) / np.maximum(np.maximum(np.abs(a), np.abs(b)), floor)
    both = np.isfinite(a) & np.isfinite(b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    errors = np.where(same, 0.0, np.where(both, errors, FAR))
    place = int(np.argmax(errors))
    return float(errors[place]), place


def error_of_norms(one: NDArray[Any], exact: NDArray[Any], floor: float) -> float | None:
    """Return the norm of a difference over that of the exact array, its finite elements alone.

    None where an element is not finite in one array only, as after an overflow.

    Args:
        one: of any shape.
        exact: of the same shape.
        floor: what an ordinary element of the exact array is at least taken for.
    """
    if one.shape != exact.shape:
        return None
    a, b = _widen(one).ravel(), _widen(exact).ravel()
    both = np.isfinite(a) & np.isfinite(b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if not np.all(both | same):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        size = max(float(np.linalg.norm(b[both])), floor * float(np.sqrt(max(1, b.size))))
        error = float(np.linalg.norm(a[both] - b[both])) / size
    return error if np.isfinite(error) else None


def _widen(array: NDArray[Any]) -> NDArray[Any]:
    kind = array.dtype.kind
    return array if kind == "c" else array.astype(np.float64)
