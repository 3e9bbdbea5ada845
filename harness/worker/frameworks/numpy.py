"""NumPy: no automatic gradients, no devices, no compiler; what the others are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.worker.frameworks import Draws, Ways

Matrix = NDArray[np.float32]


def version() -> str:
    """Return NumPy's version."""
    return np.__version__


def devices() -> list[str]:
    """Return the devices that a computation may run on."""
    return ["cpu"]


def cuda() -> str | None:
    """Return the CUDA version this build runs on: none."""
    return None


def settings() -> dict[str, Any]:
    """Return what took effect. **Differs**: threads are its BLAS library's, and obey affinity."""
    return {"tf32": False, "onednn": None, "threads": None}


def fit_input(array: NDArray[Any]) -> Any:
    """Return the array, (n, ...) of any dtype, itself."""
    return array


def generator(seed: int) -> Draws:
    """Return NumPy's own draws, uniform: float64 of a shape, and permutation: (n,) integers."""
    source = np.random.default_rng(seed)
    return source.uniform, source.permutation


def device_of(tensor: Any) -> str:
    """Return the device that holds an array."""
    return "cpu"


def wait(tensors: Sequence[Any]) -> None:
    """Return: NumPy has done all work given so far."""


def read(tensor: Any) -> NDArray[Any]:
    """Return the array itself, of any shape and dtype."""
    return np.asarray(tensor)


def product(a: Matrix, b: Matrix, form: str) -> Ways:
    """Return the ways to multiply two matrices repeatedly: by BLAS, into a given matrix.

    Args:
        a: (m, k) float32, or (k, m) where transposed.
        b: (k, n) float32, or (n, k) where transposed.
        form: layout each lies in memory: "n" as it is, "t" transposed.
    """
    left, right = a.T if form[0] == "t" else a, b.T if form[1] == "t" else b
    result = np.empty((left.shape[0], right.shape[1]), np.float32)

    def multiply(rounds: int) -> Any:
        for _ in range(rounds):
            np.matmul(left, right, out=result)
        return result

    return (multiply,)


def addition(n: int) -> Ways:
    """Return the ways to add n floats to n others repeatedly: in place."""
    weights, change = np.zeros(n, np.float32), np.full(n, 1e-6, np.float32)

    def add(rounds: int) -> Any:
        for _ in range(rounds):
            np.add(weights, change, out=weights)
        return weights

    return (add,)


def smallest_call() -> Ways:
    """Return the ways to add one number to another repeatedly."""
    return addition(1)


def memory() -> dict[str, int]:
    """Return what an accelerator's allocator took at most, by label: there is none."""
    return {}


def watch_compiles(model: Any) -> Callable[[], int]:
    """Return a function that returns how many programs were compiled since: none."""
    return lambda: 0
