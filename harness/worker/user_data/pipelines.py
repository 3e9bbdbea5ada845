"""An epoch of a pipeline, whatever makes it, read once into arrays.

A pipeline is what `fit` takes as x and asks for batches: a PyDataset, tf.data, PyTorch's
DataLoader, grain, a generator. Its batches are read in its own order, each once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import GeneratorType
from typing import Any

import keras
import numpy as np
from keras.src.trainers import data_adapters
from numpy.typing import NDArray

from harness.spec.data.own import NAMES, Tree, map_leaves, name_parts
from harness.worker.own_code import named_errors
from harness.worker.user_data.leaves import count_bytes, read_parts
from harness.worker.user_inputs import Unusable

MIB = 2**20
NO_LABELS = "expected (x, y); received x alone. A model that takes no labels is given (x,)"


@dataclass(slots=True)
class Bounds:
    """How much may be read, and until when."""

    where: str  # the function, as it was typed
    file: Path  # it lies in
    most_bytes: int
    limit_s: float
    limit_batches: int | None  # of the training data; None: all
    batch_size: int | None  # that it is trained with; None: as the data say
    say: Callable[[str], None] = lambda doing: None
    held_bytes: int = 0  # of what was read before
    began: float = field(default_factory=time.monotonic)

    def n_most(self, own_size: int) -> int | None:
        """Return how many samples are wanted of training data with those batches; None: all."""
        size = self.batch_size or own_size
        return None if self.limit_batches is None else self.limit_batches * size

    def check(self, name: str, n_samples: int, n_bytes: int, own_size: int) -> None:
        """Check that there is memory and time for more.

        Args:
            name: of the argument that is read.
            n_samples: of it, so far.
            n_bytes: that these take.
            own_size: of a batch, as the data say it.

        Raises:
            Unusable: there is not; says how many batches can be had.
        """
        spent_s, size = time.monotonic() - self.began, self.batch_size or own_size
        n_batches = -(-n_samples // size)
        takes = f"{n_batches} batches take {n_bytes / MIB:,.1f} MiB"
        if self.held_bytes + n_bytes > self.most_bytes:
            room = max(0, self.most_bytes - self.held_bytes)
            n_fit = room * n_samples // (n_bytes * size)
            said = f"{takes}, and there is room for {room / MIB:,.1f} MiB, a third of what is free"
            raise Unusable(f"{self.where}: {name}: {said}: {n_fit} would fit. {hint(name, n_fit)}")
        if spent_s > self.limit_s:
            said = f"has not ended after {spent_s:.0f} s: {takes}. Has it an end?"
            raise Unusable(f"{self.where}: {name}: {said} {hint(name, n_batches)}")


def hint(name: str, n_batches: int) -> str:
    """Return what to type so that only so many batches of an argument are read."""
    if name == "x":
        return f"Read fewer: limit_batches = {max(1, n_batches)}"
    return f"Return {max(1, n_batches)} batches of it"


@dataclass(frozen=True, slots=True)
class Epoch:
    """What the batches of a pipeline were."""

    parts: dict[str, Tree]  # by name in NAMES
    batch_size: int  # of its first
    remarks: tuple[str, ...]


def kind_of(x: Any) -> str:
    """Return what `fit` takes x for, if it asks it for batches; "" where it does not."""
    if isinstance(x, keras.utils.PyDataset):
        return "a keras.utils.PyDataset"
    if data_adapters.is_tf_dataset(x):
        return "a tf.data.Dataset"
    if data_adapters.is_torch_dataloader(x):
        return "a PyTorch DataLoader"
    if data_adapters.is_grain_dataset(x):
        return "a grain dataset"
    return "a generator" if isinstance(x, GeneratorType) else ""


def read_epoch(name: str, pipeline: Any, bounds: Bounds) -> Epoch:
    """Return the arrays, (n, ...) each, that the batches of a pipeline make together.

    Args:
        name: of the argument that it is.
        pipeline: of one of the kinds of `kind_of`.
        bounds: of memory and time; of "x", those of its batches too.

    Raises:
        Unusable: its batches are not such as make arrays, or are too many.
        Refused: it raises.
    """
    first: dict[str, Tree] = {}
    pieces: list[dict[str, NDArray[Any]]] = []
    n_bytes = n_samples = 0
    n_most: int | None = None
    for number, batch in enumerate(_batches(f"{bounds.where}: {name}", pipeline, bounds), 1):
        where = f"{bounds.where}: {name}: batch {number}"
        parts = _split(where, batch)
        arrays = name_parts(parts)
        first = first or parts
        _check_like_first(where, arrays, pieces)
        size = len(next(iter(arrays.values())))
        if not pieces and name == "x":
            n_most = bounds.n_most(size)
        left = size if n_most is None else min(size, n_most - n_samples)
        pieces.append({place: array[:left].copy() for place, array in arrays.items()})
        n_samples += left
        n_bytes += count_bytes(pieces[-1].values())
        bounds.check(name, n_samples, n_bytes, len(next(iter(pieces[0].values()))))
        bounds.say(f"{name}: batch {number}")
        if n_samples == n_most:
            break
    if not pieces:
        raise Unusable(f"{bounds.where}: {name}: expected at least one batch; received none")
    bounds.held_bytes += n_bytes
    sizes = [len(next(iter(piece.values()))) for piece in pieces]
    return Epoch(_join(first, pieces), sizes[0], _remark_sizes(name, sizes))


def _batches(where: str, pipeline: Any, bounds: Bounds) -> Iterator[Any]:
    """Yield a pipeline's batches; what it raises is one sentence."""
    with named_errors(f"{where}:", bounds.file):
        if isinstance(pipeline, keras.utils.PyDataset):
            pipeline.on_epoch_begin()
        batches: Iterable[Any] = pipeline
        yield from batches


