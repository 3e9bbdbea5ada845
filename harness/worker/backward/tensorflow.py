"""TensorFlow: a tape records what is done to tensors, and is played back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def derive(total: Callable[[list[Any]], Any], values: list[Any]) -> list[Any]:
    """Return the gradient of a scalar by each of the floats that it is computed from, or None."""
    values = [tf.convert_to_tensor(value) for value in values]
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = total(values)
    found = tape.gradient(result, values)
    return [None if each is None else tf.convert_to_tensor(each) for each in found]
