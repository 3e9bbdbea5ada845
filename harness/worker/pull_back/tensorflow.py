"""By `tf.GradientTape`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from harness.worker.pull_back import is_real


def pull_back(
    function: Callable[[list[Any]], list[Any]],
    inputs: list[Any],
    variables: list[Any],
    weigh: Callable[[list[Any]], list[Any]],
) -> tuple[list[Any], list[Any]]:
    """See `harness.worker.pull_back.pull_back`.

    Args:
        function: of a list of tensors.
        inputs: tensors.
        variables: of Keras's.
        weigh: gives the weights of the sum.
    """
    sources = [*inputs, *(each.value for each in variables)]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for each in sources:
            if is_real(each):
                tape.watch(each)
        given = [each for each in function(list(inputs)) if is_real(each)]
    found = tape.gradient(given, sources, output_gradients=weigh(given))
    return given, [None if each is None else tf.convert_to_tensor(each) for each in found]
