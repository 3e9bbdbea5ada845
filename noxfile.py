"""The project's one interface: a person, CI and the README type the same commands. `nox -l` is the menu.

One virtual environment for each backend, named after its session, and one more, "harness", without any framework: it
holds the orchestrator, the tests and the reports.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import nox
from nox.command import CommandFailed

sys.path.insert(0, str(Path(__file__).parent))
from harness.errors import ConfigError
from harness.spec.toml import parse_file

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.envdir = os.environ.get("NOXENVDIR") or ".nox"  # --envdir goes before it

ROOT = Path(__file__).parent
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"
MEANT = {
    "HARNESS_CONFIG": str(ROOT / "backends.toml")
}  # whoever runs this file means the one beside it
PATIENCE_S = 15.0  # after Ctrl-C: the harness ends its worker and keeps what is finished


def tables() -> dict[str, dict[str, Any]]:
    """Return the table of each backend, as far as nox needs it: `harness doctor` checks the rest."""
    try:
        found = parse_file(ROOT / "backends.toml").get("backends", {})
    except ConfigError as error:
        sys.exit(str(error))
    for table in found.values() if isinstance(found, dict) else (found,):
        environment = table.get("environment") if isinstance(table, dict) else None
        if not (
            isinstance(environment, str) and re.fullmatch("train-[a-z0-9-]{1,58}", environment)
        ):
            sys.exit(
                'backends.toml: [backends]: expected tables, each with environment = "train-NAME"'
            )
        if not isinstance(table.get("arms", {}), dict):
            sys.exit("backends.toml: [backends]: expected a table of arms in each")
    return found


TABLES = tables()
BACKENDS = {name: table["environment"] for name, table in TABLES.items()}


@nox.session(default=False)
def harness(session: nox.Session) -> None:
    """Make the orchestrator's environment, with the harness command in its bin folder."""
    # No arguments here: nox hands those after -- to every session, and this one comes before all others.
    install_harness(session)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def run(session: nox.Session) -> None:
    """Run the harness command with the arguments after --, for example: nox -s run -- train --help."""
    orchestrator(session, *session.posargs)


def train_session(backend: str) -> None:
    """Define the session that makes one backend's environment and trains in it."""

    def train(session: nox.Session) -> None:
        if not able(backend, session.posargs):
            session.skip(f"{backend} can do none of what is asked: {' '.join(session.posargs)}")
        wanted = requirements(session, backend)
        try:
            install(session, wanted)
        except CommandFailed:
            trained(session, backend, codes=(0, 1, 2))  # a row says so, if it does not run
            session.error(f"{backend}: its environment could not be built, see above")
        trained(session, backend)

    train.__doc__ = f"Train the spec under {backend}, a line a run, then answer; arguments after -- go to harness train."
    nox.session(name=BACKENDS[backend], requires=["harness"])(train)


def trained(session: nox.Session, backend: str, codes: tuple[int, ...] = (0,)) -> None:
    """Train, printing a line a run; the session "answer" then comes after all others, once, whatever becomes of this one."""
    try:
        ran = orchestrator(session, "train", backend, "--rows", *session.posargs, codes=codes)
    except CommandFailed:
        session.notify("answer")
        raise
    if ran is not None:  # as it is with --install-only
        session.notify("answer")


def able(backend: str, arguments: list[str]) -> bool:
    """Say whether a backend can do any of what is asked of all: `nox -- --arm keras` reaches NumPy's session too."""
    asked, table = options(arguments), TABLES[backend]
    arms = {part.strip() for name, value in asked if name == "--arm" for part in value.split(",")}
    everywhere = {name for other in TABLES for name in arm_names(other)}
    if arms and arms <= everywhere and not arms & set(arm_names(backend)):
        return False
    return ("--device", "gpu") not in asked or table.get("accelerators", True)


def arm_names(backend: str) -> list[str]:
    """Return the names by which --arm takes a backend's arms: keras, and jax/keras."""
    arms = TABLES[backend].get("arms", {})
    return [*arms, *(f"{backend}/{arm}" for arm in arms)]


def options(arguments: list[str]) -> list[tuple[str, str]]:
    """Return the (option, value) pairs among a session's arguments, written with a space or with =."""
    return list(pairwise(part for argument in arguments for part in argument.split("=", 1)))


