"""uv, or venv and pip: both make an environment from the same lines, and fail in one sentence."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal, Protocol

from harness.environments.passed_on import redact
from harness.environments.recipe import Recipe, distribution
from harness.errors import HarnessError

Installer = Literal["auto", "uv", "pip"]
INDEX = re.compile(r"--extra-index-url[ =]+(https?://\S+)")
REACH_S = 5.0  # for an index to answer
EXACT = re.compile(r"==\s*[^,;\s]+\+cpu")
ELSEWHERE = re.compile(r";.*(!= *.Linux|Darwin|Windows)")
LARGE = re.compile(r"(nvidia|cuda)-.+|triton(-.+)?")  # what comes with a build for a GPU
HIDDEN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
N_LINES = 400  # of what an installer prints, that are kept for its fault
FAULTS = (  # what is said of it, and how installers and the system say it
    ("disk", r"no space left on device|disk quota exceeded|file too large"),
    (
        "network",
        r"name or service not known|temporary failure in name resolution|network is unreachable"
        r"|nodename nor servname|failed to establish a new connection|connection refused|dns error"
        r"|connecttimeout|proxyerror|cannot connect to proxy|error sending request|connection reset"
        r"|failed to resolve",
    ),
    (
        "requirements",
        r"no matching distribution found|resolutionimpossible|no solution found"
        r"|conflicting dependencies|invalid requirement|couldn't parse requirement"
        r"|could not find a version|requires-python",
    ),
    ("venv", r"ensurepip is not available|no module named '?ensurepip|no module named venv"),
)
SENTENCES = {  # each ends with the command to type
    "disk": "the disk is full ({said}). Make room, then:",
    "network": "no package index can be reached. Connect, or set PIP_INDEX_URL, then:",
    "requirements": "{where}: cannot be installed together here ({said}). Change them, then:",
    "venv": "this Python has no venv. Install python3-venv, or: pip install uv, then:",
    "other": "{name} failed ({said}). Mend that, then:",
}
SAID = re.compile(r"^\s*\W{0,4}(?:error|because)\W|^\s*\xd7", re.IGNORECASE)


class Hear(Protocol):
    """Told what is being done; what an installer says of it is not kept on the screen."""

    def __call__(self, what: str, kept: bool = True, /) -> None:
        """Show a line."""


class SetupFailed(HarnessError):
    """An environment was not made; one sentence with what to type."""

    def __init__(self, sentence: str, kind: str = "") -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Site:
    """Where an environment is made, and with what."""

    folder: Path
    lock: int  # a descriptor that installers inherit: while one lives, no second setup begins
    constraints: Path | None
    hear: Hear

    @property
    def python(self) -> Path:
        """Return its Python."""
        return self.folder / "bin" / "python"

    @property
    def requirements(self) -> Path:
        """Return the file that installers read."""
        return self.folder / "requirements.txt"


def find_uv() -> str | None:
    """Return uv's path: on PATH, or beside this Python."""
    beside = Path(sys.executable).with_name("uv")
    return shutil.which("uv") or (str(beside) if os.access(beside, os.X_OK) else None)


def has_pip() -> bool:
    """Say whether this Python has a pip that installs into other environments."""
    try:
        return int(metadata.version("pip").partition(".")[0]) >= 23
    except (metadata.PackageNotFoundError, ValueError):
        return False


def make_venv(uv: str | None, recipe: Recipe, site: Site) -> None:
    """Make an empty virtual environment of this Python.

    Args:
        uv: its path; None for venv.
        recipe: what will be installed.
        site: where.

    Raises:
        SetupFailed: it could not be made.
    """
    bare = ["--without-pip"] if has_pip() else []
    command = [sys.executable, "-m", "venv", *bare, str(site.folder)]
    if uv:
        command = [uv, "venv", "-q", "--no-project", "--python", sys.executable, str(site.folder)]
    _run(command, recipe, site)


def install(uv: str | None, recipe: Recipe, site: Site, *, allow_large: bool) -> None:
    """Install a recipe into an environment.

    Args:
        uv: its path; None for pip.
        recipe: what is installed.
        site: where.
        allow_large: whether a build for a GPU may come where one for a CPU is asked for.

    Raises:
        SetupFailed: it could not be installed; nothing is said of what is there by then.
    """
    lines = _reachable(recipe.lines, site.hear)
    site.requirements.write_text("\n".join([f"# {recipe.build}", *lines, ""]), encoding="utf-8")
    arguments = ["-r", str(site.requirements)]
    for folder in recipe.packages:
        arguments += ["-e", str(folder)]
    if site.constraints:
        arguments += ["-c", str(site.constraints)]
    if not allow_large and _may_be_large(recipe):
        _check_small(uv, recipe, site, arguments)
    if uv:
        backend = ["--torch-backend", "auto"] if recipe.build == "gpu" else []
        command = [*_uv_install(uv, site), *backend, *arguments]
    else:
        command = [*_pip_install(site), *arguments]
    _run(command, recipe, site)


