"""By `torch.autograd.grad`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

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
    values = [each.detach().requires_grad_(is_real(each)) for each in inputs]
    sources = [*values, *(each.value for each in variables)]
    given = list(filter(is_real, function(list(values))))
    weighed = zip(given, weigh(given), strict=True)
    total = sum((each * weight).sum() for each, weight in weighed)
    places = [place for place, each in enumerate(sources) if each.requires_grad]
    found: dict[int, Any] = dict.fromkeys(range(len(sources)))
    if places and getattr(total, "requires_grad", False):
        several = [sources[place] for place in places]
        found |= dict(
            zip(places, torch.autograd.grad(total, several, allow_unused=True), strict=True)
        )
    return [each.detach() for each in given], list(found.values())
