"""An arm of a user's own, beside backends.toml: trained, held to the referee, and told apart."""

import pytest

from harness.records import store

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
    (project.root / "arms" / "numpy.py").write_text("raise ImportError\n")  # a decoy
    return project


def test_an_arm_of_one_s_own_is_trained_and_checked_and_an_edit_of_what_it_imports_is_seen(own):
    train = ("train", "numpy/mine", "numpy/naive", "--epochs", "1", *SMALL)
    check = ("parity", "numpy/mine", "--point", "init", *SMALL)
    done = own.run(*train)
    assert done.returncode == 0, done.stdout + done.stderr
    mine, naive = own.records()
    assert mine["request"]["module"] == "arms/mine.py"
    assert mine["measured"]["final_weights_sha256"] == naive["measured"]["final_weights_sha256"]
    assert mine["environment_sha256"] != naive["environment_sha256"]

    checked = own.run(*check)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert {arm.environment_sha256 for arm in arms_checked(own)} == {mine["environment_sha256"]}

    (own.root / "arms" / "share.py").write_text("OF_PIXELS = 0.999\n")
    departed = own.run(*check)
    assert departed.returncode == 1
    assert "numpy/mine: departs at production init" in departed.stdout
    assert len({arm.environment_sha256 for arm in arms_checked(own)}) == 2


def arms_checked(project):
    return [arm for each in store.load_all(project.results).parities for arm in each.arms]


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
