"""The sessions that a user types, by nox itself, with arguments after --."""

import os
import subprocess
import sys

import pytest

from tests.e2e.conftest import ENVIRONMENTS, ROOT, link_environment


def nox(*arguments, envdir=ENVIRONMENTS, **variables):
    command = [
        sys.executable,
        "-m",
        "nox",
        "--no-install",
        *(["--envdir", str(envdir)] if envdir else []),
        *arguments,
    ]
    surroundings = os.environ | variables
    return subprocess.run(
        command,
        cwd=ROOT,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("by_option", [True, pytest.param(False, marks=pytest.mark.long)])
def test_environments_lie_where_nox_is_told_to_make_them(tmp_path, by_option):
    elsewhere = tmp_path / "envs"
    for environment in ("harness", "train-numpy"):
        link_environment(environment, elsewhere / environment)
        python = elsewhere / environment / "bin" / "python"
        python.rename(python.with_name("python3"))
        python.write_text(
            f'#!/bin/sh\necho {environment} >> "{tmp_path}/used.txt"\nexec '
            f'"{python.with_name("python3")}" "$@"\n'
        )
        python.chmod(0o755)
    arguments = (
        "-s",
        "train-numpy",
        "--",
        "--epochs",
        "1",
        "--threads",
        "1",
        "--dataset",
        "digits",
        "--results",
        str(tmp_path / "results"),
    )
    by_variable = {} if by_option else {"NOXENVDIR": str(elsewhere)}
    done = nox(*arguments, envdir=elsewhere if by_option else None, **by_variable)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "results" / "runs").glob("*.jsonl"))) == 1
    assert set((tmp_path / "used.txt").read_text().split()) == {"harness", "train-numpy"}


def test_arguments_after_the_dashes_reach_the_session_and_not_the_environments_it_needs():
    done = nox("-s", "compare", "--", "--results", "results/reference", "--format", "csv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mnist-mlp-adam" in done.stdout
    assert "torch" in done.stdout


def test_the_menu_lists_a_train_session_for_each_backend_with_what_it_does():
    said = nox("-l").stdout
    for backend, session in (
        ("tensorflow", "train-tf"),
        ("jax", "train-jax"),
        ("torch", "train-torch"),
    ):
        assert f"* {session} -> Train the spec under {backend}" in said


def test_the_last_session_prints_the_table_of_the_results_that_it_is_given():
    done = nox("-s", "answer", "--", "--arm", "keras", "--results", "results/reference")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every arm that can be checked has its verdict" in done.stdout, (
        "records of another machine or version are left as they are"
    )
    assert "torch/keras" in done.stdout


def test_a_fault_in_a_train_session_s_arguments_is_the_harness_s_own_sentence(tmp_path):
    done = nox("-s", "train-jax", "--", "--spec", "mnist-mpl", "--results", str(tmp_path))
    assert done.returncode != 0
    assert "Did you mean 'mnist-mlp'?" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_backend_that_has_none_of_the_arms_asked_of_all_is_left_out_and_fails_nothing():
    done = nox("-s", "train-numpy", "--", "--arm", "keras")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "numpy can do none of what is asked: --arm keras" in done.stdout + done.stderr
    assert "harness train" not in done.stdout + done.stderr


def test_an_accelerator_is_not_asked_of_a_backend_that_can_use_none():
    done = nox("-s", "train-numpy", "--", "--device=gpu")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "numpy can do none of what is asked: --device=gpu" in done.stdout + done.stderr


def test_an_arm_that_no_backend_has_is_still_refused_in_every_session(tmp_path):
    done = nox("-s", "train-numpy", "--", "--arm", "naiv", "--results", str(tmp_path))
    assert done.returncode != 0
    assert "Did you mean 'naive'?" in done.stdout + done.stderr


def test_a_train_session_alone_prints_its_rows_then_one_table_and_which_backend_it_says(tmp_path):
    done = nox(
        "-s",
        "train-jax",
        "--",
        "--arm",
        "keras",
        "--epochs",
        "2",
        "--dataset",
        "digits",
        "--results",
        str(tmp_path),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("jax/keras, seed 0: test accuracy") == 1
    rows, _, table = done.stdout.partition("epoch s")
    assert "test accuracy: mean" not in rows
    assert table.count("first epoch s") == 1  # there is one table
    assert "jax/keras trained this Keras model in a median epoch of" in table
    assert "there is no other arm to compare it with" in table
    assert "nox -s bench compares." in table


def test_a_train_session_that_fails_still_ends_with_the_answer(tmp_path):
    done = nox(
        "-s",
        "train-jax",
        "--",
        "--arm",
        "keras",
        "--time-limit",
        "0.01",
        "--results",
        str(tmp_path),
    )
    assert done.returncode != 0
    assert "No epoch time is known yet" in done.stdout


def test_plain_nox_trains_under_each_backend_and_then_answers_once():
    selected = [line.split()[1] for line in nox("-l").stdout.splitlines() if line.startswith("* ")]
    assert selected == ["harness", "train-tf", "train-jax", "train-torch", "train-numpy", "answer"]


def test_environments_alone_are_made_without_an_answer():
    done = subprocess.run(
        [sys.executable, "-m", "nox", "--no-install", "--install-only", "-s", "train-numpy"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "answer" not in done.stdout + done.stderr
