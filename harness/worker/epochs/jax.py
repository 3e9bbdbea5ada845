"""A whole epoch as one program of XLA's, on JAX."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

Step = Callable[[Any, tuple[Any, Any]], tuple[Any, tuple[Any, Any]]]
"""From carry and a batch (images, labels) to the next carry, and (sum of losses, number right)."""
Train = Callable[[Any, Any, Any], tuple[Any, Any, Any]]
"""From carry, images and labels to the next carry, the sum of losses and the number right."""


def compiled_epoch(step: Step, batch_size: int) -> Train:
    """Return an epoch as one compiled program, in which the carry is overwritten (donated).

    Batches are sliced out one by one: a scan over (batches, batch, features) would copy all samples
    into that shape first. The last batch may be short.
    """

    @partial(jax.jit, donate_argnums=0)
    def train(carry: Any, images: Any, labels: Any) -> tuple[Any, Any, Any]:
        n_full = len(labels) // batch_size

        def add(sums: tuple[Any, Any, Any], batch: tuple[Any, Any]) -> tuple[Any, Any, Any]:
            carry, loss_sum, n_correct = sums
            carry, (loss, n) = step(carry, batch)
            return carry, loss_sum + loss, n_correct + n

        def body(index: Any, sums: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            cut = partial(jax.lax.dynamic_slice_in_dim, slice_size=batch_size)
            return add(sums, (cut(images, index * batch_size), cut(labels, index * batch_size)))

        sums = carry, jnp.float32(0), jnp.int32(0)
        if n_full:
            sums = jax.lax.fori_loop(0, n_full, body, sums)
        if n_full * batch_size < len(labels):  # the short batch
            sums = add(sums, (images[n_full * batch_size :], labels[n_full * batch_size :]))
        return sums

    return train  # type: ignore[no-any-return]
