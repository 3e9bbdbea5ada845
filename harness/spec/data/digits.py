"""The embedded dataset: MNIST's shape, made from scikit-learn's handwritten digits.

For a machine that cannot reach MNIST. The sources are the 1,797 real 8x8 digits of the UCI "Optical
Recognition of Handwritten Digits" test set (E. Alpaydin, C. Kaynak, 1998); 1,437 of them make the
60,000 training images and the other 360 make the 10,000 test images, so no source image is on both
sides. Each image is a source enlarged bilinearly to a height and a width of 20 to 26 pixels, drawn
apart, and laid at a random place of the 28x28 field.

Integers and NumPy's frozen `RandomState` stream (NEP 19) throughout: the same bytes on every
machine and release.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FIELD = 28
SIDES = range(20, 27)  # pixels; heights and widths of an enlarged digit
N_TRAIN, N_TEST = 60_000, 10_000
N_TRAIN_SOURCES = 1_437  # of 1,797: four fifths


def make() -> dict[str, NDArray[np.uint8]]:
    """Return the four arrays, uint8.

    They are x_train (60000, 28, 28), y_train (60000,), x_test (10000, 28, 28), y_test (10000,).
    """
    from sklearn.datasets import load_digits  # here: half a second that only this dataset pays

    bunch = load_digits()
    # (1797, 8, 8) of 0..16, (1797,)
    images, labels = bunch.images.astype(np.int64), bunch.target.astype(np.uint8)
    random = np.random.RandomState(28)
    train_sources, test_sources = split(len(images), random)
    train = _enlarged(images, labels, train_sources, N_TRAIN, random)
    test = _enlarged(images, labels, test_sources, N_TEST, random)
    return {"x_train": train[0], "y_train": train[1], "x_test": test[0], "y_test": test[1]}


def split(n: int, random: np.random.RandomState) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sources of training images, (1437,), and of test images, (n - 1437,), int64.

    No source is in both.
    """
    sources = random.permutation(n)
    return sources[:N_TRAIN_SOURCES], sources[N_TRAIN_SOURCES:]


def _enlarged(
    images: NDArray[np.int64],
    labels: NDArray[np.uint8],
    sources: NDArray[np.int64],
    n: int,
    random: np.random.RandomState,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return n images (n, 28, 28) and labels (n,) made from those sources.

    Each source is used as often as any other, give or take one.
    """
    chosen = random.permutation(np.resize(sources, n))
    heights, widths = random.randint(SIDES.start, SIDES.stop, (2, n))
    corners = random.randint(0, 2**31, (2, n))  # taken modulo the room that is left
    fields = np.zeros((n, FIELD, FIELD), np.uint8)
    for height in SIDES:
        for width in SIDES:
            members = np.flatnonzero((heights == height) & (widths == width))
            pictures = _bilinear(images[chosen[members]], height, width)
            tops, lefts = (
                corners[0, members] % (FIELD + 1 - height),
                corners[1, members] % (FIELD + 1 - width),
            )
            rows = tops[:, None, None] + np.arange(height)[:, None]  # (m, height, 1)
            columns = lefts[:, None, None] + np.arange(width)  # (m, 1, width)
            fields[members[:, None, None], rows, columns] = pictures
    return fields, labels[chosen]


def _bilinear(images: NDArray[np.int64], height: int, width: int) -> NDArray[np.uint8]:
    """Return images (m, 8, 8) of 0..16 as (m, height, width) of 0..255.

    Corner lies on corner; the integers are exact.
    """
    rows, columns = _weights(images.shape[1], height), _weights(images.shape[2], width)
    sums = rows.T @ images @ columns  # (m, height, width), scaled by 16 (height - 1) (width - 1)
    whole = 16 * (height - 1) * (width - 1)
    return ((sums * 255 + whole // 2) // whole).astype(np.uint8)


def _weights(n_from: int, n_to: int) -> NDArray[np.int64]:
    """Return the share of each source row in each target row, (n_from, n_to) int64.

    Its unit is 1 / (n_to - 1).
    """
    targets = np.arange(n_to)
    low, share = np.divmod(targets * (n_from - 1), n_to - 1)
    weights = np.zeros((n_from, n_to), np.int64)
    weights[low, targets] += n_to - 1 - share
    weights[np.minimum(low + 1, n_from - 1), targets] += share  # share is 0 at the last row
    return weights
