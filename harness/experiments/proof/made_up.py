"""What the student is held to: a referee over made-up samples, which need no dataset."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from harness.experiments.proof.defects import N_LATE
from harness.referee.ground import Ground, ground
from harness.referee.loop import N_LOOP
from harness.referee.oracle import Loss
from harness.referee.scope import EPOCH
from harness.spec.config import Spec
from harness.spec.stack import draw_weights

POINTS = ("init", "adversarial")
SMALL_BATCH = 16  # of the whole first epoch
SIDE, BORDER = 28, 3  # pixels of an image, and of its black border


def reference_of(spec: Spec, losses: Iterable[Loss], seed: int = 0) -> Ground:
    """Return what the student is held to.

    Points, referee and floors.

    Args:
        spec: what is trained.
        losses: the forms of cross-entropy that a student may be documented to compute.
        seed: of the weights and the samples.
    """
    random = np.random.default_rng([seed, 7])
    return _reference(spec, int(N_LOOP * spec.batch_size), random, losses, POINTS)


def epoch_reference_of(spec: Spec, losses: Iterable[Loss]) -> Ground:
    """Return the whole first epoch that the student is held to.

    Small batches, and as many updates as late defects need.
    """
    small, random = (
        spec.model_copy(update={"batch_size": SMALL_BATCH}),
        np.random.default_rng([0, 8]),
    )
    n = (N_LATE - 1) * SMALL_BATCH + SMALL_BATCH // 2
    return _reference(small, n, random, losses, (EPOCH,))


def _reference(
    spec: Spec, n: int, random: np.random.Generator, losses: Iterable[Loss], only: tuple[str, ...]
) -> Ground:
    """Return the referee over n samples, with some points of the gate."""
    weights = draw_weights(spec, random.uniform, SIDE**2)
    order = random.permutation(n)[None].astype(np.int32)
    return ground(spec, weights, order, samples(n, random), set(losses), only)


def samples(n: int, random: np.random.Generator) -> dict[str, NDArray[np.uint8]]:
    """Return n images like digits, and their labels.

    Ten shapes, each image one of them with noise, a black border around.
    """
    shapes = random.random((10, SIDE, SIDE)) * (random.random((10, SIDE, SIDE)) < 0.3)
    labels = random.integers(0, 10, n).astype(np.uint8)
    images = shapes[labels] * random.uniform(0.5, 1, (n, SIDE, SIDE)) + 0.4 * (
        random.random((n, SIDE, SIDE)) < 0.03
    )
    images[:, :BORDER] = images[:, -BORDER:] = 0
    images[:, :, :BORDER] = images[:, :, -BORDER:] = 0
    return {"x_train": np.round(255 * np.clip(images, 0, 1)).astype(np.uint8), "y_train": labels}
