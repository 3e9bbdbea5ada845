"""PyTorch: a tensor remembers its inputs, and the way is gone back from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def derive(total: Callable[[list[Any]], Any], values: list[Any]) -> list[Any]:
    """Return the gradient of a scalar by each of the floats that it is computed from, or None."""
    leaves = [value.detach().clone().requires_grad_() for value in values]
    result = total([leaf.clone() for leaf in leaves])  # a leaf may not be changed in place
    if not result.requires_grad:
        return [None] * len(leaves)
    return list(torch.autograd.grad(result, leaves, allow_unused=True))
