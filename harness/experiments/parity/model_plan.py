"""What a user wants compared.

A function in a file that builds a model, another that returns a batch, and where they run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.job.asked import Target
from harness.spec import config, project
from harness.spec.config import Backend, Device
from harness.spec.own_arms import choose_several
from harness.spec.targets import parse_target

LIMIT_S = 600.0  # for one worker
BUILD = "build"  # the function of a file that is named alone
UPDATES = (0, 1, 10, 100)  # after which the model is compared


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
    time_limit_s: float = LIMIT_S
    updates: tuple[int, ...] = ()  # after which it is compared; by its size where none are named

    def asked(self, backend: str) -> dict[str, Any]:
        """Return the fields that all jobs of a backend have in common."""
        names = ("device", "threads", "time_limit_s", "model", "batch", "seed")
        return {"backend": backend} | {name: getattr(self, name) for name in names}


def plan_model_check(
    model: str,
    batch: str | None = None,
    backends: tuple[str, ...] = (),
    file: Path | None = None,
    *,
    seed: int = 0,
    device: Device = "auto",
    threads: int | str | None = None,
    time_limit_s: float | None = None,
    updates: tuple[int, ...] = (),
) -> ModelPlan:
    """Return what is to be compared, checked as far as that goes without running any of it.

    Args:
        model: FILE:FUNCTION, which returns a compiled keras.Model; FILE alone is FILE:build.
        batch: FILE:FUNCTION, which returns (x, y); None to have one drawn from the seed.
        backends: names; all that have Keras where empty.
        file: a backends.toml; by default the nearest one from here upwards, or else the package's.
        seed: of the batch, and of what layers draw.
        device: "auto", "cpu" or "gpu".
        threads: "auto", or a number of cores.
        time_limit_s: for one worker.
        updates: after how many of them the model is compared, rising from 0; where none are named
            it is after UPDATES, and a large model's after fewer.

    Raises:
        ConfigError: something to mend and type again; says what.
    """
    root, known = project.open_project(file)
    protocol = config.override_protocol(
        known.protocol, seeds=(seed,), threads=threads, time_limit_s=time_limit_s
    )
    chosen = choose_several(known.backends, backends)
    limit_s = protocol.time_limit_s if time_limit_s else LIMIT_S
    chosen_batch = parse_target("--batch", batch) if batch else None
    name = f"{model}:{BUILD}" if model.endswith(".py") else model
    targets = parse_target("--model", name), chosen_batch
    return ModelPlan(*targets, chosen, root, seed, device, protocol.threads, limit_s, updates)
