"""A look at a dataset: its arrays, its classes, slices and batches, and its images as pictures."""

from __future__ import annotations

from collections.abc import Mapping
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

SHADES = " ░▒▓█"
BATCH, NTH = 128, 3
Parts = Mapping[str, NDArray[np.uint8]]


def overview(parts: Parts, sample: int) -> RenderableType:
    """Return what a terminal shows of a dataset, with one training sample as a picture.

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
        Text(f"Training sample {sample}, labelled {labels[sample]}; the first test label is {parts['y_test'][0]}:"),
        picture(images[sample]),
    )


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
    rows = [np.hstack(list(images[np.flatnonzero(labels == label)[:10]])) for label in range(N_CLASSES)]
    sheet = Image.fromarray(255 - np.vstack(rows))  # dark on light, as on paper
    try:
        sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.NEAREST).save(file, format="PNG")
    except OSError as error:
        raise DataError(f"--png: {file}: cannot be written ({error.strerror})") from None


def _arrays(parts: Parts) -> Grid:
    grid = _grid("array", "rank", "shape", "dtype", "lowest", "highest", "mean")
    for name in PARTS:
        array = parts[name]
        cells = (name, array.ndim, array.shape, array.dtype, array.min(), array.max(), f"{array.mean():.3f}")
        grid.add_row(*map(str, cells))
    return grid


def _classes(parts: Parts) -> Grid:
    grid = _grid("class", *map(str, range(N_CLASSES)))
    for name in ("y_train", "y_test"):
        grid.add_row(name, *map(str, np.bincount(parts[name], minlength=N_CLASSES)))
    return grid


def _views(images: NDArray[np.uint8]) -> Grid:
    """Return the slices that a first lesson on tensors takes, each computed here."""
    start = BATCH * NTH
    views = {
        "images[10:100]": images[10:100],
        "images[:, 14:, 14:]  (bottom-right 14x14)": images[:, 14:, 14:],
        "images[:, 7:-7, 7:-7]  (centred 14x14)": images[:, 7:-7, 7:-7],
        f"images[:{BATCH}]  (first batch)": images[:BATCH],
        f"images[{start}:{start + BATCH}]  (batch n={NTH})": images[start : start + BATCH],
        f"images[{len(images) // BATCH * BATCH}:]  (last batch)": images[len(images) // BATCH * BATCH :],
    }
    grid = _grid("slice of x_train", "shape")
    for name, view in views.items():
        grid.add_row(Text(name), str(view.shape))
    return grid


def _grid(*header: str) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in header:
        grid.add_column(name)
    return grid
