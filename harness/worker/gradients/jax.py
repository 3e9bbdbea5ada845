"""JAX: a function is turned into another one that returns its gradient."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from harness.worker.gradients import GRAPH


def compute_gradients() -> dict[str, Any]:
    """Return the quantities that `harness.worker.gradients` lists."""
    return {**_graph(), **_line(), **_product()}


def _graph() -> dict[str, Any]:
    def forward(kernel: Any, bias: Any, x: Any) -> tuple[Any, tuple[Any, Any]]:
        x1 = x * kernel
        x2 = x1 + bias
        return jnp.abs(4.0 - x2), (x1, x2)

    derive = jax.value_and_grad(forward, argnums=(0, 1), has_aux=True)
    (loss, (x1, x2)), (by_kernel, by_bias) = derive(3.0, 1.0, 2.0)
    values = x1, x2, loss, by_kernel, by_bias
    return dict(zip(GRAPH, map(float, values), strict=True))


def _line() -> dict[str, Any]:
    def line(x: Any) -> Any:
        return jnp.sum(2 * x + 3)

    derive = jax.grad(line)
    by_scalar, by_matrix = float(derive(0.0)), derive(jnp.zeros((2, 2))).tolist()
    return {"line_by_scalar": by_scalar, "line_by_matrix": by_matrix}


def _product() -> dict[str, Any]:
    def product(kernel: Any, bias: Any, x: Any) -> Any:
        return jnp.sum(x @ kernel + bias)

    x, bias = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.zeros(2)
    kernel = jax.random.uniform(jax.random.key(0), (2, 2))
    by_kernel, by_bias = jax.grad(product, argnums=(0, 1))(kernel, bias, x)
    return {"product_by_kernel": by_kernel.tolist(), "product_by_bias": by_bias.tolist()}
