"""What the from-scratch files share without a framework: batches, and the check of shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


class BatchGenerator:
    """Cuts samples into batches, in their order; the last one may be short.

    Args:
        images: (n, features), any array that slices.
        labels: (n,) the class of each.
        batch_size: samples of a batch; more than n makes one batch of n.

    Raises:
        ValueError: no samples, not as many labels as images, or no positive batch size.
    """

    def __init__(self, images: Any, labels: Any, batch_size: int = 128) -> None:
        if len(images) == 0 or len(images) != len(labels):
            received = f"received {len(images)} images, {len(labels)} labels"
            raise ValueError(f"BatchGenerator: expected samples, and a label for each; {received}")
        if batch_size < 1:
            raise ValueError(
                f"BatchGenerator: batch_size: expected 1 or more; received {batch_size}"
            )
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.index = 0
        self.num_batches = math.ceil(len(images) / batch_size)

    def next(self) -> tuple[Any, Any]:
        """Return the next batch: images (B, features), labels (B,)."""
        batch = slice(self.index, self.index + self.batch_size)
        self.index += self.batch_size
        return self.images[batch], self.labels[batch]


def check_inputs(layer: str, inputs: Sequence[int], kernel: Sequence[int]) -> None:
    """Check that inputs (batch, features) fit a kernel (features, units).

    Args:
        layer: its name, for the message.
        inputs: their shape.
        kernel: its shape.

    Raises:
        ValueError: they do not fit.
    """
    if len(inputs) != 2 or inputs[1] != kernel[0]:
        expected = f"expected inputs (batch, {kernel[0]}) for its kernel {tuple(kernel)}"
        raise ValueError(f"{layer}: {expected}; received {tuple(inputs)}")
