"""TensorFlow: a tape records what is done to variables, and is played back."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from harness.worker.gradients import GRAPH


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
    values = x1, x2, loss, by_kernel, by_bias
    return dict(zip(GRAPH, map(float, values), strict=True))


def _line() -> dict[str, Any]:
    scalar = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        y = 2 * scalar + 3
    by_scalar = tape.gradient(y, scalar)
    matrix = tf.Variable(tf.zeros((2, 2)))
    with tf.GradientTape() as tape:
        y = 2 * matrix + 3
    by_matrix = tape.gradient(y, matrix).numpy().tolist()
    return {"line_by_scalar": float(by_scalar), "line_by_matrix": by_matrix}


def _product() -> dict[str, Any]:
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    kernel, bias = tf.Variable(tf.random.uniform((2, 2))), tf.Variable(tf.zeros((2,)))
    with tf.GradientTape() as tape:
        y = tf.matmul(x, kernel) + bias
    by_kernel, by_bias = (each.numpy().tolist() for each in tape.gradient(y, [kernel, bias]))
    return {"product_by_kernel": by_kernel, "product_by_bias": by_bias}
