"""A model's layers, one row each: what comes out of them, and how many numbers they learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One fully connected layer."""

    name: str
    type: str
    output_shape: tuple[None, int]  # None: any number of samples
    n_parameters: int  # all of them trainable


def summary(n_inputs: int, layers: Sequence[tuple[str, int, str]]) -> tuple[Row, ...]:
    """Return a row for each layer, in order; the model's total is the sum of their parameters.

    Args:
        n_inputs: Features of one sample.
        layers: Name, units and activation of each; a layer's inputs are the units of the one
            before.
    """
    widths = (n_inputs, *(units for _, units, _ in layers))
    return tuple(
        # kernel (n_in, units), bias (units,)
        Row(name, f"Dense ({activation})", (None, units), n_in * units + units)
        for n_in, (name, units, activation) in zip(widths, layers, strict=False)
    )
