"""Tensor operations as Python loops, each beside its NumPy counterpart, and what the loops cost.

Every function refuses arrays whose shapes do not fit, and leaves the caller's arrays as they are.

Source: F. Chollet, Deep Learning with Python, chapter 2; the book's loops retold in this project's
words.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
# Of add + relu on (20, 100).
PUBLISHED_ROUNDS, PUBLISHED_NAIVE_S, PUBLISHED_VECTORISED_S = 1000, 2.45, 0.02


def naive_relu(x: Floats) -> Floats:
    """Return max(x, 0), element by element, for floats x (m, n).

    Raises:
        ValueError: x is no matrix.
    """
    _expect(x.ndim == 2, "naive_relu", "a matrix", x)
    z = x.copy()
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            z[i, j] = max(z[i, j], 0)
    return z  # (m, n)


def naive_add(x: Floats, y: Floats) -> Floats:
    """Return x + y, element by element, for floats x and y (m, n).

    Raises:
        ValueError: they are not two matrices of one shape.
    """
    _expect(x.ndim == 2 and x.shape == y.shape, "naive_add", "two matrices of one shape", x, y)
    z = x.astype(np.result_type(x, y))
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            z[i, j] += y[i, j]
    return z  # (m, n)


def naive_add_matrix_and_vector(x: Floats, y: Floats) -> Floats:
    """Return x + y with y broadcast over the rows, for floats x (m, n), y (n,).

    Raises:
        ValueError: y is no vector with an element for each column of x.
    """
    fits = x.ndim == 2 and y.ndim == 1 and x.shape[1] == y.shape[0]
    _expect(fits, "naive_add_matrix_and_vector", "a matrix (m, n) and a vector (n,)", x, y)
    z = x.astype(np.result_type(x, y))
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            z[i, j] += y[j]
    return z  # (m, n)


def naive_vector_dot(x: Floats, y: Floats) -> float:
    """Return the sum of x[i] * y[i] from the first to the last, for floats x and y (n,).

    **Differs**: `x @ y` asks a BLAS, which sums in an order of its own; the two agree to rounding,
    not to the last bit.

    Raises:
        ValueError: they are not two vectors of one length.
    """
    fits = x.ndim == 1 and x.shape == y.shape
    _expect(fits, "naive_vector_dot", "two vectors of one length", x, y)
    z = 0.0
    for i in range(x.shape[0]):
        z += x[i] * y[i]
    return z


def naive_matrix_vector_dot(x: Floats, y: Floats) -> Floats:
    """Return the dot product of each row of x with y, for floats x (m, n) and y (n,).

    Raises:
        ValueError: y is no vector with an element for each column of x.
    """
    fits = x.ndim == 2 and y.ndim == 1 and x.shape[1] == y.shape[0]
    _expect(fits, "naive_matrix_vector_dot", "a matrix (m, n) and a vector (n,)", x, y)
    z = np.zeros(x.shape[0], np.result_type(x, y))
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            z[i] += x[i, j] * y[j]
    return z  # (m,)


def naive_matrix_dot(x: Floats, y: Floats) -> Floats:
    """Return the dot product of each row of x with each column of y, for floats x (m, n), y (n, k).

    Raises:
        ValueError: y is no matrix with a row for each column of x.
    """
    fits = x.ndim == y.ndim == 2 and x.shape[1] == y.shape[0]
    _expect(fits, "naive_matrix_dot", "matrices (m, n) and (n, k)", x, y)
    z = np.zeros((x.shape[0], y.shape[1]), np.result_type(x, y))
    for i in range(x.shape[0]):
        for j in range(y.shape[1]):
            z[i, j] = naive_vector_dot(x[i], y[:, j])
    return z  # (m, k)


def _expect(fits: bool, where: str, wanted: str, *received: Floats) -> None:
    if not fits:
        shapes = " and ".join(str(array.shape) for array in received)
        raise ValueError(f"{where}: expected {wanted}; received {shapes}")


@dataclass(frozen=True, slots=True)
class Pair:
    """One operation in both forms, and the shapes of the arguments that it is timed with."""

    name: str
    naive: Callable[..., Any]
    vectorised: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """What both forms of one operation took in each repetition of some rounds."""

    pair: Pair
    rounds: int
    naive_s: tuple[float, ...]
    vectorised_s: tuple[float, ...]
    difference: float  # the largest between the two results; 0 where they are equal

    @property
    def ratios(self) -> list[float]:
        """Naive to vectorised, within each repetition."""
        pairs = zip(self.naive_s, self.vectorised_s, strict=True)
        return [slow / fast for slow, fast in pairs]


def relu(x: Floats) -> Floats:
    """Return max(x, 0), element by element, for floats x of any shape."""
    return np.maximum(x, 0)


PAIRS = (
    Pair("relu", naive_relu, relu, ((20, 100),)),
    Pair("add", naive_add, np.add, ((20, 100), (20, 100))),
    Pair("add matrix and vector", naive_add_matrix_and_vector, np.add, ((20, 100), (100,))),
    Pair("vector dot", naive_vector_dot, np.matmul, ((100,), (100,))),
    Pair("matrix-vector dot", naive_matrix_vector_dot, np.matmul, ((20, 100), (100,))),
    Pair("matrix dot", naive_matrix_dot, np.matmul, ((20, 100), (100, 10))),
)
ADD_RELU = Pair(
    "add + relu",
    lambda x, y: naive_relu(naive_add(x, y)),
    lambda x, y: relu(x + y),
    ((20, 100), (20, 100)),
)


def measure(
    rounds: int = 1000, repetitions: int = 5, clock: Callable[[], float] = time.perf_counter
) -> tuple[Timing, ...]:
    """Return what add + relu took in both forms, then each pair of PAIRS at a tenth of the rounds.

    The two forms take turns, and turns at going first: a machine that slows down or wakes up meets
    both.

    Args:
        rounds: Calls in one repetition.
        repetitions: Repetitions of each form, from 1.
        clock: Seconds from anywhere.
    """
    tenth = max(1, rounds // 10)
    return (
        _timed(ADD_RELU, rounds, repetitions, clock),
        *(_timed(pair, tenth, repetitions, clock) for pair in PAIRS),
    )


def _timed(pair: Pair, rounds: int, repetitions: int, clock: Callable[[], float]) -> Timing:
    random = np.random.default_rng(0)
    arguments = [random.standard_normal(shape) for shape in pair.shapes]
    difference = float(np.max(np.abs(pair.naive(*arguments) - pair.vectorised(*arguments))))
    naive_s: list[float] = []
    vectorised_s: list[float] = []
    turns = [(pair.naive, naive_s), (pair.vectorised, vectorised_s)]
    for _ in range(repetitions):
        for form, seconds in turns:
            start = clock()
            for _ in range(rounds):
                form(*arguments)
            seconds.append(clock() - start)
        turns.reverse()
    return Timing(pair, rounds, tuple(naive_s), tuple(vectorised_s), difference)