def install_harness(session: nox.Session, extras: str = "") -> None:
    """Install the orchestrator into its environment, unless it is there: `nox -s compare` needs no network."""
    content = b"".join(file.read_bytes() for file in (ROOT / "pyproject.toml", CONSTRAINTS))
    wanted, stamp = (
        hashlib.sha256(content).hexdigest(),
        folder(session) / "harness" / "installed.txt",
    )
    if stamp.is_file() and stamp.read_text(encoding="utf-8") in (wanted + extras, f"{wanted}[dev]"):
        return
    command = [
        python(session),
        "-m",
        "pip",
        "install",
        "-q",
        "-c",
        str(CONSTRAINTS),
        "-e",
        f"{ROOT}{extras}",
    ]
    if session.run_install(*command, external=True):
        stamp.write_text(wanted + extras, encoding="utf-8")


def requirements(session: nox.Session, backend: str) -> list[str]:
    """Return what the backend needs on this machine, under a line that says whether that is for a CPU or a GPU."""
    asked = [
        python(session),
        "-m",
        "harness",
        "requirements",
        backend,
        "--device",
        device(session.posargs),
    ]
    printed = session.run_install(
        *asked, silent=True, stderr=None, external=True, env=MEANT
    )  # None where nothing is to be installed
    return str(printed or "").splitlines()


def install(session: nox.Session, wanted: list[str]) -> None:
    """Install requirements into a backend's environment, which is made anew where they are not those of last time.

    A CPU and a GPU build may be two packages that own the same files, or one package whose version satisfies both.
    """
    if not wanted:
        return
    made = Path(session.virtualenv.location)
    kept = made / "requirements.txt"
    if kept.is_file() and kept.read_text(encoding="utf-8").splitlines() != wanted:
        shutil.rmtree(made)
        session.virtualenv.create()
    kept.write_text("\n".join(wanted), encoding="utf-8")
    session.install("-c", str(CONSTRAINTS), "-r", str(kept))


def device(arguments: list[str]) -> str:
    """Return what --device says among a session's arguments, "auto" where it says nothing."""
    return dict(options(arguments)).get("--device", "auto")


def folder(session: nox.Session) -> Path:
    """Return the folder of all environments: .nox, or what --envdir or NOXENVDIR names."""
    return session.cache_dir.absolute().parent


def python(session: nox.Session) -> str:
    """Return the Python of the orchestrator's environment."""
    return str(folder(session) / "harness" / "bin" / "python")


def orchestrator(session: nox.Session, *arguments: str, codes: tuple[int, ...] = (0,)) -> object:
    """Run the harness command in its own environment; returns None where nox only installs."""
    patience = {"interrupt_timeout": PATIENCE_S, "terminate_timeout": PATIENCE_S}
    where = MEANT | {"HARNESS_ENVIRONMENTS": str(folder(session))}
    command = (python(session), "-m", "harness", *arguments)
    return session.run(*command, external=True, success_codes=list(codes), env=where, **patience)


for each in BACKENDS:
    train_session(each)


@nox.session(venv_backend="none", requires=["harness"])
def answer(session: nox.Session) -> None:
    """Check in the quick form what has trained here and has no verdict, then print one table and what it answers."""
    places = [
        part
        for name, value in options(session.posargs)
        if name in ("--results", "--config")
        for part in (name, value)
    ]
    departed = False
    try:
        orchestrator(session, "parity", "--quick", "--missing", *places)
    except CommandFailed:
        departed = True  # the table shows which arm, and is printed all the same
    orchestrator(session, "compare", "--newest", *places)
    if departed:
        session.error("an arm departs from the referee, or could not be checked: see above")


@nox.session(venv_backend="none", requires=["harness"], default=False)
def compare(session: nox.Session) -> None:
    """Print the table of all results; arguments after -- go to harness compare."""
    orchestrator(session, "compare", *session.posargs)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def parity(session: nox.Session) -> None:
    """Hold every arm to the referee: is it still the same model there? Arguments after -- go to harness parity."""
    environments(session)
    orchestrator(session, "parity", *session.posargs)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def bench(session: nox.Session) -> None:
    """Time every arm against the others, live processes taking turns; arguments after -- go to harness bench."""
    environments(session)
    orchestrator(session, "bench", *session.posargs)


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
    """Run the tests but for the long ones; arguments after -- go to pytest, and `-- tests/unit tests/parity` needs no backend."""
    run_tests(session, "not long")


