"""What is installed in an environment, asked without importing any of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping

from harness.environments import installers
from harness.environments.find import MAKING, read_stamp
from harness.environments.installers import SetupFailed, Site
from harness.environments.recipe import Recipe, distribution

FRAMEWORKS = {
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tf-nightly", "tensorflow-macos"),
    "jax": ("jax",),
    "torch": ("torch",),
    "numpy": ("numpy",),
}
CONTENT = """
import importlib.metadata as metadata, json
print(json.dumps([[each.metadata["Name"] or "", each.version or "", each.requires or []]
                  for each in metadata.distributions()]))
"""
LOOK_S = 60.0


def can_be_kept(recipe: Recipe, site: Site) -> bool:
    """Say whether an environment that nox has made is empty, or holds the recipe.

    A build for a CPU would satisfy the requirements of one for a GPU, so they are never mixed.
    """
    of_nox = site.folder.name == recipe.environment
    if not of_nox or read_stamp(site.folder) or (site.folder / MAKING).exists():
        return False
    has_pip = installers.has_pip() or (site.folder / "bin" / "pip").exists()
    if not (has_pip and os.access(site.python, os.X_OK)):
        return False
    try:
        versions = {name: version for name, version, _ in _content(site)}
    except SetupFailed:
        return False
    return not versions.keys() - {"pip", "setuptools", "wheel"} or _holds(recipe, site, versions)


def _holds(recipe: Recipe, site: Site, versions: Mapping[str, str]) -> bool:
    """Say whether an environment of the same build has every package that is required by name."""
    build = f"# {recipe.build}"
    asked = site.requirements.read_text("utf-8") if site.requirements.is_file() else build
    lines = [line for line in recipe.lines if distribution(line)]
    return asked.startswith(build) and all(_is_met(line, versions) for line in lines)


def _is_met(line: str, versions: Mapping[str, str]) -> bool:
    """Say whether a requirement is there, in its version where it names one."""
    wanted, marker, _ = line.partition(";")
    if distribution(line) not in versions:
        return bool(marker)  # of another system
    here, exact = versions[distribution(line)], wanted.partition("==")[2].strip()
    return exact in ("", here, here.partition("+")[0])


def _content(site: Site) -> list[tuple[str, str, list[str]]]:
    """Return name, version and requirements of what an environment holds; nothing is imported.

    Raises:
        SetupFailed: its Python does not say.
    """
    command = [str(site.python), "-I", "-B", "-c", CONTENT]
    try:
        asked = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LOOK_S, check=True
        )
        found = json.loads(asked.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        raise SetupFailed(f"{site.python}: does not start") from None
    return [(distribution(name), version, requires) for name, version, requires in found]


def check_installed(recipe: Recipe, site: Site) -> None:
    """Raise SetupFailed where the framework is missing, or a second one came along.

    NumPy is no second one: all have it.
    """
    site.hear("looking at what came")
    found = _content(site)
    names = {name for name, _, _ in found}
    where = f"[backends.{recipe.backend}.requirements] {recipe.build}"
    if not names & set(FRAMEWORKS.get(recipe.framework, names)):
        raise SetupFailed(f"{where}: {recipe.framework} is not among them. Add it")
    for framework, packages in FRAMEWORKS.items():
        if framework in ("numpy", recipe.framework):
            continue
        if strange := sorted(names & set(packages)):
            by = sorted(name for name, _, all_ in found if _requires(all_, strange))
            because = f", which {by[0]} requires" if by else ""
            raise SetupFailed(
                f"{where}: they bring a second framework, {strange[0]}{because}: an environment "
                f"has one. Leave it out: harness setup {recipe.backend}"
            )


def _requires(lines: list[str], packages: list[str]) -> bool:
    """Say whether one of these lines of a package's metadata requires one of these packages."""
    return any(
        distribution(line) in packages and not re.search(r";.*\bextra\b", line) for line in lines
    )
