"""Initial weights and the order of the samples, drawn by NumPy once for each seed.

**Differs**: each framework has a generator of its own, and Keras's `shuffle=True` uses another one
on each backend, so the same seed is neither the same weights nor the same order. Drawn here and
handed over as files, they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError
from harness.inputs.arrays import sha256, weights_digest
from harness.inputs.initializers import initial_weights
from harness.scratch import scratch


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
    """Return the order of the samples in each epoch, (n_epochs, n_samples) int32: a permutation a row, or the order they are in."""
    if not shuffle:
        return np.tile(np.arange(n_samples, dtype=np.int32), (n_epochs, 1))
    random = np.random.default_rng([seed, 1])
    return np.stack([random.permutation(n_samples).astype(np.int32) for _ in range(n_epochs)])


def draw(
    folder: Path,
    *,
    n_inputs: int,
    layers: Sequence[tuple[str, int]],
    initializer: str,
    n_samples: int,
    n_epochs: int,
    shuffle: bool,
    seed: int,
) -> Draw:
    """Draw weights and order for one seed, keep them in `folder` under their digests, and return where they are.

    Raises:
        DataError: the folder cannot be written.
    """
    weights = initial_weights(
        np.random.default_rng([seed, 0]).uniform, n_inputs, layers, initializer
    )
    order = batch_order(n_samples, n_epochs, seed, shuffle=shuffle)
    weights_sha256, order_sha256 = weights_digest(weights), sha256(order)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Draw(
            weights=_kept(
                folder / f"weights-{weights_sha256}.npz", lambda file: np.savez(file, **weights)
            ),  # type: ignore[arg-type]
            order=_kept(folder / f"order-{order_sha256}.npy", lambda file: np.save(file, order)),
            weights_sha256=weights_sha256,
            order_sha256=order_sha256,
        )
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror}). Set HARNESS_CACHE_DIR to another folder"
        ) from None


def _kept(path: Path, write: Callable[[str], None]) -> Path:
    """Write a file whose name tells its content, whole or not at all. Another process may do the same: both write the same."""
    with scratch(path.parent) as folder:
        write(str(folder / path.name))
        return (folder / path.name).replace(path)
