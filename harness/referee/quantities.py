"""What is compared of a model on several backends: names of quantities, and their sizes.

A quantity's name is its kind and a path: "output/dense", "gradient/dense/kernel".
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import numpy as np

from harness.spec.data.arrays import Arrays

# Of the norm of all gradients together: the least size of one, since its own may be rounding alone.
SMALL = 1e-3
STEP = ("gradient", "slot", "update", "weight")


def kind_of(quantity: str) -> str:
    """Return the kind of a quantity: "output", "loss" and so on."""
    return quantity.partition("/")[0]


def names_of(received: Mapping[str, Arrays]) -> list[str]:
    """Return the quantities of all backends, of any shape, in the order of a step."""
    return list(dict.fromkeys(name for arrays in received.values() for name in arrays))


def scales_of(received: Mapping[str, Arrays], names: list[str]) -> dict[str, float]:
    """Return the size of each quantity: its backends' median norm.

    The size of gradients and of what follows from them is no less than SMALL of all of its group. A
    bias in front of a batch normalisation has no gradient except rounding: compared with itself,
    its values are 100 % apart.
    """
    norms = {name: statistics.median(norms_of(received, name)) for name in names}
    groups: dict[str, list[str]] = {}
    for name in names:
        if kind_of(name) in STEP:
            groups.setdefault(_group(name), []).append(name)
    for group in groups.values():
        least = SMALL * float(np.linalg.norm([norms[name] for name in group]))
        norms |= {name: max(norms[name], least) for name in group}
    return norms


def _group(name: str) -> str:
    """Return the group with which a quantity is added up.

    Slots are added up by their kind: "…/kernel_momentum" with "…/bias_momentum".
    """
    first = name.partition("/")[0]
    return f"{first} {name.rpartition('_')[2]}" if kind_of(name) == "slot" else first


def norms_of(received: Mapping[str, Arrays], name: str) -> list[float]:
    """Return the finite norms of a quantity of any shape, a backend each; 0 where there is none."""
    values = [arrays[name].astype(np.float64) for arrays in received.values() if name in arrays]
    found = [float(np.linalg.norm(value.ravel())) for value in values]
    return [norm for norm in found if np.isfinite(norm)] or [0.0]
