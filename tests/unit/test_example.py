"""The example of a CI workflow types commands that there are."""

import re
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import typer

from harness.cli import main
from harness.spec import config

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / ".ci" / "example-bench-gate.yml"
TEXT = EXAMPLE.read_text()
CONFIG = config.load(ROOT / "backends.toml")


def scripts():
    """The shell scripts of the workflow's steps, `run: |` and what is indented below it."""
    found = re.findall(r"^( *)run: \|\n((?:\1  .*\n|\n)+)", TEXT, flags=re.MULTILINE)
    return [
        "\n".join(line.removeprefix(indent + "  ") for line in script.splitlines())
        for indent, script in found
    ]


def commands():
    """The words of every call of the harness, its verb first."""
    whole = "\n".join(scripts()).replace("\\\n", " ")
    return [
        shlex.split(rest.partition("||")[0]) for rest in re.findall(r"bin/harness\"? (.+)", whole)
    ]


def test_it_measures_and_then_holds_the_two_against_each_other():
    assert [words[0] for words in commands()] == ["bench", "gate"]


@pytest.mark.parametrize("words", commands(), ids=lambda words: words[0])
def test_every_verb_and_every_option_in_it_exists(words):
    verb = typer.main.get_command(main.app).commands[words[0]]  # type: ignore[attr-defined]
    known = {option for parameter in verb.params for option in parameter.opts}
    asked = [word for word in words if word.startswith("--")]
    assert asked
    assert set(asked) <= known


def test_every_arm_and_every_environment_in_it_exists():
    (words, _) = commands()
    arms = {after for word, after in pairwise(words) if word in ("--arms", "--baseline")}
    assert arms <= {
        f"{name}/{arm}" for name, backend in CONFIG.backends.items() for arm in backend.arms
    }
    sessions = set(re.findall(r"-s (\S+)", TEXT))
    assert sessions == {CONFIG.backends[arm.split("/")[0]].environment for arm in arms}


def test_each_exit_code_of_the_gate_has_a_line_of_its_own():
    (cases,) = [script for script in scripts() if "case $code" in script]
    assert re.findall(r"^ +(\S+)\)", cases, flags=re.MULTILINE) == ["0", "1", "3", "4", "*"]
    assert re.search(r"3\) echo \"::warning::.*\" ;;", cases), "inconclusive is a warning"
    assert re.search(r"4\) echo .*; exit 4 ;;", cases)


@pytest.mark.parametrize("script", scripts())
def test_each_script_is_one_that_a_shell_can_read(script):
    command = ["bash", "-n"]
    done = subprocess.run(command, input=script, text=True, capture_output=True, check=False)
    assert done.stderr == ""


def test_it_is_yaml_as_far_as_that_can_be_said_without_a_parser():
    assert "\t" not in TEXT
    for line in TEXT.splitlines():
        assert (len(line) - len(line.lstrip())) % 2 == 0, line


def test_the_readme_says_where_it_is():
    assert ".ci/example-bench-gate.yml" in (ROOT / "README.md").read_text()
