"""The project's folder: where its backends.toml is found, and whether that is trusted."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import ConfigMissing
from harness.spec import trust
from harness.spec.arm_source import is_own, own_sources
from harness.spec.config import Config, load


def open_project(file: Path | None) -> tuple[Path, Config]:
    """Return the project's folder and its configuration.

    Args:
        file: the configuration; None to look for one, which must then be nobody else's.

    Raises:
        ConfigError: there is none, it is not trusted, cannot be read, or is impossible.
    """
    found = find(Path.cwd()) if file is None else file
    config = load(found)
    found = Path(os.path.realpath(found))
    if file is None:
        backends, user = config.backends.values(), os.geteuid()
        trust.check_environments(found, [backend.environment for backend in backends], user)
        modules = {arm.module for backend in backends for arm in backend.arms.values()}
        own = sorted(module for module in modules if is_own(module))
        trust.check_sources(
            found, [file for each in own for file in own_sources(each, found.parent)], user
        )
    return found.parent, config


def find(start: Path) -> Path:
    """Return the nearest backends.toml in `start` or above it.

    Raises:
        ConfigMissing: there is none.
        ConfigError: somebody else could have written it.
    """
    for folder in (start, *start.parents):
        if os.path.lexists(folder / "backends.toml"):
            trust.check_file(folder / "backends.toml", os.geteuid())
            return folder / "backends.toml"
    raise ConfigMissing(
        f"backends.toml: not in {start} nor above it. "
        "Go to the project's folder, or name the file: --config FILE"
    )
