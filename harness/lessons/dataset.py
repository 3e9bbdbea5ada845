"""A look at a dataset: its arrays, its classes, slices and batches, and its images as pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Group, RenderableType
from rich.text import Text

from harness.errors import DataError
from harness.records.record import Record
from harness.report.fitting import Fitting, Sentence, columns_of
from harness.spec.data.arrays import PARTS
from harness.spec.data.mnist import N_CLASSES

SHADES = " ░▒▓█"
BATCH, NTH = 128, 3
N_FIRST = 10
Parts = Mapping[str, NDArray[np.uint8]]
Predicted = Mapping[str, tuple[int, ...]]
"""Classes of the first test images, by arm: "backend/implementation"."""


def overview(parts: Parts, sample: int, name: str, predicted: Predicted) -> RenderableType:
    """Return what a terminal shows of a dataset, with one training sample as a picture.

    Args:
        parts: The arrays, as `harness.spec.data.arrays.load_dataset` gives them.
        sample: Which training sample to show.
        name: The dataset's name, as `harness train --dataset` takes it.
        predicted: What `first_predictions` found.

    Raises:
        DataError: there is no such sample.
    """
    images, labels = parts["x_train"], parts["y_train"]
    if not 0 <= sample < len(images):
        raise DataError(f"--sample: expected 0 to {len(images) - 1}; received {sample}")
    return Group(
        _arrays(parts),
        _classes(parts),
        _views(images),
        _firsts(parts["y_test"][:N_FIRST].tolist(), name, predicted),
        Text(f"Training sample {sample}, labelled {labels[sample]}:"),
        picture(images[sample]),
    )


def first_predictions(records: Iterable[Record], data_sha256: str) -> dict[str, tuple[int, ...]]:
    """Return what each arm took the first ten test images for, in its newest finished run on this very dataset.

    Args:
        records: In order of their start, as `harness.records.store.load_all` gives them. One of an
            older harness that kept no predictions is passed over.
        data_sha256: The dataset's, by content.
    """
    return {
        record.arm.name: record.measured.first_predictions
        for record in records
        if record.status == "ok" and record.request.data.sha256 == data_sha256
        if record.measured and record.measured.first_predictions
    }


def picture(image: NDArray[np.uint8]) -> Text:
    """Return an image (height, width) of 0..255 as text, two columns a pixel."""
    rows = (image.astype(np.int64) * (len(SHADES) - 1) + 127) // 255
    return Text("\n".join("".join(SHADES[shade] * 2 for shade in row).rstrip() for row in rows))


def write_sheet(parts: Parts, file: Path) -> None:
    """Write a PNG of the first ten training samples of each class, a class a row, twice enlarged.

    Raises:
        DataError: the file cannot be written.
    """
    images, labels = parts["x_train"], parts["y_train"]
    rows = [
        np.hstack(list(images[np.flatnonzero(labels == label)[:10]])) for label in range(N_CLASSES)
    ]
    sheet = Image.fromarray(255 - np.vstack(rows))  # dark on light, as on paper
    try:
        sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.NEAREST).save(
            file, format="PNG"
        )
    except OSError as error:
        raise DataError(f"--png: {file}: cannot be written ({error.strerror})") from None


def _arrays(parts: Parts) -> Fitting:
    rows = [
        (
            name,
            array.ndim,
            array.shape,
            array.dtype,
            array.min(),
            array.max(),
            f"{array.mean():.3f}",
        )
        for name, array in ((name, parts[name]) for name in PARTS)
    ]
    return _fitting(("array", "rank", "shape", "dtype", "lowest", "highest", "mean"), rows)


def _classes(parts: Parts) -> Fitting:
    rows = [
        (name, *np.bincount(parts[name], minlength=N_CLASSES)) for name in ("y_train", "y_test")
    ]
    return _fitting(("class", *map(str, range(N_CLASSES))), rows)


def _views(images: NDArray[np.uint8]) -> Fitting:
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
    return _fitting(
        ("slice of x_train", "shape"), [(name, view.shape) for name, view in views.items()]
    )


def _firsts(labels: list[int], name: str, predicted: Predicted) -> RenderableType:
    """Return the first test labels and, under them, what each arm predicted for their images."""
    rows = [(f"test_labels[:{N_FIRST}]", "", " ".join(map(str, labels)), "")]
    for arm, classes in predicted.items():
        first = f"{classes[0]} == {labels[0]}: {classes[0] == labels[0]}"
        rows.append((f"predictions.argmax(1)[:{N_FIRST}]", arm, " ".join(map(str, classes)), first))
    table = _fitting(
        (f"first {N_FIRST} test images", "arm", "classes", "predictions[0] == test_labels[0]"), rows
    )
    if predicted:
        return table
    return Group(
        table,
        Sentence(
            f"! no finished run on {name} keeps its predictions. Run: harness train --dataset {name}",
            "yellow",
        ),
    )


def _fitting(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Fitting:
    return Fitting(columns_of(header, header), tuple(tuple(map(str, row)) for row in rows))
