"""Environments that `harness setup` makes, whole or not at all.

Each is made where it stays, under a lock, and its stamp is written last. One without a stamp is
half made: nobody takes it for an environment, and the next setup removes it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.environments import installers
from harness.environments.find import ENVS, MAKING, STAMP, read_stamp
from harness.environments.installed import can_be_kept, check_installed
from harness.environments.installers import Hear, Installer, SetupFailed, Site
from harness.environments.recipe import Recipe, python_tag
from harness.spec.files import write

SIZES = {  # MiB to download, MiB on disk: measured on Linux x86_64
    ("tensorflow", "cpu"): (380, 1450),
    ("tensorflow", "gpu"): (3200, 6500),
    ("jax", "cpu"): (190, 620),
    ("jax", "gpu"): (2600, 5200),
    ("torch", "cpu"): (260, 1010),
    ("torch", "gpu"): (3400, 7300),
    ("numpy", "cpu"): (20, 90),
    ("numpy", "gpu"): (20, 90),
}
UNKNOWN_SIZE = (500, 1500)
DOWNLOAD_S, WRITE_S = 1 / 10, 1 / 30  # for a MiB


@dataclass(frozen=True, slots=True)
class Asked:
    """How an environment is to be made."""

    installer: Installer = "auto"
    constraints: Path | None = None
    anew: bool = False
    allow_large: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """An environment that is there, and what it took."""

    folder: Path
    seconds: float = 0.0  # 0: it was there
    n_bytes: int = 0


def place_of(recipe: Recipe, root: Path) -> Path:
    """Return the folder in which setup makes an environment.

    Args:
        recipe: what it is made of.
        root: the project's folder. HARNESS_ENVIRONMENTS names another folder of all environments.
    """
    if named := os.environ.get("HARNESS_ENVIRONMENTS"):
        return (root / named / recipe.environment).absolute()
    return (root / ENVS / recipe.folder_name).absolute()


def forecast(recipe: Recipe) -> tuple[int, int, float]:
    """Return about how many MiB are downloaded, how many lie on disk, and the seconds it takes."""
    download, disk = SIZES.get((recipe.framework, recipe.build), UNKNOWN_SIZE)
    return download, disk, download * DOWNLOAD_S + disk * WRITE_S


def is_complete(folder: Path, recipe: Recipe, asked: Asked) -> bool:
    """Say whether an environment holds what is asked for, by its stamp, and its Python is there.

    Args:
        folder: the environment's.
        recipe: what it is to hold.
        asked: with which constraints.
    """
    stamp = read_stamp(folder)
    same = stamp.get("digest") == recipe.digest and stamp.get("constraints") == _text(asked)
    return same and os.access(folder / "bin" / "python", os.X_OK)


def set_up(recipe: Recipe, root: Path, asked: Asked, hear: Hear) -> Made:
    """Return an environment that holds a recipe; make it where it is not there.

    Args:
        recipe: what it holds.
        root: the project's folder.
        asked: how it is made.
        hear: told what is being done.

    Raises:
        SetupFailed: it could not be made; nothing of it is left.
    """
    folder = place_of(recipe, root)
    if not asked.anew and is_complete(folder, recipe, asked):
        return Made(folder)
    try:
        _make_parent(folder)
        with _lock(folder, hear) as lock:
            if not asked.anew and is_complete(folder, recipe, asked):
                return Made(folder)  # by another setup, meanwhile
            return _make(recipe, Site(folder, lock, asked.constraints, hear), asked)
    except OSError as error:
        where = error.filename or folder
        raise SetupFailed(
            f"{where}: cannot be written ({error.strerror}). "
            f"Name another folder: HARNESS_ENVIRONMENTS=FOLDER harness setup {recipe.backend}"
        ) from None


def _make(recipe: Recipe, site: Site, asked: Asked) -> Made:
    """Make an environment, and check what it holds; remove it where that fails."""
    began = time.monotonic()
    uv = None if asked.installer == "pip" else installers.find_uv()
    if asked.installer == "uv" and not uv:
        raise SetupFailed("--installer uv: there is none on PATH. Leave it out, or: pip install uv")
    try:
        try:
            _fill(uv, recipe, site, asked)
        except SetupFailed as error:
            if not uv or asked.installer == "uv" or error.kind in ("disk", "large"):
                raise
            site.hear(f"uv: {error}; pip takes its place")
            _fill(None, recipe, site, replace(asked, anew=True))
        check_installed(recipe, site)
        _stamp(recipe, site.folder, asked)
    except BaseException:
        _remove(site.folder)
        raise
    n_bytes = sum(_sizes(site.folder))
    return Made(site.folder, time.monotonic() - began, n_bytes)


def _fill(uv: str | None, recipe: Recipe, site: Site, asked: Asked) -> None:
    """Make the virtual environment, or keep one that can become it, and install into it."""
    if not asked.anew and can_be_kept(recipe, site):
        uv = None
    else:
        _remove(site.folder)
        _check_room(recipe, site.folder)
        site.hear(f"making {site.folder}")
        installers.make_venv(uv, recipe, site)
    (site.folder / MAKING).touch()
    (site.folder / STAMP).unlink(missing_ok=True)
    installers.install(uv, recipe, site, allow_large=asked.allow_large)


def _check_room(recipe: Recipe, folder: Path) -> None:
    """Raise SetupFailed where the disk has less room than an environment is known to take."""
    _, disk, _ = forecast(recipe)
    free = shutil.disk_usage(folder.parent).free >> 20
    if free < disk:
        raise SetupFailed(
            f"{folder.parent}: expected {disk} MiB free; received {free}. "
            f"Make room, then: harness setup {recipe.backend}"
        )


def _stamp(recipe: Recipe, folder: Path, asked: Asked) -> None:
    """Say that an environment is complete, and of what it is made."""
    stamp = {
        "digest": recipe.digest,
        "constraints": _text(asked),
        "python": python_tag(),
        "requirements": recipe.lines,
        "packages": [str(package) for package in recipe.packages],
    }
    write(folder / STAMP, json.dumps(stamp, indent=1).encode())
    (folder / MAKING).unlink(missing_ok=True)


def _text(asked: Asked) -> str | None:
    return asked.constraints.read_text(encoding="utf-8") if asked.constraints else None


def _make_parent(folder: Path) -> None:
    """Make the folder of all environments; what `harness` makes there is nothing for git."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    mine = folder.parents[1]
    if mine.name == ENVS.parts[0] and not (mine / ".gitignore").exists():
        (mine / ".gitignore").write_text("*\n", encoding="utf-8")


@contextmanager
def _lock(folder: Path, hear: Hear) -> Iterator[int]:
    """Hold the lock of an environment's folder; give its descriptor, which installers inherit.

    So it is held until the last of them is gone, though this process be killed before.
    """
    handle = os.open(folder.parent / f".{folder.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hear("waiting: another setup makes it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    """Remove an environment; of a link only the link."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        (folder / STAMP).unlink(missing_ok=True)  # first: what is half removed is none
        (folder / MAKING).touch()
        shutil.rmtree(folder)


def _sizes(folder: Path) -> Iterator[int]:
    """Yield the bytes on disk of each file in a folder, links not followed."""
    entries: list[Any] = [folder]
    while entries:
        with os.scandir(entries.pop()) as inside:
            for entry in inside:
                if entry.is_dir(follow_symlinks=False):
                    entries.append(entry.path)
                else:
                    yield entry.stat(follow_symlinks=False).st_blocks * 512
