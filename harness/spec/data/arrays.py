"""Arrays that orchestrator and workers read alike, and the digests that prove it.

NumPy only: workers import this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by name."""
Features = NDArray[np.float32]
"""(n, features): a row for each sample."""
Labels = NDArray[np.uint8]
"""(n,): the class of each sample."""
Weights = dict[str, NDArray[np.float32]]
"""By name: "LAYER/kernel" (inputs, units), "LAYER/bias" (units,); slots are "WEIGHT/SLOT"."""
PARTS = ("x_train", "y_train", "x_test", "y_test")


def sha256(array: NDArray[np.generic]) -> str:
    """Return the SHA-256 of an array's bytes in C order, in hex, whatever its shape and dtype."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def distance(one: NDArray[np.generic] | None, other: NDArray[np.generic] | None) -> float:
    """Return the Frobenius norm of the difference, in float64, of two arrays of one shape.

    It is infinity where one is None, the shapes differ, or the norm is not finite.
    """
    if one is None or other is None or one.shape != other.shape:
        return float("inf")
    with np.errstate(invalid="ignore", over="ignore"):
        norm = float(np.linalg.norm((one.astype(np.float64) - other.astype(np.float64)).ravel()))
    return norm if np.isfinite(norm) else float("inf")


def dataset_digest(parts: Mapping[str, NDArray[np.generic]]) -> str:
    """Return one digest of a dataset's four arrays of any shape and dtype.

    It is the SHA-256 of their own digests, in the order of PARTS.
    """
    return hashlib.sha256("".join(sha256(parts[name]) for name in PARTS).encode()).hexdigest()


def weights_digest(weights: Mapping[str, NDArray[np.generic]]) -> str:
    """Return one digest of named weights: name, shape, dtype and bytes of each, in their order."""
    digest = hashlib.sha256()
    for name, value in weights.items():
        digest.update(f"{name} {value.shape} {value.dtype} {sha256(value)}\n".encode())
    return digest.hexdigest()


def add_prefix(prefix: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Return arrays of any shape and dtype, by "PREFIX/NAME"."""
    return {f"{prefix}/{name}": value for name, value in arrays.items()}


def strip_prefix(prefix: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Return those of the arrays, of any shape and dtype, that are named "PREFIX/NAME", by NAME."""
    chosen = [name for name in arrays if name.startswith(f"{prefix}/")]
    return {name.removeprefix(f"{prefix}/"): arrays[name] for name in chosen}


def load_dataset(folder: Path) -> dict[str, NDArray[np.uint8]]:
    """Return a prepared dataset, memory-mapped: images (n, 28, 28) and labels (n,), uint8."""
    return {
        name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in PARTS
    }


def load_weights(file: Path) -> Weights:
    """Return the weights in a file that `harness.spec.draws` wrote, in their order.

    Kernels are (inputs, units) and biases (units,), float32.
    """
    return load_arrays(file)


def load_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz, of any shape and dtype, by name."""
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
        return dict(archive)


def network_input(images: NDArray[np.uint8]) -> Features:
    """Return images (n, 28, 28) of 0..255 as rows (n, 784) of 0..1, float32.

    This is the one place where pixels are scaled.
    """
    rows = images.reshape(len(images), -1).astype(np.float32)  # (n, 784)
    rows /= np.float32(255)
    return rows
