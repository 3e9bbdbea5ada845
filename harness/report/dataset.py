"""A look at a dataset: its arrays, its classes, slices and batches, and its images as pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from harness.errors import DataError
from harness.inputs.arrays import PARTS
from harness.inputs.datasets import N_CLASSES
from harness.records.record import Record
from harness.report.table import sentence

SHADES = " ░▒▓█"
BATCH, NTH = 128, 3
N_FIRST = 10
Parts = Mapping[str, NDArray[np.uint8]]
Predicted = Mapping[str, tuple[int, ...]]
"""Classes of the first test images, by arm: "backend/implementation"."""


def overview(parts: Parts, sample: int, name: str, predicted: Predicted) -> RenderableType:
    """Return what a terminal shows of a dataset, with one training sample as a picture.

    Args:
        parts: The arrays, as `harness.inputs.arrays.load_dataset` gives them.
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
        _slices(images),
        _predictions(parts["y_test"][:N_FIRST].tolist(), name, predicted),
        Text(f"Training sample {sample}, labelled {labels[sample]}:"),
        picture(images[sample]),
    )


def first_predictions(records: Iterable[Record], data_sha256: str) -> dict[str, tuple[int, ...]]:
    """Return each arm's classes of the first ten test images, in its newest finished run.

    Args:
        records: In order of their start, as `harness.records.store.load_all` gives them. One of an
            older harness that kept no predictions is left out.
        data_sha256: The dataset's, by content; runs on others are left out.
    """
    return {
        "/".join(record.arm): record.measured.first_predictions
        for record in records
        if record.status == "ok" and record.request.data.sha256 == data_sha256
        if record.measured and record.measured.first_predictions
    }


def picture(image: NDArray[np.uint8]) -> Text:
    """Return an image, (height, width) uint8, as text, two columns a pixel."""
    rows = (image.astype(np.int64) * (len(SHADES) - 1) + 127) // 255
    return Text("\n".join("".join(SHADES[shade] * 2 for shade in row).rstrip() for row in rows))


def write_sheet(parts: Parts, file: Path) -> None:
    """Write a PNG of the first ten training samples of each class, a class a row, twice enlarged.

    Raises:
        DataError: the file cannot be written.
    """
    images, labels = parts["x_train"], parts["y_train"]
    places = [np.flatnonzero(labels == label)[:10] for label in range(N_CLASSES)]
    rows = [np.hstack(list(images[several])) for several in places]
    sheet = Image.fromarray(255 - np.vstack(rows))  # dark on light, as on paper
    sheet = sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.NEAREST)
    try:
        sheet.save(file, format="PNG")
    except OSError as error:
        raise DataError(f"--png: {file}: cannot be written ({error.strerror})") from None


def _arrays(parts: Parts) -> Grid:
    grid = _grid("array", "rank", "shape", "dtype", "lowest", "highest", "mean")
    for name in PARTS:
        array = parts[name]
        values = array.min(), array.max(), f"{array.mean():.3f}"
        grid.add_row(name, *map(str, (array.ndim, array.shape, array.dtype, *values)))
    return grid


def _classes(parts: Parts) -> Grid:
    grid = _grid("class", *map(str, range(N_CLASSES)))
    for name in ("y_train", "y_test"):
        grid.add_row(name, *map(str, np.bincount(parts[name], minlength=N_CLASSES)))
    return grid


def _slices(images: NDArray[np.uint8]) -> Grid:
    """Return the slices that a first lesson on tensors takes, and their shapes."""
    start, last = BATCH * NTH, len(images) // BATCH * BATCH
    views = {
        "images[10:100]": images[10:100],
        "images[:, 14:, 14:]  (bottom-right 14x14)": images[:, 14:, 14:],
        "images[:, 7:-7, 7:-7]  (centred 14x14)": images[:, 7:-7, 7:-7],
        f"images[:{BATCH}]  (first batch)": images[:BATCH],
        f"images[{start}:{start + BATCH}]  (batch n={NTH})": images[start : start + BATCH],
        f"images[{last}:]  (last batch)": images[last:],
    }
    grid = _grid("slice of x_train", "shape")
    for name, view in views.items():
        grid.add_row(Text(name), str(view.shape))
    return grid


def _predictions(labels: list[int], name: str, predicted: Predicted) -> RenderableType:
    """Return the first test labels and, under them, what each arm predicted for their images."""
    title, first = f"first {N_FIRST} test images", "predictions[0] == test_labels[0]"
    grid = _grid(title, "arm", "classes", first)
    grid.add_row(Text(f"test_labels[:{N_FIRST}]"), "", " ".join(map(str, labels)), "")
    for arm, classes in predicted.items():
        first = f"{classes[0]} == {labels[0]}: {classes[0] == labels[0]}"
        cells = Text(f"predictions.argmax(1)[:{N_FIRST}]"), Text(arm), " ".join(map(str, classes))
        grid.add_row(*cells, first)
    if predicted:
        return grid
    missing = f"! no finished run on {name} keeps its predictions"
    return Group(grid, sentence(f"{missing}. Run: harness train --dataset {name}", "yellow"))


def _grid(*header: str) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in header:
        grid.add_column(name)
    return grid
