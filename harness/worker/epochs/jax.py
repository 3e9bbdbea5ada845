"""A whole epoch as one program of XLA's, on JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

Train = Callable[[Any, Any, Any], tuple[Any, Any, Any]]
"""From what training carries on, images and labels to what it carries on, the sum of losses and the number right."""


def compiled_epoch(
    step: Callable[[Any, tuple[Any, Any]], tuple[Any, tuple[Any, Any]]], batch_size: int
) -> Train:
    """Return an epoch as one compiled program; what it carries on is overwritten, not copied (donated).

    Batches are sliced out one by one: a scan over (batches, batch, features) would copy all samples
    into that shape first.

    Args:
        step: from what training carries on and a batch to what it carries on, the batch's sum of
            losses and its number right.
        batch_size: of a full batch; the last one may be short.
    """

    @partial(jax.jit, donate_argnums=0)
    def train(carry: Any, images: Any, labels: Any) -> tuple[Any, Any, Any]:
        n_full = len(labels) // batch_size

        def body(index: Any, carried: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            batch = [
                jax.lax.dynamic_slice_in_dim(array, index * batch_size, batch_size)
                for array in (images, labels)
            ]
            return added(carried, batch)

        def added(carried: tuple[Any, Any, Any], batch: Sequence[Any]) -> tuple[Any, Any, Any]:
            carry, loss_sum, right = carried
            carry, (loss, more) = step(carry, (batch[0], batch[1]))
            return carry, loss_sum + loss, right + more

        carried = carry, jnp.float32(0), jnp.int32(0)
        if n_full:
            carried = jax.lax.fori_loop(0, n_full, body, carried)
        if n_full * batch_size < len(labels):  # the short batch
            carried = added(carried, (images[n_full * batch_size :], labels[n_full * batch_size :]))
        return carried[0], carried[1], carried[2]

    return train  # type: ignore[no-any-return]
