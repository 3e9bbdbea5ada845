"""A look at a dataset: its arrays, its classes, slices and batches, and its images as pictures."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.report.document import Block, Document, Figure, Sentence, Table, words

BATCH, NTH = 128, 3
N_FIRST = 10
Parts = Mapping[str, NDArray[np.uint8]]
Predicted = Mapping[str, tuple[int, ...]]
"""Classes of the first test images, by arm: "backend/implementation"."""


def overview(parts: Parts, sample: int, name: str, predicted: Predicted) -> Document:
    """Return a dataset's arrays, classes, slices, first test images, and a training sample drawn.

    Args:
        parts: The arrays, as `harness.spec.data.arrays.load_dataset` gives them.
        sample: Which training sample to show.
        name: The dataset's name, as `harness train --dataset` takes it.
        predicted: What `harness.records.record.first_predictions` found.
    """
    images, labels = parts["x_train"], parts["y_train"]
    return Document(
        (
            _arrays(parts),
            _classes(parts),
            _views(images),
            *_firsts(parts["y_test"][:N_FIRST].tolist(), name, predicted),
            Sentence(f"Training sample {sample}, labelled {labels[sample]}:"),
            picture(images[sample]),
        )
    )


def picture(image: NDArray[np.uint8]) -> Figure:
    """Return an image (height, width) of 0..255 as a figure."""
    return Figure("image", tuple(map(tuple, image.tolist())))


def sheet(parts: Parts) -> bytes:
    """Return a PNG of the first ten training samples of each class, a class a row, twice enlarged.

    Args:
        parts: The arrays, as `harness.spec.data.arrays.load_dataset` gives them.
    """
    images, labels = parts["x_train"], parts["y_train"]
    rows = [
        np.hstack(list(images[np.flatnonzero(labels == label)[:10]]))
        for label in range(_n_classes(labels))
    ]
    image = Image.fromarray(255 - np.vstack(rows))  # dark on light, as on paper
    twice = image.resize((image.width * 2, image.height * 2), Image.Resampling.NEAREST)
    content = io.BytesIO()
    twice.save(content, format="PNG")
    return content.getvalue()


def _n_classes(labels: NDArray[np.uint8]) -> int:
    """Return the number of classes that (n,) labels are of."""
    return 1 + int(labels.max())


def _arrays(parts: Parts) -> Table:
    rows = []
    for name, array in parts.items():
        about = (array.ndim, array.shape, array.dtype, array.min(), array.max())
        rows.append((name, *about, f"{array.mean():.3f}"))
    return _table(("array", "rank", "shape", "dtype", "lowest", "highest", "mean"), rows)


def _classes(parts: Parts) -> Table:
    n = _n_classes(parts["y_train"])
    rows = [(name, *np.bincount(parts[name], minlength=n)) for name in ("y_train", "y_test")]
    return _table(("class", *map(str, range(n))), rows)


def _views(images: NDArray[np.uint8]) -> Table:
    """Return the slices that a first lesson on tensors takes, each computed here."""
    start = BATCH * NTH
    views = {
        "images[10:100]": images[10:100],
        "images[:, 14:, 14:]  (bottom-right 14x14)": images[:, 14:, 14:],
        "images[:, 7:-7, 7:-7]  (centred 14x14)": images[:, 7:-7, 7:-7],
        f"images[:{BATCH}]  (first batch)": images[:BATCH],
        f"images[{start}:{start + BATCH}]  (batch n={NTH})": images[start : start + BATCH],
        f"images[{len(images) // BATCH * BATCH}:]  (last batch)": images[
            len(images) // BATCH * BATCH :
        ],
    }
    return _table(
        ("slice of x_train", "shape"), [(name, view.shape) for name, view in views.items()]
    )


def _firsts(labels: list[int], name: str, predicted: Predicted) -> tuple[Block, ...]:
    """Return the first test labels and, under them, what each arm predicted for their images."""
    rows = [(f"test_labels[:{N_FIRST}]", "", " ".join(map(str, labels)), "")]
    for arm, classes in predicted.items():
        first = f"{classes[0]} == {labels[0]}: {classes[0] == labels[0]}"
        rows.append((f"predictions.argmax(1)[:{N_FIRST}]", arm, " ".join(map(str, classes)), first))
    table = _table(
        (f"first {N_FIRST} test images", "arm", "classes", "predictions[0] == test_labels[0]"), rows
    )
    if predicted:
        return (table,)
    hint = f"no finished run on {name} keeps its predictions. Run: harness train --dataset {name}"
    return table, Sentence(f"! {hint}", "warning")


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    return Table(words(*header), tuple(tuple(map(str, row)) for row in rows))
