"""What is added to a copy of the package as new files alone: an engine, an experiment and its verb.

And what is left when an experiment is taken out. An arm: test_own_arms.py; a format of documents:
test_renderers.py; a backend, and a framework: tests/e2e/test_added.py.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).resolve().parents[2] / "harness"
ENGINE = """
from contextlib import contextmanager

from harness.engine.executor import Done
from harness.job.machine import describe_host
from harness.job.answers import Refusal


class Mirror:
    def submit(self, jobs, hear=lambda job, event: None):
        for job in jobs:
            answer = Refusal(reason=f"{job.backend} in a mirror")
            yield Done(job=job, answer=answer, host=describe_host())


def make_engine(root, backends):
    return Mirror()
"""
ASK = """
from pathlib import Path
from harness.engine.executor import engines, make_executor, perform
from harness.job.asked import Look
done = perform(make_executor(Path(), {}, "mirror"), Look(backend="jax"))
print(engines(), done.answer.reason)
"""
EXPERIMENT = """
from harness.report.document import Document, Heading


def compose(n):
    return Document((Heading(f"counted to {n}"),))
"""
OPTIONS = """
from dataclasses import dataclass
from typing import Annotated

from typer import Option

from harness.cli.options import ConfigOptions


@dataclass(frozen=True, kw_only=True)
class CountOptions(ConfigOptions):
    n: Annotated[int, Option(help="How far.")] = 3
"""
VERB = """
from harness.cli.command import command
from harness.cli.count_options import CountOptions
from harness.cli.output import show


@command(CountOptions)
def count(options: CountOptions) -> None:
    \"\"\"Count.\"\"\"
    from harness.experiments.count.document import compose

    show(compose(options.n))
"""


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(HARNESS, tmp_path / "harness")  # what is compiled, too
    return tmp_path


def run(copy, *arguments):
    """Return what Python prints that imports the copy."""
    call = (sys.executable, "-P", *arguments)
    environment = {"PYTHONPATH": str(copy), "COLUMNS": "150", "HOME": str(copy)}
    done = subprocess.run(
        call, cwd=copy, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_engine_is_one_new_file(copy):
    (copy / "harness/engine/mirror.py").write_text(ENGINE)
    (copy / "ask.py").write_text(ASK)
    assert run(copy, "ask.py") == "('local', 'mirror') jax in a mirror\n"


def test_an_experiment_is_a_folder_and_its_verb_a_file(copy):
    (copy / "harness/experiments/count").mkdir()
    (copy / "harness/experiments/count/document.py").write_text(EXPERIMENT)
    (copy / "harness/cli/count_options.py").write_text(OPTIONS)
    (copy / "harness/cli/count.py").write_text(VERB)
    assert run(copy, "-m", "harness", "count", "--n", "5") == "counted to 5\n"
    assert "count " in run(copy, "-m", "harness", "--help")


def test_without_an_experiment_and_its_verb_the_others_are_there(copy):
    shutil.rmtree(copy / "harness/experiments/survey")
    for file in (copy / "harness/cli").glob("survey*.py"):
        file.unlink()
    listed = run(copy, "-m", "harness", "--help")
    assert "survey" not in listed
    assert "bench" in listed
    assert "--format" in run(copy, "-m", "harness", "compare", "--help")
