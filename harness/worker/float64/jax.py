"""JAX in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
from jax._src import source_info_util
from keras.src.backend.jax import trainer

from harness.worker.float64 import SHORT


def patch() -> None:
    """Let JAX have float64, and keep the softmax of attention in it.

    `jax.nn.dot_product_attention`, which Keras calls, "always" takes the softmax in float32
    (jax/_src/nn/functions.py): 7e-8 in the outputs, 4e-6 in the gradients.
    """
    jax.config.update("jax_enable_x64", True)
    jax.nn.dot_product_attention = attention


def attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
    **_: Any,
) -> Any:
    """Return what `jax.nn.dot_product_attention` returns, in the dtype of its operands.

    Args:
        query: (n, targets, heads, depth).
        key: (n, sources, heads, depth).
        value: (n, sources, heads, depth).
        bias: added to the logits; broadcast to (n, heads, targets, sources).
        mask: False where a target must not see a source; broadcast likewise.
        scale: of the logits; 1 / sqrt(depth) by default.
        is_causal: whether a target sees no source after it.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    logits = jnp.einsum("BTNH,BSNH->BNTS", query, key) * scale
    logits = logits if bias is None else logits + bias
    lowest = -0.7 * jnp.finfo(logits.dtype).max
    logits = logits if mask is None else jnp.where(mask, logits, lowest)
    if is_causal:
        logits = jnp.where(jnp.tril(jnp.ones(logits.shape[-2:], bool)), logits, lowest)
    return jnp.einsum("BNTS,BSNH->BTNH", jax.nn.softmax(logits, axis=-1), value)


@contextmanager
def watch() -> Iterator[Callable[[], list[str]]]:
    """Look at each program that Keras gives to `jax.jit` meanwhile; nothing is harmless.

    Yields:
        What returns the operations of those that have run so far.
    """
    jit, programs = trainer.jit, list[Any]()

    def seen(function: Any, *rest: Any, **more: Any) -> Callable[..., Any]:
        compiled, known = jit(function, *rest, **more), set[Any]()

        def call(*arguments: Any) -> Any:
            shapes = str(jax.tree.map(lambda each: getattr(each, "shape", each), arguments))
            if shapes not in known:
                known.add(shapes)
                programs.append(compiled.trace(*arguments).jaxpr.jaxpr)
            return compiled(*arguments)

        return call

    with mock.patch.object(trainer, "jit", seen):
        yield lambda: [
            text
            for program in programs
            for equation in _equations(program)
            for text in _short(equation)
        ]


def _equations(program: Any) -> Iterator[Any]:
    """Yield the equations of a program and of those inside it."""
    for equation in program.eqns:
        yield equation
        for inner in jax.core.jaxprs_in_params(equation.params):
            yield from _equations(inner)


def _short(equation: Any) -> Iterator[str]:
    """Yield a line if an equation itself gives a short float; those inside it have their own."""
    given = {str(getattr(each.aval, "dtype", "")) for each in equation.outvars} & set(SHORT)
    if given and not list(jax.core.jaxprs_in_params(equation.params)):
        where = source_info_util.summarize(equation.source_info)
        yield f"{equation.primitive.name}: {', '.join(sorted(given))} ({where})"