def _uv_install(uv: str, site: Site) -> list[str]:
    """Return uv's command; as pip does, it takes the best version of all indexes."""
    best = ["--index-strategy", "unsafe-best-match"]
    return [uv, "pip", "install", "--no-progress", "--python", str(site.python), *best]


def _pip_install(site: Site) -> list[str]:
    quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    there = str(site.python)
    pip = [sys.executable, "-m", "pip", "--python", there] if has_pip() else [there, "-m", "pip"]
    return [*pip, "install", *quiet]


def _reachable(lines: tuple[str, ...], hear: Hear) -> list[str]:
    """Return the lines without an index that does not answer: pip would try it for minutes."""
    kept = []
    for line in lines:
        match = INDEX.fullmatch(line.strip())
        if match and not _answers(match[1]):
            hear(f"{redact(match[1], {})}: does not answer; your own package index is asked alone")
        else:
            kept.append(line)
    return kept


def _answers(address: str) -> bool:
    """Say whether a server answers, whatever it says."""
    try:
        request = urllib.request.Request(f"{address.rstrip('/')}/", method="HEAD")  # noqa: S310
        with urllib.request.urlopen(request, timeout=REACH_S):  # noqa: S310 - http and https only
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False


def _may_be_large(recipe: Recipe) -> bool:
    """Say whether PyTorch is asked for a CPU in a way that also its build for a GPU satisfies."""
    torch = [line for line in recipe.lines if distribution(line) == "torch"]
    exact = all(EXACT.search(line) or ELSEWHERE.search(line) for line in torch)
    return recipe.build == "cpu" and sys.platform == "linux" and not exact


def _check_small(uv: str | None, recipe: Recipe, site: Site, arguments: list[str]) -> None:
    """Raise SetupFailed where what would be installed is a build for a GPU; install nothing."""
    if uv:
        output = _run([*_uv_install(uv, site), "--dry-run", *arguments], recipe, site)
        coming = re.findall(r"^ \+ (\S+?)(?:==| @ )", output, flags=re.MULTILINE)
    else:
        report = site.folder / "report.json"
        _run([*_pip_install(site), "--dry-run", "--report", str(report), *arguments], recipe, site)
        found = json.loads(report.read_bytes())["install"]
        coming = [each["metadata"]["name"] for each in found]
    large = sorted(name for name in map(distribution, coming) if LARGE.fullmatch(name))
    if large:
        raise SetupFailed(
            f"PyTorch's build for a GPU would come, with {large[0]} and {len(large) - 1} more: "
            "several gigabytes, for a CPU. Require torch==VERSION+cpu and the index that has it, "
            "as the harness's own backends.toml does; or --allow-large",
            "large",
        )


def _run(command: list[str], recipe: Recipe, site: Site) -> str:
    """Run an installer, and return the end of what it printed.

    It ends with this process where that is interrupted. Where this process is killed it may go on:
    it holds the lock for as long as it lives, so that no second setup meets it.

    Raises:
        SetupFailed: it failed.
    """
    variables = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    kept: deque[str] = deque(maxlen=N_LINES)
    with subprocess.Popen(
        command,
        env=variables | {"PYTHONNOUSERSITE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(site.lock,),
        start_new_session=True,
        text=True,
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                kept.append(line)
                site.hear(str(redact(line.strip(), os.environ)), False)
        except BaseException:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    output = "".join(kept)
    if process.returncode:
        name = "uv" if Path(command[0]).name == "uv" else "pip"
        raise _explain(output, recipe, name, os.environ)
    return output


def _explain(output: str, recipe: Recipe, name: str, variables: Mapping[str, str]) -> SetupFailed:
    """Return one sentence on an installer that failed, with what to type.

    Args:
        output: what it printed.
        recipe: what it was to install.
        name: its own.
        variables: those that it had, whose passwords are in no sentence.
    """
    kind = next((kind for kind, form in FAULTS if re.search(form, output, re.IGNORECASE)), "other")
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["it printed nothing"]
    telling = [line for line in lines if SAID.match(line)] or lines
    said = str(redact(telling[0 if kind == "requirements" else -1], variables))
    parts = {
        "said": said.removeprefix("ERROR: ").rstrip("."),
        "where": f"[backends.{recipe.backend}.requirements] {recipe.build}",
        "name": name,
    }
    return SetupFailed(f"{SENTENCES[kind].format(**parts)} harness setup {recipe.backend}", kind)
