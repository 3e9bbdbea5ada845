"""The arms of a user's own model: those of its own train_step, on every backend with Keras."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, choice
from harness.spec.config import Arm, Backend, Config
from harness.spec.model import OwnModel, own_model

FRAMEWORKS = ("tensorflow", "jax", "torch")
MODULE = "train_step"
FIT = "keras_fit"  # the module of the arm that a backend with Keras has
OWN_PACKAGE = "-e "  # a line of requirements with the folder of the user's package
ARMS = {
    name: Arm.model_construct(module=MODULE, options={"arm": name})
    for name in ("keras", "lean", "compiled")
}
USUAL = ("keras", "compiled")  # where nothing says which


def with_own_model(config: Config, name: str, spec: OwnModel, root: Path) -> Config:
    """Return a configuration whose specs hold a model of the user's own, with the arms it has.

    Args:
        config: backends.toml; a stack's arms and NumPy are left out.
        name: of the spec.
        spec: the model, its files read.
        root: the project's folder.

    Raises:
        ConfigError: no backend trains a Keras model.
    """
    backends = {
        key: with_requirements(backend, name, spec, root).model_copy(update={"arms": ARMS})
        for key, backend in config.backends.items()
        if backend.framework in FRAMEWORKS
    }
    if not backends:
        expected = f"expected a backend of {', '.join(FRAMEWORKS)}, which train a Keras model"
        raise ConfigError(f"backends.toml: {expected}; received {', '.join(config.backends)}")
    changes: dict[str, Any] = {
        "specs": {**config.specs, name: spec},
        "backends": backends,
        "protocol": _with_arms(config.protocol, USUAL),
        "bench": _with_arms(config.bench, config.bench.arms),
    }
    return config.model_copy(update=changes)


def with_requirements(backend: Backend, name: str, spec: OwnModel, root: Path) -> Backend:
    """Return a backend with what a spec requires besides, in an environment of the two's own.

    Args:
        backend: as in backends.toml.
        name: of the spec.
        spec: says what it requires.
        root: the project's folder.
    """
    own = (f"{OWN_PACKAGE}{os.path.realpath(root / spec.install)}",) if spec.install else ()
    more = (*spec.requirements, *own)
    if not more:
        return backend
    suffix = re.sub("[^a-z0-9-]+", "-", name.lower())
    both = {build: (*lines, *more) for build, lines in backend.requirements}
    changes: dict[str, Any] = {
        "requirements": backend.requirements.model_copy(update=both),
        "environment": f"{backend.environment}-{suffix}",
    }
    return backend.model_copy(update=changes)


def choose_several(backends: Mapping[str, Backend], names: Iterable[str]) -> dict[str, Backend]:
    """Return the backends of those names that have Keras; all that have where none is named.

    Raises:
        ConfigError: one has none, or they are fewer than two.
    """
    able = {
        name: backend
        for name, backend in backends.items()
        if any(arm.module == FIT for arm in backend.arms.values())
    }
    for name in (wanted := tuple(names)):
        if name not in able:
            raise ConfigError(f"backend: {choice(able, name)}")
    chosen = {name: able[name] for name in wanted or able}
    if len(chosen) < 2:
        expected = f"expected at least two of {', '.join(able)}"
        raise ConfigError(f"backends: {expected}; received {', '.join(chosen) or 'none'}")
    return chosen


def environments_of(config: Config, root: Path) -> Iterator[tuple[str, Backend]]:
    """Yield each backend by its name, once more for each spec that requires more than it has."""
    yield from config.backends.items()
    for name, spec in config.specs.items():
        own = own_model(spec)
        for key, backend in config.backends.items():
            if own and backend.framework in FRAMEWORKS:
                other = with_requirements(backend, name, own, root)
                if other is not backend:
                    yield key, other


def _with_arms(table: Any, named: tuple[str, ...]) -> Any:
    """Return a table with those of the arms named that such a model has; else the usual ones."""
    arms = tuple(arm for arm in named if arm in ARMS)
    return table.model_copy(update={"arms": arms or USUAL})
