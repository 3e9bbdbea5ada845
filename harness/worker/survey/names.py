"""What the installed Keras has: its public names, and which of them mean the same."""

from __future__ import annotations

import importlib
from typing import Any

import keras

MODULES = (
    *("layers", "activations", "losses", "metrics", "optimizers", "optimizers.schedules"),
    *("regularizers", "constraints", "initializers", "ops", "ops.image"),
)


def public_names() -> dict[str, str]:
    """Return every public class and function, by its name as "layers.Convolution1D".

    Beside each stands the name that it is known by: of several names for one object the one that
    Keras's source gives it, as "layers.Conv1D".
    """
    found: dict[str, str] = {}
    known: dict[int, str] = {}
    for module in MODULES:
        for name, value in _members(module).items():
            full = f"{module}.{name}"
            first = known.setdefault(id(value), full)
            found[full] = first
    return found


def _members(module: str) -> dict[str, Any]:
    """Return what a module of Keras's offers, those names first that are the objects' own."""
    source = importlib.import_module(f"keras.{module}")
    members = {
        name: value
        for name, value in vars(source).items()
        if not name.startswith("_") and callable(value)
    }
    own = sorted(members, key=lambda name: getattr(members[name], "__name__", "") != name)
    return {name: members[name] for name in own}


def modules() -> dict[str, Any]:
    """Return what an item's text may name besides its inputs."""
    tops = sorted({module.partition(".")[0] for module in MODULES})
    return {"keras": keras, **{top: getattr(keras, top) for top in tops}}
