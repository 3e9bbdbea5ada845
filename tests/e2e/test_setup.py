"""Environments from the package index, own interpreters, and a wheel far from the clone."""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.e2e.conftest import ENVIRONMENTS, ROOT, link_environment

ONE = ("--arm", "naive", "--dataset", "digits", "--epochs", "1", "--threads", "1")
UNSET = ("HARNESS_CONFIG", "HARNESS_ENVIRONMENTS", "NOXENVDIR", "NOX_CURRENT_SESSION", "PYTHONPATH")


def run(command, folder, code=0, **variables):
    """What a command says in a folder."""
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=kept | variables,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def contents(folder):
    """The digest of each file in a folder, by its name."""
    files = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_user_s_own_interpreter_trains_and_not_one_file_of_it_is_changed(tmp_path):
    site = link_environment("train-numpy", tmp_path / "my venv", copied="numpy")
    for cache in site.rglob("__pycache__"):
        if not cache.is_symlink():
            shutil.rmtree(cache)  # which a Python that may write would make again
    before = contents(tmp_path / "my venv")
    python = tmp_path / "my venv" / "bin" / "python"
    assert len(before) > 100
    said = run(
        [sys.executable, "-m", "harness", "train", "numpy", *ONE, "--python", f"numpy={python}"],
        tmp_path,
    )
    assert "numpy/naive, seed 0: test accuracy" in said
    assert contents(tmp_path / "my venv") == before


def test_nox_has_setup_make_what_is_missing_and_needs_no_network_when_it_is_there(tmp_path):
    link_environment("harness", tmp_path / "envs" / "harness")
    shutil.copy(ENVIRONMENTS / "harness" / "installed.txt", tmp_path / "envs" / "harness")
    nox = [sys.executable, "-m", "nox", "--envdir", tmp_path / "envs", "--install-only"]
    run([*nox, "-s", "train-numpy"], ROOT)
    made = tmp_path / "envs" / "train-numpy"
    stamp = (made / "harness-environment.json").stat()
    again = run([*nox, "-s", "train-numpy"], ROOT, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert f"numpy: complete: {made}" in again
    assert (made / "harness-environment.json").stat().st_mtime_ns == stamp.st_mtime_ns


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The bin folder of a virtual environment with the wheel, in a folder with spaces."""
    folder = tmp_path_factory.mktemp("far from the clone")
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT], folder)
    (wheel,) = folder.glob("*.whl")
    assert wheel.stat().st_size <= 1_000_000
    venv.create(folder / "a venv", with_pip=True)
    run([folder / "a venv" / "bin" / "python", "-m", "pip", "install", "-q", wheel], folder)
    return folder / "a venv" / "bin"


@pytest.mark.long
def test_from_an_empty_folder_a_wheel_sets_up_a_backend_and_trains_from_anywhere(
    installed, tmp_path
):
    empty = tmp_path / "an empty folder"
    empty.mkdir()
    harness = installed / "harness"
    assert run([installed / "keras-harness", "--version"], empty).startswith("harness 0.")
    run([harness, "init"], empty)
    assert sorted(file.name for file in empty.iterdir()) == [
        ".gitignore",
        "backends.toml",
        "my_model.py",
    ]
    made = run([harness, "setup", "jax"], empty)
    assert "jax: made in" in made
    shown = run([harness, "doctor"], empty, 1)
    assert ".harness/envs/jax-" in shown
    assert "Run: harness setup torch" in shown
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    train = [harness, "train", "jax", "--config", empty / "backends.toml"]
    said = run([*train, "--results", elsewhere / "results"], elsewhere)
    assert "[2/2] jax/compiled, seed 0: " in said
    assert not (empty / "results").exists()
    stack = [harness, "train", "jax/keras", "--spec", "mnist-mlp", *ONE[2:]]
    assert (
        run(stack, elsewhere, 1).count("failed: environment missing. Run: harness setup jax") == 1
    )


@pytest.mark.long
def test_without_a_backends_toml_the_wheel_s_own_holds_and_setup_comes_with_the_verb(
    installed, tmp_path
):
    said = run([installed / "harness", "train", "numpy/naive", *ONE[2:], "--setup"], tmp_path)
    assert "numpy: made in" in said
    assert "numpy/naive, seed 0: test accuracy" in said
    assert {file.name for file in tmp_path.iterdir()} == {".harness", "results"}


@pytest.mark.long
def test_my_model_of_init_is_one_model_on_two_backends(installed, tmp_path):
    run([installed / "harness", "init"], tmp_path)
    tables = Path(tmp_path / "backends.toml")
    (tmp_path / ".nox").mkdir()
    for environment in ("train-jax", "train-torch", "train-tf"):
        (tmp_path / ".nox" / environment).symlink_to(ENVIRONMENTS / environment)
    assert "[backends.jax]" in tables.read_text()
    targets = ("--model", "my_model.py:build", "--batch", "my_model.py:data")
    assert "agree" in run([installed / "harness", "parity", "jax", "torch", *targets], tmp_path)
