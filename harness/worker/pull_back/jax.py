"""By `jax.vjp`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from keras import StatelessScope

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
    reals = [place for place, each in enumerate(inputs) if is_real(each)]

    def outputs(values: list[Any], weights: list[Any]) -> list[Any]:
        every = list(inputs)
        for place, value in zip(reals, values, strict=True):
            every[place] = value
        with StatelessScope(state_mapping=list(zip(variables, weights, strict=True))):
            return [each for each in function(every) if is_real(each)]

    values, weights = [inputs[place] for place in reals], [each.value for each in variables]
    given, back = jax.vjp(outputs, values, weights)
    of_inputs, of_weights = back(weigh(given))
    gradients = dict(zip(reals, of_inputs, strict=True))
    return given, [*(gradients.get(place) for place in range(len(inputs))), *of_weights]
