"""The project's folder: where its backends.toml is found, and whether that is trusted."""

from __future__ import annotations

import os
from pathlib import Path

from harness.spec import trust
from harness.spec.config import Backend, Config, load
from harness.spec.defaults import packaged_file


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
    return root, config


def own_python(backend: Backend, root: Path) -> Path | None:
    """Return the interpreter that a backend's table names; its links stay: they say which venv."""
    if not backend.python:
        return None
    return Path(os.path.abspath(root / os.path.expanduser(backend.python)))  # noqa: PTH100, PTH111


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
