"""For a stranger's CI: action, hook and pytest plugin, each in a repository made here."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ENVIRONMENTS, ROOT

ACTION = (ROOT / "action.yml").read_text()
DEPARTS = 'keras.layers.Dense(10, activation="relu" if keras.backend.backend() == "jax" else None)'
GIT = {f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def run(command, folder, **variables):
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("NOX", "GIT"))
    }
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=kept | {"PYTHONPATH": ""} | variables,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def said(done):
    return done.stdout + done.stderr


@pytest.fixture
def repository(tmp_path):
    """A repository with what `harness init` writes, for two backends, and a remote to push to."""
    root = tmp_path / "a repository"
    root.mkdir()
    for command in (
        ["git", "init", "-q", "-b", "main"],
        ["git", "init", "-q", "--bare", tmp_path / "remote.git"],
        ["git", "remote", "add", "origin", tmp_path / "remote.git"],
        [sys.executable, "-m", "harness", "init", "--pre-push"],
    ):
        done = run(command, root)
        assert done.returncode == 0, said(done)
    config = (root / "backends.toml").read_text().replace("[backends.tensorflow]\n", "")
    (root / "backends.toml").write_text(config)
    (root / ".nox").mkdir()
    for environment in ("train-jax", "train-torch"):
        (root / ".nox" / environment).symlink_to(ENVIRONMENTS / environment)
    return root


def make_it_depart(root):
    model = root / "my_model.py"
    text = model.read_text()
    assert text.count("keras.layers.Dense(10)") == 1
    model.write_text(text.replace("keras.layers.Dense(10)", DEPARTS))


@pytest.mark.long
def test_the_hook_lets_a_model_through_and_holds_one_back_that_differs(repository):
    for command in (["git", "add", "my_model.py"], ["git", "commit", "-q", "-m", "one"]):
        assert run(command, repository, **GIT).returncode == 0
    done = run(["git", "push", "-q", "origin", "main"], repository)
    assert done.returncode == 0, said(done)
    make_it_depart(repository)
    assert run(["git", "commit", "-q", "-a", "-m", "two"], repository, **GIT).returncode == 0
    held = run(["git", "push", "-q", "origin", "main"], repository)
    assert held.returncode != 0
    assert "failed to push" in said(held)
    there = run(["git", "log", "--oneline", "origin/main"], repository).stdout
    assert len(there.splitlines()) == 1


@pytest.mark.long
def test_the_fixture_passes_a_model_and_fails_one_that_differs(repository):
    (repository / "test_mine.py").write_text(
        "def test_mine(backends_agree):\n"
        '    backends_agree("my_model.py:build", batch="my_model.py:data")\n'
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "harness.pytest_plugin", "test_mine.py"]
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    done = run(command, repository, **alone)
    assert "1 passed" in done.stdout, said(done)
    make_it_depart(repository)
    failed = run(command, repository, **alone)
    assert "1 failed" in failed.stdout, said(failed)
    assert "AssertionError" in failed.stdout


def steps(inputs):
    """The action's steps that run a script: it, and its variables."""
    for step in ACTION.partition("  steps:\n")[2].split("    - name: ")[1:]:
        body, _, variables = step.partition("      env:\n")
        script = body.partition("      run: |\n")[2]
        if not script:
            continue  # it uses an action of others
        pairs = re.findall(r"^ +(\w+): \$\{\{ (?:inputs|github)\.(\w+) \}\}$", variables, re.M)
        yield re.sub(r"^ {8}", "", script, flags=re.M), {name: inputs[key] for name, key in pairs}


@pytest.mark.long
def test_the_action_s_steps_set_up_and_check_a_model(repository, tmp_path):
    declared = re.findall(r"^  (\w+):\n    description", ACTION, flags=re.M)
    inputs = dict.fromkeys(declared, "") | {
        "action_path": str(ROOT),
        "backends": "jax torch",
        "model": "my_model.py:build",
        "junit": "agree.xml",
        "report": "page.html",
    }
    runner = tmp_path / "runner's"
    runner.mkdir()
    (repository / ".nox" / "train-jax").unlink()  # so that one is made by setup
    for script, variables in steps(inputs):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        if " setup " in script:
            variables["BACKENDS"] = "jax"
        done = run(shell, repository, RUNNER_TEMP=str(runner), PATH=path, **variables)
        assert done.returncode == 0, said(done)
    assert "agree" in done.stdout
    assert (repository / "agree.xml").read_text().count("<testcase") == 2
    assert "my_model.py:build: AGREES on jax, torch" in (repository / "page.html").read_text()


def test_the_action_keeps_the_page_as_an_artefact_whatever_comes_of_the_check():
    step = ACTION.partition("- name: its page")[2]
    assert "if: ${{ always() && inputs.report != '' }}" in step
    assert re.search(r"uses: actions/upload-artifact@v\d", step)
    assert "path: ${{ inputs.report }}" in step
