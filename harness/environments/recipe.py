"""What a backend's environment is made of: requirements, the user's own packages, a Python.

Two recipes of one digest make one environment, so its folder bears the digest in its name.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.spec.config import Backend
from harness.spec.own_arms import OWN_PACKAGE as OWN

Build = Literal["cpu", "gpu"]
FORMAT = 1
BUILD_FILES = ("pyproject.toml", "setup.cfg", "setup.py")  # which say what a package requires
NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is installed into the environment of a backend."""

    backend: str
    framework: str
    environment: str  # its name where nox makes it
    build: Build
    lines: tuple[str, ...]
    packages: tuple[Path, ...] = ()
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        packages = [[str(folder), _build_digest(folder)] for folder in self.packages]
        content = [FORMAT, python_tag(), [line.strip() for line in self.lines], packages]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        object.__setattr__(self, "digest", digest)

    @property
    def folder_name(self) -> str:
        """Return the name of the folder that `harness setup` makes for it."""
        return f"{self.backend}-{self.digest[:12]}"


def make_recipe(name: str, backend: Backend, build: Build) -> Recipe:
    """Return what a backend's environment is made of.

    Args:
        name: of the backend.
        backend: as in backends.toml; a line "-e FOLDER" is a package of the user's own.
        build: for a CPU or a GPU.
    """
    asked: tuple[str, ...] = getattr(backend.requirements, build)
    packages = tuple(Path(line.removeprefix(OWN)) for line in asked if line.startswith(OWN))
    lines = tuple(line for line in asked if not line.startswith(OWN))
    return Recipe(name, backend.framework, backend.environment, build, lines, packages)


def python_tag() -> str:
    """Return what an environment's packages are built for: this Python's minor version, here."""
    version = ".".join(map(str, sys.version_info[:2]))
    return f"{platform.python_implementation()} {version} {sysconfig.get_platform()}"


def distribution(line: str) -> str:
    """Return the normalized name of the package that a line requires; "" for an option of pip."""
    match = NAME.match(line)
    return re.sub(r"[-_.]+", "-", match[1]).lower() if match else ""


def _build_digest(folder: Path) -> str:
    """Return a digest of what says what a package requires: its code may change without it."""
    digest = hashlib.sha256()
    for name in BUILD_FILES:
        file = folder / name
        digest.update(file.read_bytes() if file.is_file() else b"\0")
    return digest.hexdigest()
