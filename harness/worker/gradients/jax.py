"""JAX: a function is turned into another one that returns its gradient."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


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
    named = {"x1": x1, "x2": x2, "loss": loss, "loss_by_kernel": by_kernel, "loss_by_bias": by_bias}
    return {name: float(value) for name, value in named.items()}


def _line() -> dict[str, Any]:
    def line(x: Any) -> Any:
        return jnp.sum(2 * x + 3)

    derive = jax.grad(line)
    return {
        "line_by_scalar": float(derive(0.0)),
        "line_by_matrix": derive(jnp.zeros((2, 2))).tolist(),
    }


def _product() -> dict[str, Any]:
    def product(kernel: Any, bias: Any, x: Any) -> Any:
        return jnp.sum(x @ kernel + bias)

    kernel, bias = jax.random.uniform(jax.random.key(0), (2, 2)), jnp.zeros(2)
    by_kernel, by_bias = jax.grad(product, argnums=(0, 1))(
        kernel, bias, jnp.array([[1.0, 2.0], [3.0, 4.0]])
    )
    return {"product_by_kernel": by_kernel.tolist(), "product_by_bias": by_bias.tolist()}
