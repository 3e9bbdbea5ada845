"""What every arm knows of itself, under the same names."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any


def arm_facts(
    framework: ModuleType, weights: list[Any], n_updates: int, n_compiles: int, *, compiled: bool
) -> dict[str, Any]:
    """Return device, counts, what is compiled, and the precision.

    Args:
        framework: a module of harness.worker.frameworks.
        weights: the framework's, float32: kernels (inputs, units), biases (units,).
        n_updates: made so far.
        n_compiles: programs that were compiled or traced so far.
        compiled: whether updates run in compiled programs.
    """
    return {
        "device": framework.device_of(weights[0]),
        "n_parameters": sum(math.prod(weight.shape) for weight in weights),
        "n_updates": n_updates,
        "n_compiles": n_compiles,
        "jit_requested": compiled,
        "jit_effective": compiled,
        "eager": not compiled,
        "precision": "float32",
    }
