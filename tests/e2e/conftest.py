"""Real processes: the harness command, real backends in nox's environments, real files. Nothing is
mocked.

A backend whose environment is not there fails its tests: nothing is skipped.
"""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from harness.cli.main import app
from harness.cli.surroundings import report_errors
from harness.spec.data import mnist
from harness.spec.data.arrays import load_dataset

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = Path(os.environ.get("HARNESS_ENVIRONMENTS") or ROOT / ".nox")
BACKENDS = ("tensorflow", "jax", "torch")
VARIANTS = (  # trained in long tests: another arm has their module; tests/backend has their updates
    *("tensorflow/naive-optimizer", "tensorflow/naive-ops", "tensorflow/native-idiomatic"),
    *("jax/keras-tuned", "jax/native-idiomatic"),
)
TWO_EPOCHS = ("--dataset", "digits", "--epochs", "2")


def workers(process: subprocess.Popen) -> list[psutil.Process]:
    """The live workers of a harness process, its children and theirs."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [child for child in children if is_worker(child)]


def is_worker(process: psutil.Process) -> bool:
    """Whether a process is a worker; one that has just ended (a zombie too) is none."""
    try:
        return "harness.worker" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True)
class Project:
    """A folder with a backends.toml, environments and results of its own."""

    root: Path

    @property
    def results(self) -> Path:
        return self.root / "results"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "harness", *arguments]

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the harness command in the project's folder until it ends."""
        environment = os.environ | variables
        return subprocess.run(
            self.command(*arguments),
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the harness command in this process: of what it refuses before it starts another."""
        said, refused = io.StringIO(), io.StringIO()
        with contextlib.chdir(self.root), redirect_stdout(said), redirect_stderr(refused):
            try:
                with report_errors():
                    app(arguments, prog_name="harness")
            except SystemExit as end:
                code = end.code
        return subprocess.CompletedProcess(arguments, code, said.getvalue(), refused.getvalue())

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the harness command; its output is one pipe."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def records(self) -> list[dict]:
        """The records, oldest first."""
        files = (self.results / "runs").glob("*.jsonl")
        found = [json.loads(file.read_text())["content"] for file in files]
        return sorted(found, key=lambda record: record["started_at"])

    def wrap(self, environment: str, script: str, real: Path | str | None = None) -> None:
        """Put a shell script before an environment's Python; $REAL is the Python itself, the
        arguments follow.
        """
        folder = self.root / ".nox" / environment
        if folder.is_symlink():
            folder.unlink()
        (folder / "bin").mkdir(parents=True)
        python = folder / "bin" / "python"
        real = real or ENVIRONMENTS / environment / "bin" / "python"
        python.write_text(f'#!/bin/sh\nREAL="{real}"\n{script}\n')
        python.chmod(0o755)


def link_environment(environment: str, mine: Path, copied: str = "") -> Path:
    """Make an environment of links to all that another one holds, but for one package, a copy that
    may be edited; return site-packages.
    """
    real = ENVIRONMENTS / environment
    (site,) = (real / "lib").glob("python*/site-packages")
    inside = mine / site.relative_to(real)
    inside.mkdir(parents=True)
    (mine / "bin").mkdir()
    (mine / "bin" / "python").symlink_to((real / "bin" / "python").resolve())
    shutil.copy(real / "pyvenv.cfg", mine)
    for entry in site.iterdir():
        if entry.name == copied:
            shutil.copytree(entry, inside / copied)
        else:
            (inside / entry.name).symlink_to(entry.resolve())
    return inside


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    """A cache of the tests' own, shared by all of them: the embedded dataset is made once. No
    colours, and Ctrl-C as a user has it.
    """
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background job has it ignored, and hands that on
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        os.environ.pop(name, None)
    for name in ("HARNESS_ENVIRONMENTS", "NOX_CURRENT_SESSION"):
        os.environ.pop(name, None)  # nox names its own; here each project has one
    os.environ["HARNESS_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def older_keras(tmp_path_factory) -> tuple[str, Path]:
    """The table of docs/versions.md, and its environment, made as nox makes it.

    That is made from the package index once, and kept in the user's cache.
    """
    page = (ROOT / "docs" / "versions.md").read_text()
    (table,) = re.findall(r"^```toml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    root = tmp_path_factory.mktemp("older")
    (root / "backends.toml").write_text((ROOT / "backends.toml").read_text() + table)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    made = cache / "keras-backend-harness-tests"
    how = ("--installer", "pip", "--constraint", str(ROOT / ".ci" / "constraints.txt"))
    done = Project(root).run("setup", "jax-314", *how, HARNESS_ENVIRONMENTS=str(made))
    assert done.returncode == 0, done.stdout + done.stderr
    return table, made / "train-jax-314"


@pytest.fixture(scope="session")
def make_project(tmp_path_factory) -> Callable[[], Project]:
    def make() -> Project:
        root = tmp_path_factory.mktemp("project")
        # Most tests are about a run, whichever: the keras arms' will do. Those of all arms are in
        # tests/backend and test_arms.
        whole = (ROOT / "backends.toml").read_text()
        (root / "backends.toml").write_text(
            re.sub(r"^arms = \[.*?\]", 'arms = ["keras"]', whole, flags=re.MULTILINE)
        )
        (root / ".nox").mkdir()
        for environment in ENVIRONMENTS.glob("train-*"):
            (root / ".nox" / environment.name).symlink_to(environment)
        return Project(root)

    return make


@pytest.fixture(scope="session")
def every_arm(make_project) -> tuple[Project, str]:
    """A project in which every arm but those variants trained two epochs, and what was printed."""
    project = make_project()
    backends = tomllib.loads((project.root / "backends.toml").read_text())["backends"]
    arms = (f"{name}/{arm}" for name, backend in backends.items() for arm in backend["arms"])
    done = project.run("train", *(arm for arm in arms if arm not in VARIANTS), *TWO_EPOCHS)
    assert done.returncode == 0, done.stdout + done.stderr
    return project, done.stdout


@pytest.fixture
def project(make_project) -> Project:
    return make_project()


@pytest.fixture
def folder(project):
    """The project, with the models' files and a few digits in it."""
    for file in (Path(__file__).parent / "models").glob("*.py"):
        shutil.copy(file, project.root)
    parts = load_dataset(mnist.prepare("digits").folder)
    np.savez(project.root / "digits.npz", x=parts["x_train"][:1000], y=parts["y_train"][:1000])
    return project


@pytest.fixture
def copy_of_harness(tmp_path):
    """A copy of the package, in which a defect can be planted: the workers run what lies beside the
    command.
    """
    shutil.copytree(ROOT / "harness", tmp_path / "copy" / "harness")  # what is compiled, too
    return tmp_path / "copy"
