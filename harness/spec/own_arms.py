"""The arms of a user's own model: those of its own train_step, on every backend with Keras."""

from __future__ import annotations

from typing import Any

from harness.errors import ConfigError
from harness.spec.config import Arm, Config
from harness.spec.model import OwnModel

FRAMEWORKS = ("tensorflow", "jax", "torch")
MODULE = "train_step"
ARMS = {
    name: Arm.model_construct(module=MODULE, options={"arm": name})
    for name in ("keras", "lean", "compiled")
}
USUAL = ("keras", "compiled")  # where nothing says which


def with_own_model(config: Config, name: str, spec: OwnModel) -> Config:
    """Return a configuration whose specs hold a model of the user's own, with the arms it has.

    Args:
        config: backends.toml; a stack's arms and NumPy are left out.
        name: of the spec.
        spec: the model, its files read.

    Raises:
        ConfigError: no backend trains a Keras model.
    """
    backends = {
        key: backend.model_copy(update={"arms": ARMS})
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


def _with_arms(table: Any, named: tuple[str, ...]) -> Any:
    """Return a table with those of the arms named that such a model has; else the usual ones."""
    arms = tuple(arm for arm in named if arm in ARMS)
    return table.model_copy(update={"arms": arms or USUAL})
