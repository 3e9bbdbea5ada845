"""The gradient of a function of tensors, as each framework derives it, a module each."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import keras


def derive(total: Callable[[list[Any]], Any], values: list[Any]) -> list[Any]:
    """Return the gradient of a scalar by each of the floats that it is computed from, or None."""
    framework = importlib.import_module(f"{__name__}.{keras.backend.backend()}")
    found: list[Any] = framework.derive(total, values)
    return found
