"""An arm of a user's own, beside backends.toml: trained, held to the referee, and told apart."""

import re

import pytest

ARM = """import share
from harness.worker.arms.naive import numpy as plain
from harness.worker.arms.naive.numpy import build, export, facts, place, predict
from harness.worker.arms.naive.numpy import resume, slots, wait


def epoch(state, data):
    x, y = data
    return plain.epoch(state, (x * share.OF_PIXELS, y))
"""
SMALL = ("--dataset", "digits")


@pytest.fixture
def own(project):
    file = project.root / "backends.toml"
    table = "[backends.numpy.arms]\n"
    mine = 'mine = { module = "arms/mine.py" }\n'
    file.write_text(file.read_text().replace(table, table + mine))
    (project.root / "arms").mkdir()
    (project.root / "arms" / "mine.py").write_text(ARM)
    (project.root / "arms" / "share.py").write_text("OF_PIXELS = 1.0\n")
    (project.root / "numpy.py").write_text("raise ImportError('of the folder, not installed')\n")
    return project


def parity_of(project):
    """The parity of each run of the arm in the tables, the newest run's first."""
    shown = project.run("compare", "mine", "--format", "csv").stdout.splitlines()
    head = shown[0].split(",")
    return [line.split(",")[head.index("parity")] for line in shown[1:]]


def test_an_arm_of_one_s_own_is_trained_and_checked_and_an_edit_of_what_it_imports_is_seen(own):
    train = ("train", "numpy/mine", "numpy/naive", "--epochs", "1", *SMALL)
    done = own.run(*train)
    assert done.returncode == 0, done.stdout + done.stderr
    mine, naive = own.records()
    assert mine["request"]["module"] == "arms/mine.py"
    assert mine["measured"]["final_weights_sha256"] == naive["measured"]["final_weights_sha256"]
    assert mine["environment_sha256"] != naive["environment_sha256"]

    checked = own.run("parity", "numpy/mine", "--quick", *SMALL)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert parity_of(own) == ["agrees (quick)"]

    (own.root / "arms" / "share.py").write_text("OF_PIXELS = 0.999\n")
    assert own.run(*train).returncode == 0
    assert sorted(parity_of(own)) == ["agrees (quick)", "not checked"]
    departed = own.run("parity", "numpy/mine", "--quick", *SMALL)
    assert departed.returncode == 1
    assert re.search(
        r"numpy/mine: departs at production init, gradient/hidden/kernel", departed.stdout
    )


def test_an_arm_that_raises_at_import_is_a_failed_run_with_a_sentence(own):
    (own.root / "arms" / "share.py").write_text("import no_such_package\n")
    done = own.run("train", "numpy/mine", "numpy/naive", "--epochs", "1", *SMALL)
    assert done.returncode == 1
    failed, naive = own.records()
    assert (failed["status"], naive["status"]) == ("failed", "ok")
    assert failed["reason"] == (
        "arms/mine.py raised ModuleNotFoundError: No module named 'no_such_package' (mine.py:1). "
        "Add it to this backend's requirements in backends.toml"
    )
