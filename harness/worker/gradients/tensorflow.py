"""TensorFlow: a tape records what is done to variables, and is played back."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def compute_gradients() -> dict[str, Any]:
    """Return the quantities that `harness.worker.gradients` lists."""
    return {**_graph(), **_line(), **_product()}


def _graph() -> dict[str, Any]:
    x, kernel, bias = tf.constant(2.0), tf.Variable(3.0), tf.Variable(1.0)
    with tf.GradientTape() as tape:
        x1 = x * kernel
        x2 = x1 + bias
        loss = tf.abs(4.0 - x2)
    by_kernel, by_bias = tape.gradient(loss, [kernel, bias])
    named = {"x1": x1, "x2": x2, "loss": loss, "loss_by_kernel": by_kernel, "loss_by_bias": by_bias}
    return {name: float(value) for name, value in named.items()}


def _line() -> dict[str, Any]:
    scalar = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        y = 2 * scalar + 3
    by_scalar = tape.gradient(y, scalar)
    matrix = tf.Variable(tf.zeros((2, 2)))
    with tf.GradientTape() as tape:
        y = 2 * matrix + 3
    return {
        "line_by_scalar": float(by_scalar),
        "line_by_matrix": tape.gradient(y, matrix).numpy().tolist(),
    }


def _product() -> dict[str, Any]:
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    kernel, bias = tf.Variable(tf.random.uniform((2, 2))), tf.Variable(tf.zeros((2,)))
    with tf.GradientTape() as tape:
        y = tf.matmul(x, kernel) + bias
    by_kernel, by_bias = tape.gradient(y, [kernel, bias])
    return {
        "product_by_kernel": by_kernel.numpy().tolist(),
        "product_by_bias": by_bias.numpy().tolist(),
    }