@nox.session(venv_backend="none", requires=["harness"], default=False)
def long(session: nox.Session) -> None:
    """Run the tests that take a minute and more: whole sessions of bench and gate, twenty kills, trainings to their end."""
    run_tests(session, "long")


def run_tests(session: nox.Session, marks: str) -> None:
    """Run pytest on the tests with these marks, and make the environments that their folders need."""
    install_harness(session, "[dev]")
    paths = [argument for argument in session.posargs if argument.startswith("tests")]
    if not paths or not all(
        path.startswith(("tests/unit", "tests/parity", "tests/simulation")) for path in paths
    ):
        environments(session)
    where = {"HARNESS_ENVIRONMENTS": str(folder(session))}
    session.run(
        python(session), "-m", "pytest", "-m", marks, *session.posargs, external=True, env=where
    )


@nox.session(venv_backend="none", requires=["harness"], default=False)
def attacks(session: nox.Session) -> None:
    """Attack it with thousands of generated records, files, texts, datasets and servers; arguments after -- go to pytest."""
    install_harness(session, "[dev]")
    session.run(python(session), "-m", "pytest", "tests/attacks", *session.posargs, external=True)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def referee(session: nox.Session) -> None:
    """Hold a zoo of models to the float64 referee, clean and with planted defects; names after -- are of models."""
    install_harness(session, "[dev]")
    environments(session)
    where = {"HARNESS_ENVIRONMENTS": str(folder(session))}
    command = (python(session), "-m", "tests.zoo.referee", *session.posargs)
    session.run(*command, external=True, env=where)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def zoo(session: nox.Session) -> None:
    """Train 35 models by every arm on every backend, each held to `fit` in float64; it can go on."""
    install_harness(session, "[dev]")
    environments(session)
    where = {"HARNESS_ENVIRONMENTS": str(folder(session))}
    command = (python(session), "-m", "tests.zoo", *session.posargs)
    session.run(*command, external=True, env=where)


@nox.session(default=False)
def lowest(session: nox.Session) -> None:
    """Run the unit tests with the lowest version of every dependency that pyproject.toml allows."""
    session.install("-c", str(CONSTRAINTS), "uv")
    python = str(Path(session.virtualenv.location) / "bin" / "python")
    asked = [
        "uv",
        "pip",
        "install",
        "-q",
        "--python",
        python,
        "--resolution",
        "lowest-direct",
        "--only-binary",
        ":all:",
    ]
    session.run_install(*asked, "--no-binary", "keras-backend-harness", "-e", f"{ROOT}[dev]")
    session.run("python", "-m", "pytest", "tests/unit", *session.posargs)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def lint(session: nox.Session) -> None:
    """Check style (ruff) and types (mypy, strict)."""
    install_harness(session, "[dev]")
    session.run(python(session), "-m", "ruff", "check", ".", external=True)
    session.run(python(session), "-m", "ruff", "format", "--check", ".", external=True)
    session.run(python(session), "-m", "mypy", external=True)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def overhead(session: nox.Session) -> None:
    """Measure what the harness costs: its epoch against a bare textbook script's, taking turns, and its own seconds."""
    install_harness(session, "[dev]")
    environments(session)
    failed = []
    for name, arguments in (("orchestrator", []), ("overhead", session.posargs)):
        try:
            where = {"HARNESS_ENVIRONMENTS": str(folder(session))}
            session.run(
                python(session),
                "-m",
                f"tests.benchmarks.{name}",
                *arguments,
                external=True,
                env=where,
            )
        except CommandFailed:
            failed.append(name)  # the other one is measured all the same
    if failed:
        session.error(f"a figure was not reached: {', '.join(failed)}")


def environments(session: nox.Session) -> None:
    """Make every backend's environment, without training in it."""
    command = [
        sys.executable,
        "-m",
        "nox",
        "--envdir",
        str(folder(session)),
        "--install-only",
        "-s",
        *BACKENDS.values(),
    ]
    session.run_install(*command, external=True)