def _split(where: str, batch: Any) -> dict[str, Tree]:
    """Return the parts of a batch, as trees of arrays (n, ...)."""
    if not isinstance(batch, tuple | list):
        raise Unusable(f"{where}: {NO_LABELS}")
    if not 1 <= len(batch) <= len(NAMES) or batch[0] is None:
        expected = "expected (x,), (x, y) or (x, y, sample_weight)"
        raise Unusable(f"{where}: {expected}; received {len(batch)} of them")
    return read_parts(where, dict(zip(NAMES, batch, strict=False)))


def _check_like_first(
    where: str, arrays: dict[str, NDArray[Any]], pieces: list[dict[str, NDArray[Any]]]
) -> None:
    """Raise Unusable where a batch has other arrays, (n, ...), than the first."""
    first = pieces[0] if pieces else arrays
    if list(arrays) != list(first):
        received = f"received {', '.join(arrays)}"
        raise Unusable(f"{where}: expected {', '.join(first)}, as in the first batch; {received}")
    for place, array in arrays.items():
        known = first[place]
        if array.shape[1:] != known.shape[1:]:
            expected = f"expected samples of shape {known.shape[1:]}, as in the first batch"
            received = f"received {array.shape[1:]}. Pad all to one length"
            raise Unusable(f"{where}: {place}: {expected}; {received}")
        if array.dtype != known.dtype:
            expected = f"expected {known.dtype}, as in the first batch"
            raise Unusable(f"{where}: {place}: {expected}; received {array.dtype}")


def _join(first: dict[str, Tree], pieces: list[dict[str, NDArray[Any]]]) -> dict[str, Tree]:
    """Return the parts of all batches together; the pieces, (n, ...) each, are given up."""
    places = iter([*pieces[0]])

    def join(_: Any) -> NDArray[Any]:
        place = next(places)
        return np.concatenate([piece.pop(place) for piece in pieces])

    return {name: map_leaves(join, tree) for name, tree in first.items()}


def _remark_sizes(name: str, sizes: list[int]) -> tuple[str, ...]:
    """Return a remark where a batch other than the last has another size than the first."""
    last = [sizes[-1]] if sizes[-1] > sizes[0] else []
    others = sorted({*sizes[:-1], *last} - {sizes[0]})
    several = ", ".join(map(str, others[:5]))
    said = f"{name}: batches of {sizes[0]} samples, and of {several}; here they are of one size"
    return (said,) if others else ()
