"""Gradients small enough for paper: what they must be, and how an answer differs.

The answers come from harness/worker/gradients, a module for each framework that derives by itself.
All figures are whole numbers, which float32 holds exactly: an answer is equal, or it is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.job.answers import Gradients, Refusal

QUANTITIES: Mapping[str, tuple[str, Any]] = {  # an answer's key: what it means, and what it must be
    "x1": ("x1 = x W", 6.0),
    "x2": ("x2 = x1 + b", 7.0),
    "loss": ("loss = |4 - x2|", 3.0),
    "loss_by_kernel": ("d loss / d W", 2.0),
    "loss_by_bias": ("d loss / d b", 1.0),
    "line_by_scalar": ("d (2x + 3) / d x", 2.0),
    "line_by_matrix": ("d sum(2x + 3) / d x, x (2, 2)", [[2.0, 2.0], [2.0, 2.0]]),
    "product_by_kernel": ("d sum(x @ W + b) / d W", [[4.0, 4.0], [6.0, 6.0]]),
    "product_by_bias": ("d sum(x @ W + b) / d b", [2.0, 2.0]),
}
GIVEN = "x = 2, W = 3, b = 1; in x @ W + b, x = [[1, 2], [3, 4]]"


def faults(answer: Gradients | Refusal) -> list[str]:
    """Return a sentence for each quantity that is wrong, or why there is no answer."""
    if isinstance(answer, Refusal):
        return [answer.reason]
    found = answer.values
    return [
        f"{meaning}: expected {expected}; received {found.get(key)}"
        for key, (meaning, expected) in QUANTITIES.items()
        if found.get(key) != expected
    ]
