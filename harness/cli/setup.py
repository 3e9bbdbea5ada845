"""`harness setup`: make the backends' environments. Exit 1 where one could not be made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.cli.command import command
from harness.cli.output import console_of, say
from harness.cli.project import open_project
from harness.cli.setup_options import SetupOptions

if TYPE_CHECKING:
    from harness.environments.managed import Asked
    from harness.environments.recipe import Recipe
    from harness.spec.config import Backend, Device


@command(SetupOptions)
def setup(options: SetupOptions) -> None:
    """Make the environments of backends, each below .harness/envs of the project's folder.

    It says what comes, how large it is and how long it takes; what is complete is left as it is.
    """
    from harness.environments.managed import Asked
    from harness.spec.own_arms import environments_of

    how = (options.installer, options.constraint, options.anew, options.allow_large)
    project, asked = open_project(options.config), Asked(*how)
    _check(asked)
    chosen = project.config.choose_backends(options.backends or ())
    every = environments_of(project.config, project.root)
    wanted = [(name, backend) for name, backend in every if name in chosen]
    recipes = _recipes(wanted, "gpu" if options.gpu else options.device)
    done = [_set_up(each, project.root, asked, dry_run=options.dry_run) for each in recipes]
    if not all(done):
        raise typer.Exit(1)


def make_missing(root: Path, backends: Mapping[str, Backend], device: Device) -> None:
    """Make the environments of those backends that have none; one that fails is said.

    Args:
        root: the project's folder.
        backends: those that take part, by name.
        device: what they are to run on.
    """
    from harness.environments.find import find_python
    from harness.environments.managed import Asked
    from harness.errors import EnvironmentMissing

    missing = []
    for name, backend in backends.items():
        try:
            find_python(name, backend, root, device)
        except EnvironmentMissing:
            missing.append((name, backend))
    for recipe in _recipes(missing, device):
        _set_up(recipe, root, Asked())


def _recipes(backends: Iterable[tuple[str, Backend]], device: Device) -> list[Recipe]:
    """Return what each backend is made of; those with an interpreter of the user's own are left."""
    from harness.engine.host import choose_build
    from harness.environments.recipe import make_recipe
    from harness.job.accelerators import detect_hardware

    build, recipes = choose_build(device, detect_hardware()), []
    for name, backend in backends:
        if backend.python:
            say(f"{name}: {backend.python} is your own; nothing is installed there")
        else:
            recipes.append(make_recipe(name, backend, build))
    return recipes


def _check(asked: Asked) -> None:
    """Raise ConfigError where the file of constraints cannot be read."""
    from harness.errors import ConfigError

    file = asked.constraints
    if file and not (file.is_file() and os.access(file, os.R_OK)):
        raise ConfigError(f"--constraint: {file}: no such file, or it cannot be read")


def _set_up(recipe: Recipe, root: Path, asked: Asked, *, dry_run: bool = False) -> bool:
    """Make an environment unless it is there; return False where that fails."""
    there = _announce(recipe, root, asked, dry_run=dry_run)
    return there or dry_run or _make(recipe, root, asked)


def _announce(recipe: Recipe, root: Path, asked: Asked, *, dry_run: bool) -> bool:
    """Say what is to be made, how large and how long; return whether it is there already."""
    from harness.environments.managed import forecast, is_complete, place_of
    from harness.environments.recipe import distribution
    from harness.report.progress import duration

    folder = place_of(recipe, root)
    if not asked.anew and is_complete(folder, recipe, asked):
        say(f"{recipe.backend}: complete: {_short(folder)}")
        return True
    download, disk, seconds = forecast(recipe)
    required = [line for line in recipe.lines if distribution(line)]
    what = ", ".join([*required, *map(str, recipe.packages)])
    target = "a GPU" if recipe.build == "gpu" else "the CPU"
    where = f" in {_short(folder)}" if dry_run else ""
    say(
        f"{recipe.backend}: for {target}{where}: {what}; about {download} MiB to download, "
        f"{disk} MiB on disk, {duration(seconds)}"
    )
    return False


def _make(recipe: Recipe, root: Path, asked: Asked) -> bool:
    """Make an environment, and say what became of it; return whether it is there."""
    from harness.environments.installers import SetupFailed
    from harness.environments.managed import set_up
    from harness.report.progress import duration, steps_line

    try:
        with steps_line(console_of(stderr=True)) as step:
            made = set_up(recipe, root, asked, step)
    except SetupFailed as error:
        say(f"{recipe.backend}: {error}", "red", stderr=True)
        return False
    size = f"{made.n_bytes / 2**20:.0f} MiB"
    say(f"{recipe.backend}: made in {duration(made.seconds)}, {size}: {_short(made.folder)}")
    return True


def _short(folder: Path) -> str:
    """Return a folder from here on, where it lies below."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)
