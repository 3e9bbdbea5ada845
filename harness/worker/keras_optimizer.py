"""A Keras optimizer: made from a spec's settings, and its slots read and set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.worker.optimizers import rule_of


def of(settings: Any) -> Any:
    """Return the Keras optimizer that a spec names, with all of its settings."""
    plain = dict(vars(settings))
    return keras.optimizers.get({"class_name": plain.pop("name"), "config": plain})


def slots(optimizer: Any, settings: Any, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
    """Return what the optimizer remembers of each weight: "WEIGHT/SLOT", shaped like the weight."""
    return {
        name: np.array(keras.ops.convert_to_numpy(variable))
        for name, variable in _named(optimizer, settings, names)
    }


def resume(
    optimizer: Any,
    settings: Any,
    variables: Sequence[Any],
    names: Iterable[str],
    given: Mapping[str, NDArray[np.float32]],
    n_updates: int,
) -> None:
    """Put the optimizer where it was after n_updates, with those slots; it is built where it has not been yet."""
    if not optimizer.built:
        optimizer.build(variables)
    for name, variable in _named(optimizer, settings, names):
        variable.assign(given[name])
    optimizer.iterations.assign(n_updates)


def _named(optimizer: Any, settings: Any, names: Iterable[str]) -> list[tuple[str, Any]]:
    """Return each slot with its name. The optimizer lists iteration and learning rate first, then weight by weight its slots."""
    wanted = [f"{name}/{slot}" for name in names for slot in rule_of(settings)[1]]
    return list(zip(wanted, optimizer.variables[2:] if wanted else (), strict=True))
