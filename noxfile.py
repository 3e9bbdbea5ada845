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
from harness.spec.defaults import complete
from harness.spec.toml import parse_file

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.envdir = os.environ.get("NOXENVDIR") or ".nox"  # --envdir goes before it

ROOT = Path(__file__).parent
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"
CONFIG = ROOT / "backends.toml"
MEANT = {"HARNESS_CONFIG": str(CONFIG)}  # whoever runs this file means the one beside it
HELD_BY = {  # extras, and those that they hold
    "[report]": ("",),
    "[dev]": ("", "[report]"),
}
PATIENCE_S = 15.0  # after Ctrl-C: the harness ends its worker and keeps what is finished


def tables() -> dict[str, dict[str, Any]]:
    """Return the table of each backend, as far as nox needs it: `harness doctor` checks the rest."""
    try:
        found = complete(parse_file(CONFIG), CONFIG)["backends"]
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
        try:
            set_up(session, backend)
        except CommandFailed:
            trained(session, backend, codes=(0, 1, 2))  # a row says so, if it does not run
            session.error(f"{backend}: its environment could not be built, see above")
        trained(session, backend)

    train.__doc__ = f"Train the spec under {backend}, a line a run, then answer; arguments after -- go to harness train."
    nox.session(name=BACKENDS[backend], requires=["harness"])(train)


def set_up(session: nox.Session, *backends: str) -> None:
    """Have `harness setup` fill environments: nox has made them, or will take those it makes."""
    device = dict(options(session.posargs)).get("--device", "auto")
    how = ("--installer", "pip", "--constraint", str(CONSTRAINTS), "--device", device)
    command = (python(session), "-m", "harness", "setup", *backends, *how)
    session.run_install(*command, external=True, env=surroundings(session) | MEANT)


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
    wanted = hashlib.sha256(content).hexdigest()
    stamp = folder(session) / "harness" / "installed.txt"
    made = stamp.read_text(encoding="utf-8") if stamp.is_file() else ""
    if made == wanted + extras or (
        made.startswith(wanted) and extras in HELD_BY.get(made[64:], ())
    ):
        return
    command = (python(session), "-m", "pip", "install", "-q", "-c", str(CONSTRAINTS))
    if session.run_install(*command, "-e", f"{ROOT}{extras}", external=True):
        stamp.write_text(wanted + extras, encoding="utf-8")


def folder(session: nox.Session) -> Path:
    """Return the folder of all environments: .nox, or what --envdir or NOXENVDIR names."""
    return session.cache_dir.absolute().parent


def python(session: nox.Session) -> str:
    """Return the Python of the orchestrator's environment."""
    return str(folder(session) / "harness" / "bin" / "python")


def orchestrator(session: nox.Session, *arguments: str, codes: tuple[int, ...] = (0,)) -> object:
    """Run the harness command in its own environment; returns None where nox only installs."""
    patience = {"interrupt_timeout": PATIENCE_S, "terminate_timeout": PATIENCE_S}
    command = (python(session), "-m", "harness", *arguments)
    where = surroundings(session) | MEANT
    return session.run(*command, external=True, success_codes=list(codes), env=where, **patience)


def module(session: nox.Session, name: str, *arguments: str) -> None:
    """Run a module of this repository, or of a tool, in the orchestrator's environment."""
    command = (python(session), "-m", name, *arguments)
    session.run(*command, external=True, env=surroundings(session))


def surroundings(session: nox.Session) -> dict[str, str]:
    """Return the variables by which the harness finds the environments that nox has made."""
    return {"HARNESS_ENVIRONMENTS": str(folder(session))}


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


def verb_session(verb: str, first: str, doc: str) -> None:
    """Define the session that runs a verb of the harness with the arguments after --.

    Args:
        verb: its name, and the session's.
        first: what is made before it: "backends", an extra as "[report]", or nothing.
        doc: what `nox -l` says of it.
    """

    def run_verb(session: nox.Session) -> None:
        if first == "backends":
            set_up(session)
        elif first:
            install_harness(session, first)
        orchestrator(session, verb, *session.posargs)

    run_verb.__doc__ = f"{doc}; arguments after -- go to harness {verb}."
    plain = {"venv_backend": "none", "requires": ["harness"], "default": False}
    nox.session(name=verb, **plain)(run_verb)  # type: ignore[call-overload]


