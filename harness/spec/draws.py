"""Initial weights and the order of the samples, drawn by NumPy once for each seed.

**Differs**: each framework has a generator of its own, and Keras's `shuffle=True` uses another one
on each backend, so the same seed is neither the same weights nor the same order. Drawn here and
handed over as files, they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError
from harness.spec.config import Spec
from harness.spec.data.arrays import sha256, weights_digest
from harness.spec.files import scratch
from harness.spec.stack import draw_weights


class File(NamedTuple):
    """A file that is kept under its digest."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Draw:
    """What one seed gives every arm: two files and their digests."""

    weights: Path
    order: Path
    weights_sha256: str
    order_sha256: str


def batch_order(
    n_samples: int, n_epochs: int, seed: int, *, shuffle: bool = True
) -> NDArray[np.int32]:
    """Return the order of the samples in each epoch, (n_epochs, n_samples) int32.

    Args:
        n_samples: of the dataset.
        n_epochs: rows to return.
        seed: of the permutations.
        shuffle: whether each row is a permutation, or the order the samples are in.
    """
    if not shuffle:
        return np.tile(np.arange(n_samples, dtype=np.int32), (n_epochs, 1))
    random = np.random.default_rng([seed, 1])
    return np.stack([random.permutation(n_samples).astype(np.int32) for _ in range(n_epochs)])


def draw(
    folder: Path,
    spec: Spec,
    *,
    n_inputs: int,
    n_samples: int,
    n_epochs: int,
    seed: int,
) -> Draw:
    """Draw weights and order for one seed, and return where they are kept.

    Args:
        folder: keeps them, under their digests.
        spec: its layers, its initializer, and whether each epoch has an order of its own.
        n_inputs: features of one sample.
        n_samples: of the dataset.
        n_epochs: rows of the order.
        seed: of all draws.

    Raises:
        DataError: the folder cannot be written.
    """
    uniform = np.random.default_rng([seed, 0]).uniform
    weights = draw_weights(spec, uniform, n_inputs)
    digest = weights_digest(weights)
    file = folder / f"weights-{digest}.npz"
    _write(file, lambda path: np.savez(path, **weights))  # type: ignore[arg-type]
    order = draw_order(folder, n_samples, n_epochs, seed, shuffle=spec.shuffle)
    return Draw(file, order.path, digest, order.sha256)


def draw_order(folder: Path, n_samples: int, n_epochs: int, seed: int, *, shuffle: bool) -> File:
    """Draw the order of the samples for one seed; return where it is kept, and its digest.

    Args:
        folder: keeps it, under its digest.
        n_samples: of the dataset.
        n_epochs: rows of the order.
        seed: of the permutations.
        shuffle: whether each epoch has an order of its own.

    Raises:
        DataError: the folder cannot be written.
    """
    order = batch_order(n_samples, n_epochs, seed, shuffle=shuffle)
    digest = sha256(order)
    file = folder / f"order-{digest}.npy"
    _write(file, lambda path: np.save(path, order))
    return File(file, digest)


def _write(path: Path, write: Callable[[str], None]) -> None:
    """Write a file whose name tells its content, completely or not at all.

    Another process may do the same: both write the same.
    """
    try:
        with scratch(make_folder(path.parent)) as folder:
            write(str(folder / path.name))
            (folder / path.name).replace(path)
    except OSError as error:
        raise DataError(_unwritable(path.parent, error)) from None


def make_folder(folder: Path) -> Path:
    """Return a folder of draws, made where it is missing.

    Raises:
        DataError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(_unwritable(folder, error)) from None
    return folder


def _unwritable(folder: Path, error: OSError) -> str:
    hint = "Set HARNESS_CACHE_DIR to another folder"
    return f"{folder}: cannot be written ({error.strerror}). {hint}"
