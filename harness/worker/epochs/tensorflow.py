"""A whole epoch as one loop in a traced function, on TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def over_batches(
    step: Callable[[Any, Any, Any], Any], carried: Any, images: Any, labels: Any, batch_size: int
) -> Any:
    """Return what is carried on after all batches, in a function that is being traced.

    Args:
        step: from what is carried on, images and labels of a batch to what is carried on.
        carried: what the first batch is given: tensors, nested at will.
        images: (n, features), n known while tracing.
        labels: (n,).
        batch_size: of a full batch; the last one may be short.
    """
    n_full = len(labels) // batch_size

    def body(index: Any, carried: Any) -> tuple[Any, Any]:
        # tf.slice, since its size is known to XLA; images[begin : begin + size] made an epoch
        # hundreds of times longer.
        begin = index * batch_size
        batch = (
            tf.slice(images, [begin, 0], [batch_size, images.shape[1]]),
            tf.slice(labels, [begin], [batch_size]),
        )
        return index + 1, step(carried, *batch)

    if n_full:
        _, carried = tf.while_loop(
            lambda index, carried: index < n_full, body, (tf.constant(0), carried)
        )
    if n_full * batch_size < len(labels):  # the short batch
        carried = step(carried, images[n_full * batch_size :], labels[n_full * batch_size :])
    return carried
