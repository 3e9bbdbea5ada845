"""NumPy: no automatic gradients, no devices, no compiler; what the others are laid beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


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


def held(array: NDArray[Any]) -> Any:
    """Return the array itself."""
    return array


def generator(seed: int) -> tuple[Callable[..., NDArray[Any]], Callable[[int], NDArray[Any]]]:
    """Return NumPy's own draws."""
    source = np.random.default_rng(seed)
    return source.uniform, source.permutation


def where(tensor: Any) -> str:
    """Return the device that holds an array."""
    return "cpu"


def wait(tensors: Sequence[Any]) -> None:
    """Return: NumPy has done all work given so far."""


def read(tensor: Any) -> NDArray[Any]:
    """Return an array as NumPy has it: the array itself."""
    return np.asarray(tensor)


def product(
    a: NDArray[np.float32], b: NDArray[np.float32], form: str
) -> tuple[Callable[[int], Any], ...]:
    """Return the ways to multiply two matrices so many times: BLAS, into a matrix that is there."""
    left, right = (
        matrix.T if how == "t" else matrix for matrix, how in zip((a, b), form, strict=True)
    )
    result = np.empty((left.shape[0], right.shape[1]), np.float32)

    def multiply(rounds: int) -> Any:
        for _ in range(rounds):
            np.matmul(left, right, out=result)
        return result

    return (multiply,)


def sweep(n: int) -> tuple[Callable[[int], Any], ...]:
    """Return the ways to add one array of n floats to another so many times: in place."""
    weights, change = np.zeros(n, np.float32), np.full(n, 1e-6, np.float32)

    def add(rounds: int) -> Any:
        for _ in range(rounds):
            np.add(weights, change, out=weights)
        return weights

    return (add,)


def smallest() -> tuple[Callable[[int], Any], ...]:
    """Return the ways to add one number to another so many times."""
    return sweep(1)


def memory() -> dict[str, int]:
    """Return what an accelerator's allocator took at most, by label: there is none."""
    return {}


def watch_compiles(model: Any) -> Callable[[], int]:
    """Return a function that says how many programs were compiled since: none."""
    return lambda: 0
