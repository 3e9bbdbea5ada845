"""What a user wants compared.

A function in a file that builds a model, another that returns a batch, and where they run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.engine.launch import check_interpreters
from harness.engine.replicas import OPTION
from harness.errors import ConfigError
from harness.spec import config, project
from harness.spec.config import Backend, Device
from harness.spec.model import DATA, find_data, find_source, split_target
from harness.spec.own_arms import choose_several
from harness.spec.targets import ModelSource, Target, parse_target

LIMIT_S = 1200.0  # for one worker, which computes in two dtypes
UPDATES = (0, 1, 10, 100)  # after which the model is compared


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What is to be compared, and where."""

    model: ModelSource
    batch: Target | None
    backends: Mapping[str, Backend]
    root: Path  # the project's folder
    seed: int = 0
    device: Device = "auto"
    threads: int | str = "auto"
    time_limit_s: float = LIMIT_S
    updates: tuple[int, ...] = ()  # after which it is compared; by its size where none are named
    data: Target | None = None  # whose first batch is taken where no batch is named; else drawn
    made: Path | None = None  # the folder of that data, where they are made already
    batch_size: int | None = None  # of that data; None: as they say
    replicas: int = 1  # devices on which each backend also trains

    def asked(self, backend: str) -> dict[str, Any]:
        """Return the fields that all jobs of a backend have in common."""
        names = ("device", "threads", "time_limit_s", "model", "seed")
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
        model: FILE[:FUNCTION[(NAME=VALUE, ...)]], a compiled keras.Model; or FILE.keras.
        batch: FILE:FUNCTION, which returns (x, y); None: the data's first one, or else drawn.
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
    asked = {"seeds": (seed,), "threads": threads, "time_limit_s": time_limit_s}
    protocol = config.override_protocol(known.protocol, **asked)
    chosen = choose_several(known.backends, backends)
    limit_s = protocol.time_limit_s if time_limit_s else LIMIT_S
    source, of_batch = find_source("--model", model), None
    data = find_data(source)
    if batch:
        of_batch, data = parse_target("--batch", batch), None
    own = chosen, root, seed, device, protocol.threads, limit_s, updates
    return ModelPlan(source, of_batch, *own, data)


def check_environments(backends: Iterable[str] = (), config: str | Path | None = None) -> None:
    """Return if each of these backends has an environment.

    Args:
        backends: by name; all that have Keras where empty.
        config: a backends.toml; by default the nearest one from here upwards.

    Raises:
        harness.errors.HarnessError: one has none, or there is no such backend; says what to type.
    """
    root, known = project.open_project(Path(config) if config else None)
    check_interpreters(choose_several(known.backends, backends), root)


def with_data(what: ModelPlan, named: str | None) -> ModelPlan:
    """Return the plan with the data of FILE:FUNCTION, or as it is where none is named.

    Raises:
        ConfigError: there is no such function, or a batch is named too.
    """
    if not named:
        return what
    if what.batch:
        raise ConfigError("--data: expected it or --batch, not both. Leave one out")
    target = parse_target("--data", ":".join(split_target(named, DATA)))
    return replace(what, data=target)


def with_replicas(what: ModelPlan, n_replicas: int | None) -> ModelPlan:
    """Return the plan in which each backend also trains on so many devices; None for one.

    Raises:
        ConfigError: the number is none, or there is nothing to train on.
    """
    config.override_protocol(config.Protocol(), replicas=n_replicas)
    if n_replicas in (None, 1):
        return what
    if what.data is None:
        hint = "Write a function data beside it, or name --data FILE:FUNCTION"
        raise ConfigError(f"{OPTION}: expected data to train on; received none. {hint}")
    return replace(what, replicas=n_replicas)
