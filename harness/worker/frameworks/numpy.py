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


def watch_compiles(model: Any) -> Callable[[], int]:
    """Return a function that says how many programs were compiled since: none."""
    return lambda: 0
