"""JAX in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax._src import source_info_util

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


def short_operations(model: Any, x: Any, y: Any) -> list[str]:
    """Return each operation of one update that gives a short float; none is known to be harmless.

    Args:
        model: built and compiled, its optimizer built.
        x: inputs (n, ...).
        y: labels (n, ...).
    """
    variables = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = tuple([variable.value for variable in several] for several in variables)
    program = jax.make_jaxpr(model.train_step)(state, (x, y))
    return [text for equation in _equations(program.jaxpr) for text in _short(equation)]


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
