"""The arms of every backend as `harness train` runs them, in one table with its decomposition."""

import csv
import json

import pytest

from harness.spec import config
from tests.e2e.conftest import ROOT, TWO_EPOCHS, VARIANTS

WHOLE = config.load(ROOT / "backends.toml")
ARMS = [
    (name, implementation)
    for name, backend in WHOLE.backends.items()
    for implementation in backend.arms
    if f"{name}/{implementation}" not in VARIANTS
]


@pytest.fixture(scope="module")
def project(every_arm):
    return every_arm[0]


def by_arm(project):
    return {
        (record["request"]["backend"], record["request"]["implementation"]): record
        for record in project.records()
    }


def test_every_arm_ran_from_equal_inputs_and_learned(project):
    records = by_arm(project)
    assert set(records) == set(ARMS)
    check_learned(records)


@pytest.mark.long
def test_every_variant_of_an_arm_ran_from_equal_inputs_and_learned(make_project):
    project = make_project()
    done = project.run("train", *VARIANTS, *TWO_EPOCHS)
    assert done.returncode == 0, done.stdout + done.stderr
    records = by_arm(project)
    assert {"/".join(arm) for arm in records} == set(VARIANTS)
    check_learned(records)


def check_learned(records):
    assert len({record["measured"]["weights_sha256"] for record in records.values()}) == 1
    assert len({record["measured"]["order_sha256"] for record in records.values()}) == 1
    for record in records.values():
        assert record["measured"]["n_updates"] == 2 * 469
        assert record["measured"]["n_parameters"] == 407_050
        assert record["measured"]["test_accuracy"] > 0.85
        assert len(record["measured"]["first_predictions"]) == 10
        assert [epoch["n_compiles"] for epoch in record["measured"]["epochs"][1:]] == [0]


def test_arms_that_compute_the_same_end_close_and_the_idioms_with_other_defaults_apart(project):
    first = {
        arm: record["measured"]["epochs"][0]["loss"] for arm, record in by_arm(project).items()
    }
    equal = [loss for arm, loss in first.items() if arm[1] != "native-idiomatic"]
    assert max(equal) - min(equal) < 0.01 * min(equal)
    assert abs(first["torch", "native-idiomatic"] - first["torch", "native"]) > 0.02 * min(equal)


def test_compare_shows_each_arm_s_epoch_beside_that_of_its_backend_s_native_arm(project):
    (table,) = json.loads(project.run("compare", "--format", "json").stdout)["tables"]
    shown = {(row["backend"], row["implementation"]): row["to_native"] for row in table["rows"]}
    assert set(shown) == set(ARMS)
    for backend in ("tensorflow", "jax", "torch"):
        assert shown[backend, "native"] == 1.0
        assert shown[backend, "keras"] > 0
    assert shown["numpy", "naive"] is None
    assert table["equal_inputs"] is True


def test_the_csv_has_a_row_for_every_arm(project):
    with (project.results / "results.csv").open() as file:
        assert {(row["backend"], row["implementation"]) for row in csv.DictReader(file)} == set(
            ARMS
        )


def test_native_inputs_are_each_framework_s_own_and_said_to_be(make_project):
    project = make_project()
    file = project.root / "backends.toml"
    file.write_text(file.read_text().replace("epochs = 10", "epochs = 1"))
    done = project.run(
        "train", "--arm", "naive", "--spec", "mnist-naive-native", "--dataset", "digits"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len({record["measured"]["weights_sha256"] for record in project.records()}) == 4
    assert len({record["measured"]["order_sha256"] for record in project.records()}) == 1, (
        "no shuffling: the samples as they are"
    )
    assert "each framework drew its own weights" in done.stdout
    assert "equal inputs" not in done.stdout


def test_a_spec_that_an_arm_cannot_express_is_refused_before_anything_runs(make_project):
    project = make_project()
    file = project.root / "backends.toml"
    file.write_text(file.read_text().replace('activation = "relu"', 'activation = "softmax"'))
    done = project.run("train", "torch", "--arm", "native", "--dataset", "digits")
    assert done.returncode == 2
    assert (
        "torch/native can do linear, relu; received 'softmax'. Choose an arm that can: "
        "torch/keras, torch/lean, torch/compiled, torch/naive" in done.stderr
    )
    assert project.records() == []
