"""A whole epoch as one loop in a traced function, on TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def fold_batches(
    step: Callable[[Any, Any, Any], Any], carry: Any, images: Any, labels: Any, batch_size: int
) -> Any:
    """Return the carry after all batches, in a function that is being traced.

    Args:
        step: from carry, images and labels of a batch to the next carry.
        carry: before the first batch: tensors, in any structure.
        images: (n, features) float32, n known while tracing.
        labels: (n,) integers.
        batch_size: of a full batch; the last one may be short.
    """
    n_full = len(labels) // batch_size

    def body(index: Any, carry: Any) -> tuple[Any, Any]:
        # tf.slice, since its size is known to XLA; images[begin : begin + size] made an epoch
        # hundreds of times longer.
        begin = index * batch_size
        batch_images = tf.slice(images, [begin, 0], [batch_size, images.shape[1]])
        batch_labels = tf.slice(labels, [begin], [batch_size])
        return index + 1, step(carry, batch_images, batch_labels)

    if n_full:
        start = tf.constant(0), carry
        _, carry = tf.while_loop(lambda index, carry: index < n_full, body, start)
    if n_full * batch_size < len(labels):  # the short batch
        carry = step(carry, images[n_full * batch_size :], labels[n_full * batch_size :])
    return carry
