"""A function's gradient, by each framework's own means: a file each, with `pull_back`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import keras


def pull_back(
    function: Callable[[list[Any]], list[Any]],
    inputs: list[Any],
    variables: list[Any],
    weigh: Callable[[list[Any]], list[Any]],
) -> tuple[list[Any], list[Any]]:
    """Return a function's outputs, and the gradient of their weighed sum.

    Args:
        function: of a list of tensors; gives a list of tensors.
        inputs: tensors of numbers.
        variables: of Keras's, that it uses.
        weigh: gives the weights of the sum, tensors of the outputs' shapes, for the outputs.

    Returns:
        The outputs; and a gradient for each input and then each variable, None where it has none.
    """
    framework = importlib.import_module(f"{__name__}.{keras.backend.backend()}")
    found: tuple[list[Any], list[Any]] = framework.pull_back(function, inputs, variables, weigh)
    return found


def is_real(tensor: Any) -> bool:
    """Return whether a tensor is of floats, and so has a gradient."""
    return "float" in keras.backend.standardize_dtype(tensor.dtype)