for each_verb in (
    ("compare", "", "Print the table of all results"),
    ("parity", "backends", "Hold every arm to the referee: is it still the same model there?"),
    ("bench", "backends", "Time every arm against the others, live processes taking turns"),
    ("survey", "backends", "Compute all that is in Keras on every backend, against float64"),
    ("report", "[report]", "Write results/report.html, a page of figures"),
    ("doctor", "", "Show this machine, what each backend sees, and what to type where they differ"),
    ("data", "", "Look at the dataset"),
):
    verb_session(*each_verb)


@nox.session(default=False)
def page(session: nox.Session) -> None:
    """Look at the report in a browser: needs chromium, chromedriver and npm; the pictures stay in results/page."""
    missing = [name for name in ("chromium", "chromedriver", "npm") if shutil.which(name) is None]
    if missing:
        what = f"not on PATH: {', '.join(missing)}, so nobody looked at the page in a browser"
        session.skip(f"{what}. On Debian: apt install chromium chromium-driver npm")
    # In an environment of its own: selenium's trio is a plugin of hypothesis, and warns where objects are frozen.
    session.install("-c", str(CONSTRAINTS), "-e", f"{ROOT}[report,page]")
    session.run("python", "-m", "tests.page", *session.posargs)


@nox.session(default=False)
def exporters(session: nox.Session) -> None:
    """Read back what `harness export` writes, by the libraries it is for; arguments after -- go to pytest."""
    extras = "test,exporters,export,mlflow,report,tensorboard,trackio,wandb"
    session.install("-c", str(CONSTRAINTS), "-e", f"{ROOT}[{extras}]")
    session.run("python", "-m", "pytest", "tests/exporters", *session.posargs)


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
        set_up(session)
    module(session, "pytest", "-m", marks, *session.posargs)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def attacks(session: nox.Session) -> None:
    """Attack it with thousands of generated records, files, texts, datasets and servers; arguments after -- go to pytest."""
    install_harness(session, "[dev]")
    module(session, "pytest", "tests/attacks", *session.posargs)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def clusters(session: nox.Session) -> None:
    """Run sweeps on SLURM and Ray clusters of two nodes on this machine, and kill jobs and nodes of them; needs root."""
    install_harness(session, "[dev,ray]")
    set_up(session)
    module(session, "pytest", "-m", "", "tests/clusters", *session.posargs)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def referee(session: nox.Session) -> None:
    """Hold a zoo of models to the float64 referee; after --: names of models, or applications, defects, nulls."""
    install_harness(session, "[dev]")
    set_up(session)
    module(session, "tests.zoo.referee", *session.posargs)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def zoo(session: nox.Session) -> None:
    """Train 35 models by every arm on every backend, each held to `fit` in float64, and by `harness train`."""
    install_harness(session, "[dev]")
    set_up(session)
    module(session, "tests.zoo", *session.posargs)


@nox.session(default=False)
def lowest(session: nox.Session) -> None:
    """Run the unit tests with the lowest version of every dependency that pyproject.toml allows."""
    session.install("-c", str(CONSTRAINTS), "uv")
    python = str(Path(session.virtualenv.location) / "bin" / "python")
    asked = ("uv", "pip", "install", "-q", "--python", python, "--resolution", "lowest-direct")
    own = ("--only-binary", ":all:", "--no-binary", "keras-backend-harness", "-e", f"{ROOT}[dev]")
    session.run_install(*asked, *own)
    session.run("python", "-m", "pytest", "tests/unit", *session.posargs)


@nox.session(venv_backend="none", requires=["harness"], default=False)
def lint(session: nox.Session) -> None:
    """Check style (ruff) and types (mypy, strict)."""
    install_harness(session, "[dev]")
    module(session, "ruff", "check", ".")
    module(session, "ruff", "format", "--check", ".")
    module(session, "mypy")


@nox.session(venv_backend="none", requires=["harness"], default=False)
def overhead(session: nox.Session) -> None:
    """Measure what the harness costs: its epoch against a bare textbook script's, taking turns, and its own seconds."""
    install_harness(session, "[dev]")
    set_up(session)
    failed = []
    for name, arguments in (("orchestrator", []), ("plugin", []), ("overhead", session.posargs)):
        try:
            module(session, f"tests.benchmarks.{name}", *arguments)
        except CommandFailed:
            failed.append(name)  # the other one is measured all the same
    if failed:
        session.error(f"a figure was not reached: {', '.join(failed)}")
