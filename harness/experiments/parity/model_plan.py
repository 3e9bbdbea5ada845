"""What a user wants compared: a function in a file that builds a model, another that returns a batch, and where they run."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import harness
from harness.errors import ConfigError, ConfigMissing, choice, shown
from harness.spec import config, project
from harness.spec.config import Backend, Device

LIMIT_S = 600.0  # for one worker
TRAINS = "keras_fit"  # the module of the arm that a backend with Keras has


@dataclass(frozen=True, slots=True)
class Target:
    """A function in a user's file."""

    name: str  # as it was typed
    file: Path
    function: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be compared, and where."""

    model: Target
    batch: Target | None
    backends: Mapping[str, Backend]
    root: Path  # the folder that holds .nox
    seed: int = 0
    device: Device = "auto"
    threads: int | str = "auto"
    thread_twins: bool = True
    time_limit_s: float = LIMIT_S


def wanted(
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
) -> Wanted:
    """Return what is to be compared, checked as far as that goes without running any of it.

    Args:
        model: FILE:FUNCTION, which returns a compiled keras.Model.
        batch: FILE:FUNCTION, which returns (x, y); None to have one drawn from the seed.
        backends: names; all that have Keras where empty.
        file: a backends.toml; by default the nearest one from here upwards, or else the harness's own.
        seed: of the batch and of the twins.
        device: "auto", "cpu" or "gpu".
        threads: "auto", or a number of cores.
        thread_twins: whether each backend runs a second time, on one core.
        time_limit_s: for one worker.

    Raises:
        ConfigError: something to mend and type again; says what.
    """
    try:
        root, whole = project.open_project(file)
    except ConfigMissing:
        own = (
            Path(harness.__file__).parents[1] / "backends.toml"
        )  # the check is of a file elsewhere
        if not own.is_file():
            raise
        root, whole = project.open_project(own)
    protocol = config.override_protocol(
        whole.protocol, seeds=(seed,), threads=threads, time_limit_s=time_limit_s
    )
    able = {
        name: backend
        for name, backend in whole.backends.items()
        if any(arm.module == TRAINS for arm in backend.arms.values())
    }
    for name in backends:
        if name not in able:
            raise ConfigError(f"backend: {choice(able, name)}")
    chosen = {name: able[name] for name in backends or able}
    if len(chosen) < 2:
        raise ConfigError(
            f"backends: expected at least two of {', '.join(able)}; received {', '.join(chosen) or 'none'}"
        )
    limit_s = protocol.time_limit_s if time_limit_s else LIMIT_S
    targets = target_of("--model", model), target_of("--batch", batch) if batch else None
    return Wanted(*targets, chosen, root, seed, device, protocol.threads, thread_twins, limit_s)


def target_of(option: str, text: str) -> Target:
    """Return the function that "FILE:FUNCTION" names; the file is read, and not run.

    Raises:
        ConfigError: no such file, or no such function in it.
    """
    name, colon, function = text.rpartition(":")
    if not colon or not function.isidentifier():
        raise ConfigError(
            f"{option}: expected FILE:FUNCTION, as my_model.py:build; received {shown(text)}"
        )
    file = Path(name).resolve()
    try:
        body = ast.parse(file.read_text(encoding="utf-8")).body
    except OSError as error:
        raise ConfigError(f"{option}: {name}: cannot be read ({error.strerror})") from None
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigError(
            f"{option}: {name}{line}: not valid Python: {getattr(error, 'msg', error)}"
        ) from None
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    elsewhere = {
        part.id
        for node in body
        if not isinstance(node, ast.FunctionDef)
        for part in ast.walk(node)
        if isinstance(part, ast.Name)
    }
    imported = {
        alias.asname or alias.name
        for node in ast.walk(ast.Module(body, []))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    if function not in {*functions, *elsewhere, *imported} and "*" not in imported:
        raise ConfigError(f"{option}: {name}: no such function: {choice(functions, function)}")
    return Target(text, file, function)
