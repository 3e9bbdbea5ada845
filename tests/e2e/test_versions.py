"""Two versions of Keras on one framework, by backends.toml alone: compared as two frameworks.

The quick tests have the verbs in test_readme, which types the commands of docs/versions.md.
"""

import csv
import json
import shutil
import subprocess
import sys

import pytest

from tests.e2e.conftest import ENVIRONMENTS, ROOT, Project

OLDER = "3.14.1"
NEWER = "3.15.1"
ARMS = {"jax/keras", "jax-314/keras"}
BOTH = ("jax", "jax-314", "--arm", "keras", "--dataset", "digits")


@pytest.fixture(scope="module")
def project(tmp_path_factory, older_keras):
    table, environment = older_keras
    root = tmp_path_factory.mktemp("versions")
    (root / "backends.toml").write_text((ROOT / "backends.toml").read_text() + table)
    (root / ".nox").mkdir()
    (root / ".nox" / "train-jax").symlink_to(ENVIRONMENTS / "train-jax")
    (root / ".nox" / "train-jax-314").symlink_to(environment)
    return Project(root)


@pytest.mark.long
def test_train_puts_both_into_one_table_that_names_their_versions(project):
    done = project.run("train", *BOTH, "--epochs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Keras {NEWER}, jax-314: {OLDER}" in done.stdout
    assert "1.00" in done.stdout
    (table,) = json.loads(project.run("compare", "--format", "json").stdout)["tables"]
    assert {f"{row['backend']}/{row['implementation']}" for row in table["rows"]} == ARMS
    assert table["equal_inputs"] is True
    with (project.results / "results.csv").open() as file:
        rows = {row["backend"]: row["keras"] for row in csv.DictReader(file)}
    assert rows == {"jax": NEWER, "jax-314": OLDER}


@pytest.mark.long
def test_parity_holds_both_to_the_same_referee(project, tmp_path):
    file = tmp_path / "parity.json"
    done = project.run("parity", *BOTH, "--point", "init", "--json", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    arms = {arm["backend"]: arm for arm in json.loads(file.read_text())["arms"]}
    assert {name: arm["verdict"] for name, arm in arms.items()} == dict.fromkeys(
        ("jax", "jax-314"), "agrees"
    )
    assert {name: arm["framework"] for name, arm in arms.items()} == dict.fromkeys(arms, "jax")
    assert {name: arm["versions"]["keras"] for name, arm in arms.items()} == {
        "jax": NEWER,
        "jax-314": OLDER,
    }


@pytest.mark.long
def test_bench_has_both_take_turns(project):
    size = ("--generations", "1", "--blocks", "1", "--dataset", "digits", "--no-parity")
    done = project.run("bench", "jax/keras,jax-314/keras", *size)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert f"Keras {OLDER} and {NEWER}" in done.stdout
    rows = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert rows >= ARMS


def test_nox_has_a_session_for_it_without_an_edit(tmp_path, project):
    shutil.copy(project.root / "backends.toml", tmp_path)
    shutil.copy(ROOT / "noxfile.py", tmp_path)
    (tmp_path / "harness").symlink_to(ROOT / "harness")
    listed = subprocess.run(
        [sys.executable, "-m", "nox", "-l"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "train-jax-314 -> Train the spec under jax-314" in listed


CHANGED = """
import keras

NEWER = keras.__version__ >= "3.15"


def build():
    normal = keras.layers.BatchNormalization(epsilon=2e-3 if NEWER else 1e-3)
    model = keras.Sequential([keras.Input((4,)), normal, keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    return model
"""


@pytest.mark.long
def test_parity_of_a_model_names_the_first_keras_that_changed(project):
    (project.root / "changed.py").write_text(CHANGED)
    done = project.run("parity", "jax", "jax-314", "changed.py", "--quick")
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"changed first in Keras {NEWER}: {OLDER} computes otherwise" in done.stdout
