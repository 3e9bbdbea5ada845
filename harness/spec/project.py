"""The project's folder: where its backends.toml is found, and whether that is trusted."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import ConfigError
from harness.spec import trust
from harness.spec.arguments import split_arguments
from harness.spec.arm_source import is_own, own_sources
from harness.spec.config import Backend, Config, load
from harness.spec.defaults import packaged_file
from harness.spec.model import (
    BUILD,
    DATA,
    OwnModel,
    is_target,
    own_model,
    read_files,
    split_target,
)
from harness.spec.own_arms import with_own_model


def open_project(file: Path | None) -> tuple[Path, Config]:
    """Return the project's folder and its configuration.

    Where there is no backends.toml, that is the caller's folder and the package's configuration.

    Args:
        file: the configuration; None to look for one, which must then be nobody else's.

    Raises:
        ConfigError: it is not trusted, cannot be read, or is impossible.
    """
    if file is not None:
        return Path(os.path.realpath(file)).parent, load(file)
    found = find(Path.cwd())
    config = load(found or packaged_file())
    real = Path(os.path.realpath(found)) if found else None
    root = real.parent if real else Path.cwd()
    pythons = [own_python(backend, root) for backend in config.backends.values()]
    pythons += [
        root / ".nox" / backend.environment / "bin" / "python"
        for backend in config.backends.values()
    ]
    trust.check_environments(root, filter(None, pythons), os.geteuid(), real)
    trust.check_sources(real, _own_sources(config), os.geteuid())
    return root, config


def _own_sources(config: Config) -> list[Path]:
    """Return the sources of the arms of a user's own."""
    arms = (arm for backend in config.backends.values() for arm in backend.arms.values())
    own = sorted({arm.module for arm in arms if is_own(arm.module)})
    return [file for module in own for file in own_sources(module, config.folder or Path())]


def own_python(backend: Backend, root: Path) -> Path | None:
    """Return the interpreter that a backend's table names; its links stay: they say which venv."""
    if not backend.python:
        return None
    return Path(os.path.abspath(root / os.path.expanduser(backend.python)))  # noqa: PTH100, PTH111


def choose_spec(
    root: Path, config: Config, asked: str | None, data: str | None = None
) -> tuple[Config, str]:
    """Return the configuration that holds the spec asked for, and the spec's name in it.

    Where that is a model of the user's own, its files are read, and the backends are those that
    train one, each with the arms that any model has.

    Args:
        root: the project's folder.
        config: its configuration.
        asked: a spec's name, or FILE.py[:FUNCTION[(NAME=VALUE, ...)]] from the working folder on;
            None for the first.
        data: FILE.py:FUNCTION, in place of the spec's.

    Raises:
        ConfigError: there is no such spec, or a file or a function of it is not there.
    """
    if asked is None or asked in config.specs or not is_target(asked):
        name, found = config.spec(asked)
        own, where = own_model(found), f"[specs.{name}]"
    else:
        target, arguments = split_arguments("spec", asked)
        file, function = split_target(target)
        name = Path(file).name + (f":{function}" if function not in ("", BUILD) else "")
        name += asked.removeprefix(target)
        own = OwnModel(model=_from(root, file, function), arguments=arguments)
        where = f"{asked}:"
    if own is None:
        if data:
            hint = "has a meaning with a model of your own only. Leave it out"
            raise ConfigError(f"--data: {hint}")
        return config, name
    if data:
        file, function = split_target(data, DATA)
        own = own.model_copy(update={"data": _from(root, file, function)})
    return with_own_model(config, name, read_files(own, root, where), root), name


def _from(root: Path, file: str, function: str) -> str:
    """Return FILE[:FUNCTION] from a project's folder on, for a file from the working folder on."""
    path = os.path.relpath(Path.cwd() / file, root)
    return f"{path}:{function}" if function else path


def find(start: Path) -> Path | None:
    """Return the nearest backends.toml in `start` or above it; None where there is none.

    Raises:
        ConfigError: somebody else could have written it.
    """
    for folder in (start, *start.parents):
        if os.path.lexists(folder / "backends.toml"):
            trust.check_file(folder / "backends.toml", os.geteuid())
            return folder / "backends.toml"
    return None
