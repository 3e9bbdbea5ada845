"""WHERE a backend's Python is, and what to type where there is none.

It is looked for in this order: an interpreter of the user's own; what `harness setup` has made
below the project's folder; what nox has made, beside backends.toml or in the harness's own clone.
HARNESS_ENVIRONMENTS names one folder instead of all but the first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import harness
from harness.environments.recipe import Build, make_recipe
from harness.errors import EnvironmentMissing
from harness.spec.config import Backend, load
from harness.spec.defaults import packaged_file
from harness.spec.project import own_python

Origin = Literal["own", "setup", "nox"]
ENVS = Path(".harness") / "envs"
STAMP = "harness-environment.json"  # written last: without it, an environment is half made
MAKING = ".harness-making"  # there while it is made, for those that need no stamp
BUILDS: dict[str, tuple[Build, ...]] = {
    "auto": ("gpu", "cpu"),
    "cpu": ("cpu", "gpu"),
    "gpu": ("gpu",),
}


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A backend's Python, and how it came to be there."""

    path: Path
    origin: Origin


def find_python(name: str, backend: Backend, root: Path, device: str = "auto") -> Interpreter:
    """Return the Python of a backend.

    Args:
        name: of the backend.
        backend: as in backends.toml.
        root: the project's folder.
        device: what it is to run on; "auto" takes the build for a GPU where there is one.

    Raises:
        EnvironmentMissing: there is none; the message is what to type.
    """
    if own := own_python(backend, root):
        _check_own(name, own)
        return Interpreter(own, "own")
    for folder, origin in _places(name, backend, root, device):
        python = folder / "bin" / "python"
        if os.access(python, os.X_OK):
            return Interpreter(python, origin)
    raise EnvironmentMissing(f"environment missing. Run: {setup_command(name, backend)}")


def _check_own(name: str, path: Path) -> None:
    """Raise EnvironmentMissing where an interpreter of the user's own is none."""
    fault = ""
    if path.is_dir():
        inside = " Did you mean its bin/python?" if (path / "bin" / "python").exists() else ""
        fault = f"expected a Python; it is a folder.{inside}"
    elif not path.exists():
        fault = "no such file."
    elif not os.access(path, os.X_OK):
        fault = "expected a program; it may not be run."
    if fault:
        raise EnvironmentMissing(f"python: {path}: {fault} Name another: --python {name}=PATH")


def _places(name: str, backend: Backend, root: Path, device: str) -> Iterator[tuple[Path, Origin]]:
    """Yield the folders in which a backend's environment may lie, the first choice first."""
    named = os.environ.get("HARNESS_ENVIRONMENTS")
    if named:
        folders = [(root / named).absolute()]
    else:
        for build in BUILDS[device]:
            recipe = make_recipe(name, backend, build)
            folder = (root / ENVS / recipe.folder_name).absolute()
            if read_stamp(folder).get("digest") == recipe.digest:
                yield folder, "setup"
        folders = [(root / (os.environ.get("NOXENVDIR") or ".nox")).absolute()]
        folders += _clone(name, backend, root)
    for folder in folders:
        if not (folder / backend.environment / MAKING).exists():
            yield folder / backend.environment, "nox"


def _clone(name: str, backend: Backend, root: Path) -> list[Path]:
    """Return the environments' folder of the clone that this program is run from, if it fits."""
    clone = Path(harness.__file__).parents[1]
    if (root / "backends.toml").exists() or not (clone / "noxfile.py").is_file():
        return []
    own = load(packaged_file()).backends.get(name)
    return [clone / ".nox"] if own and own.requirements == backend.requirements else []


def read_stamp(folder: Path) -> dict[str, object]:
    """Return what an environment's stamp says; nothing where it is not there, or torn."""
    try:
        stamp = json.loads((folder / STAMP).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def setup_command(name: str, backend: Backend, *, gpu: bool = False, anew: bool = False) -> str:
    """Return what to type to make a backend's environment, in the words of whoever started this.

    Args:
        name: of the backend.
        backend: as in backends.toml.
        gpu: the build for one.
        anew: though it is there.
    """
    if "NOX_CURRENT_SESSION" in os.environ:
        options = " --reuse-venv=never" if anew else ""
        return f"nox -s {backend.environment}{options}{' -- --device gpu' if gpu else ''}"
    return f"harness setup {name}{' --gpu' if gpu else ''}{' --anew' if anew else ''}"


def how_to_mend(name: str, backend: Backend) -> str:
    """Return what to type where a backend's environment is there and does not work."""
    if backend.python:
        return f"It is your own ({backend.python}): mend it, or name another: --python {name}=PATH"
    return f"Build it anew: {setup_command(name, backend, anew=True)}"
