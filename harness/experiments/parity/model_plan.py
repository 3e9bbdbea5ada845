"""What a user wants compared.

A function in a file that builds a model, another that returns a batch, and where they run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError, choice
from harness.job.asked import Target
from harness.spec import config, project
from harness.spec.config import Backend, Device
from harness.spec.targets import parse_target

LIMIT_S = 600.0  # for one worker
TRAINS = "keras_fit"  # the module of the arm that a backend with Keras has


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What is to be compared, and where."""

    model: Target
    batch: Target | None
    backends: Mapping[str, Backend]
    root: Path  # the project's folder
    seed: int = 0
    device: Device = "auto"
    threads: int | str = "auto"
    thread_twins: bool = True
    time_limit_s: float = LIMIT_S


def plan_model_check(
    model: str,
    batch: str | None = None,
    backends: tuple[str, ...] = (),
    file: Path | None = None,
    *,
    seed: int = 0,
    device: Device = "auto",
    threads: int | str | None = None,
    thread_twins: bool = True,
    time_limit_s: float | None = None,
) -> ModelPlan:
    """Return what is to be compared, checked as far as that goes without running any of it.

    Args:
        model: FILE:FUNCTION, which returns a compiled keras.Model.
        batch: FILE:FUNCTION, which returns (x, y); None to have one drawn from the seed.
        backends: names; all that have Keras where empty.
        file: a backends.toml; by default the nearest one from here upwards, or else the package's.
        seed: of the batch and of the twins.
        device: "auto", "cpu" or "gpu".
        threads: "auto", or a number of cores.
        thread_twins: whether each backend runs a second time, on one core.
        time_limit_s: for one worker.

    Raises:
        ConfigError: something to mend and type again; says what.
    """
    root, known = project.open_project(file)
    protocol = config.override_protocol(
        known.protocol, seeds=(seed,), threads=threads, time_limit_s=time_limit_s
    )
    chosen = _choose_backends(known.backends, backends)
    limit_s = protocol.time_limit_s if time_limit_s else LIMIT_S
    targets = parse_target("--model", model), parse_target("--batch", batch) if batch else None
    return ModelPlan(*targets, chosen, root, seed, device, protocol.threads, thread_twins, limit_s)


def _choose_backends(backends: Mapping[str, Backend], names: tuple[str, ...]) -> dict[str, Backend]:
    """Return the backends of those names that have Keras; all that have where none is named."""
    able = {
        name: backend
        for name, backend in backends.items()
        if any(arm.module == TRAINS for arm in backend.arms.values())
    }
    for name in names:
        if name not in able:
            raise ConfigError(f"backend: {choice(able, name)}")
    chosen = {name: able[name] for name in names or able}
    if len(chosen) < 2:
        received = ", ".join(chosen) or "none"
        raise ConfigError(
            f"backends: expected at least two of {', '.join(able)}; received {received}"
        )
    return chosen
