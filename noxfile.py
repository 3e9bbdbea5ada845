"""The project's one interface: a person, CI and the README type the same commands. `nox -l` is the menu.

One virtual environment for each backend, named after its session, and a fourth, "harness", without any framework: it
holds the orchestrator, the tests and the reports.
"""

from __future__ import annotations

import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import nox
from nox.command import CommandFailed
from packaging.requirements import Requirement

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True

ROOT = Path(__file__).parent
BACKENDS = tomllib.loads((ROOT / "backends.toml").read_text(encoding="utf-8")).get("backends", {})
PYTHON = ROOT / ".nox" / "harness" / "bin" / "python"
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"


@nox.session(default=False)
def harness(session: nox.Session) -> None:
    """Make the orchestrator's environment; arguments after -- go to the harness command."""
    session.install("-c", str(CONSTRAINTS), "-e", str(ROOT))
    if session.posargs:
        session.run("harness", *session.posargs)


def train_session(backend: str) -> None:
    """Define the session that makes one backend's environment and trains in it."""

    def train(session: nox.Session) -> None:
        try:
            install(session, backend)
        except CommandFailed:
            orchestrator(session, "train", backend, *session.posargs, codes=(0, 1, 2))  # keeps a row that says so
            session.error(f"{backend}: the environment could not be built, see above")
        orchestrator(session, "train", backend, *session.posargs)

    train.__doc__ = f"Train the spec under {backend}; arguments after -- go to harness train."
    nox.session(name=BACKENDS[backend]["environment"], requires=["harness"])(train)


def install(session: nox.Session, backend: str) -> None:
    """Install what the backend needs on this machine: its GPU requirements where a GPU is found or asked for."""
    asked = [str(PYTHON), "-m", "harness", "requirements", backend, "--device", device(session.posargs)]
    printed = str(session.run_install(*asked, silent=True, external=True)).splitlines()
    wanted = [line for line in printed if (marker := Requirement(line).marker) is None or marker.evaluate()]
    kept = Path(session.virtualenv.location) / "requirements.txt"
    before = kept.read_text(encoding="utf-8").splitlines() if kept.is_file() else []
    # A CPU build and a GPU build may be two packages that own the same files: the old one goes first.
    stale = {Requirement(line).name for line in before} - {Requirement(line).name for line in wanted}
    if stale:
        session.run_install("python", "-m", "pip", "uninstall", "-y", *sorted(stale))
    session.install("-c", str(CONSTRAINTS), *wanted)
    kept.write_text("\n".join(wanted), encoding="utf-8")


def device(arguments: list[str]) -> str:
    """Return what --device says among a session's arguments, "auto" where it says nothing."""
    spread = [part for argument in arguments for part in argument.split("=", 1)]
    return dict(pairwise(spread)).get("--device", "auto")


def orchestrator(session: nox.Session, *arguments: str, codes: tuple[int, ...] = (0,)) -> None:
    """Run the harness command in its own environment."""
    session.run(str(PYTHON), "-m", "harness", *arguments, external=True, success_codes=list(codes))


for each in BACKENDS:
    train_session(each)


@nox.session(venv_backend="none", requires=["harness"])
def compare(session: nox.Session) -> None:
    """Print the table of all results; arguments after -- go to harness compare."""
    orchestrator(session, "compare", *session.posargs)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def doctor(session: nox.Session) -> None:
    """Show what this machine has, what each backend sees, and what to type where they differ."""
    orchestrator(session, "doctor", *session.posargs)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def data(session: nox.Session) -> None:
    """Look at the dataset; arguments after -- go to harness data."""
    orchestrator(session, "data", *session.posargs)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def tests(session: nox.Session) -> None:
    """Run all tests; arguments after -- go to pytest, and `-- tests/unit` needs no backend."""
    develop(session)
    if not any(argument.startswith("tests/unit") for argument in session.posargs):
        environments(session)
    session.run(str(PYTHON), "-m", "pytest", *session.posargs, external=True)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def lint(session: nox.Session) -> None:
    """Check style (ruff) and types (mypy, strict)."""
    develop(session)
    session.run(str(PYTHON), "-m", "ruff", "check", ".", external=True)
    session.run(str(PYTHON), "-m", "ruff", "format", "--check", ".", external=True)
    session.run(str(PYTHON), "-m", "mypy", external=True)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def overhead(session: nox.Session) -> None:
    """Measure what the harness costs: its epoch against a bare textbook script's, taking turns, and its own seconds."""
    develop(session)
    environments(session)
    session.run(str(PYTHON), "-m", "tests.benchmarks.orchestrator", external=True)
    session.run(str(PYTHON), "-m", "tests.benchmarks.overhead", *session.posargs, external=True)


def develop(session: nox.Session) -> None:
    """Add the tools of tests and linters to the orchestrator's environment."""
    session.run_install(str(PYTHON), "-m", "pip", "install", "-q", "-c", str(CONSTRAINTS), "-e", f"{ROOT}[dev]", external=True)


def environments(session: nox.Session) -> None:
    """Make every backend's environment, without training in it."""
    names = [backend["environment"] for backend in BACKENDS.values()]
    session.run_install(sys.executable, "-m", "nox", "--install-only", "-s", *names, external=True)
