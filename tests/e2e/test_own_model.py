"""A user's own model in a file of theirs, trained and timed by real workers."""

import csv
import json
import re
import subprocess
import time

import pytest

from harness.engine import launch
from harness.spec import config
from tests.e2e.conftest import ENVIRONMENTS, ROOT

BACKENDS = ("tensorflow", "jax", "torch")
CONFIG = config.load(ROOT / "backends.toml")
SAVED = """
import keras


def build():
    parts = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    model = keras.Sequential(parts)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model
"""


def columns(project):
    """The rows of results.csv."""
    return list(csv.DictReader((project.results / "results.csv").read_text().splitlines()))


def test_a_file_is_trained_and_its_record_says_what_it_came_to(folder):
    done = folder.run("train", "digits_cnn.py", "jax", "--arm", "keras", "--epochs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = folder.records()
    request, measured = record["request"], record["measured"]
    assert request["spec"]["model"] == "digits_cnn.py:build"
    assert request["spec"]["batch_size"] == 32, "the data say so"
    assert request["module"] == "train_step"
    assert request["options"] == {"arm": "keras"}
    assert measured["n_updates"] == 2 * 25
    assert measured["weights_sha256"] == request["weights_sha256"]
    assert measured["quality"]["of"] == "validation data"
    assert set(measured["quality"]["values"]) == {"loss", "accuracy"}
    (row,) = columns(folder)
    assert row["quality"].startswith(("accuracy=", "loss="))
    assert row["test_accuracy"] == ""
    assert "jax/keras" in done.stdout


@pytest.mark.long
def test_arguments_of_the_function_are_in_the_record_and_held_to_its_signature(folder):
    named = ("jax", "--arm", "keras", "--epochs", "1")
    done = folder.run("train", "digits_cnn.py:build(width=2)", *named)
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = folder.records()
    assert record["request"]["spec"]["arguments"] == {"width": 2}
    assert record["measured"]["n_parameters"] == 2 * (3 * 3 + 1) + 10 * (2 * 6 * 6 + 1)
    wrong = folder.run("train", "digits_cnn.py:build(widht=2)", *named)
    assert wrong.returncode == 2
    assert "build: unknown argument: expected one of width, precision; received" in wrong.stderr


@pytest.mark.long
def test_every_backend_trains_by_every_arm_from_the_same_bytes_and_comes_to_the_same(folder):
    arms = [f"--arm={name}" for name in ("keras", "lean", "compiled")]
    done = folder.run("train", "digits_cnn.py", *arms, "--epochs", "3", "--seed", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    records = folder.records()
    arms = {(each["request"]["backend"], each["request"]["implementation"]) for each in records}
    assert len(arms) == len(records) == 9
    for digest in ("data_sha256", "weights_sha256", "order_sha256"):
        assert len({each["measured"][digest] for each in records}) == 1, digest
    losses = [each["measured"]["quality"]["values"]["loss"] for each in records]
    assert max(losses) - min(losses) < 1e-3
    assert "equal inputs" in done.stdout
    proofs = list((folder.results / "proofs").iterdir())
    assert len(proofs) == 6
    again = folder.run("train", "digits_cnn.py", "jax", "--arm", "lean", "--epochs", "2")
    assert again.returncode == 0
    assert list((folder.results / "proofs").iterdir()) == proofs, "a proof is not made twice"


@pytest.mark.long
def test_named_inputs_weights_of_samples_and_several_outputs_train_alike_everywhere(folder):
    whole = folder.root / "backends.toml"
    spec = '[specs.mine]\nmodel = "weighted_inputs.py"\nlimit_batches = 4\nepochs = 2\n\n'
    whole.write_text(whole.read_text().replace("[specs.", f"{spec}[specs.", 1))
    done = folder.run("train", "--spec", "mine")
    assert done.returncode == 0, done.stdout + done.stderr
    records = folder.records()
    assert {each["request"]["implementation"] for each in records} == {"keras", "compiled"}
    for record in records:
        measured = record["measured"]
        assert measured["n_updates"] == 2 * 4
        assert measured["quality"]["of"] == "training data"
    assert len({each["measured"]["weights_sha256"] for each in records}) == 1
    assert "data() gives no validation_data" in done.stdout


@pytest.mark.long
def test_an_arm_that_departs_from_fit_has_a_row_without_a_time(folder):
    arms = ("--arm", "keras", "--arm", "lean", "--epochs", "2")
    done = folder.run("train", "departing_steps.py", "jax", *arms)
    assert done.returncode == 1
    (row,) = (row for row in columns(folder) if row["implementation"] == "lean")
    assert row["reason"].startswith("departs from fit: ")
    assert row["epoch_s"] == ""
    assert re.search(r"jax/lean .* departs from fit", done.stdout)


@pytest.mark.long
def test_a_bench_that_need_not_check_it_says_what_was_not_checked(folder):
    size = ("--generations", "1", "--blocks", "1", "--no-parity")
    done = folder.run("bench", "digits_cnn.py", "jax/keras", "jax/lean", *size)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert "quality" in done.stdout
    assert "harness parity --model digits_cnn.py:build" in done.stdout


BAD = {
    "uncompiled": "uncompiled: expected a compiled model. Call model.compile(",
    "no_model": "no_model: expected a keras.Model; received dict",
    "raising": "raising raised RuntimeError: no such weights (unusable_models.py:",
    "misfit": "misfit: its first batch raised ValueError: ",
    "fixed": "fixed: expected a model with weights to train; it has none",
}


@pytest.mark.long
@pytest.mark.parametrize(("function", "sentence"), BAD.items(), ids=BAD.keys())
def test_a_model_that_cannot_be_trained_is_one_sentence_and_no_record(folder, function, sentence):
    done = folder.run("train", f"unusable_models.py:{function}", "jax", "--arm", "keras")
    assert done.returncode == 2, done.stdout
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert folder.records() == []


@pytest.mark.long
def test_data_of_unequal_lengths_are_one_sentence_and_no_record(folder):
    data = ("--data", "unusable_models.py:unequal")
    done = folder.run("train", "unusable_models.py", "jax", *data)
    assert done.returncode == 2
    assert "8" in done.stderr
    assert "7" in done.stderr
    assert "Traceback" not in done.stderr
    assert folder.records() == []


def test_choose_reads_the_budget_before_it_makes_anything(folder):
    done = folder.run("choose", "digits_cnn.py", "jax", "torch", "--budget", "soon")
    assert done.returncode == 2
    assert "--budget: expected seconds, minutes or hours" in done.stderr
    assert not (folder.results / "models").exists()
    assert not (folder.results / "bench").exists()


@pytest.mark.long
def test_bench_checks_the_backends_that_it_times_and_choose_does_not_check_them_again(folder):
    small = ("jax", "torch", "--generations", "1", "--blocks", "1")
    done = folder.run("bench", "digits_cnn.py", *small, "--json", "bench.json")
    assert done.returncode == 3, done.stdout + done.stderr
    (check,) = (folder.results / "models").iterdir()
    arms = json.loads((folder.root / "bench.json").read_text())["standing"]["arms"]
    assert {arm["name"].split("/")[0]: arm["parity"] for arm in arms} == {
        "jax": "agrees",
        "torch": "agrees",
    }
    chosen = folder.run("choose", "digits_cnn.py", "jax", "torch", "--budget", "1s")
    assert "Go on with it: harness choose digits_cnn.py --resume" in chosen.stdout
    assert "It is one model on jax and torch." in chosen.stdout
    assert [*(folder.results / "models").iterdir()] == [check]
    upgraded = check.read_text().replace('"keras":"3.15.1"', '"keras":"3.14.0"')
    assert upgraded != check.read_text()
    check.write_text(upgraded)
    anew = folder.run("choose", "digits_cnn.py", *small)
    assert "parity: known from" not in anew.stdout
    assert "It is one model on jax and torch." in anew.stdout
    assert len([*(folder.results / "models").iterdir()]) == 2


@pytest.mark.long
def test_a_saved_model_is_one_model_on_two_backends_and_trains_on_other_data(folder):
    save = 'import my_saved; my_saved.build().save("saved.keras")'
    (folder.root / "my_saved.py").write_text(SAVED)
    python = ENVIRONMENTS / "train-torch" / "bin" / "python"
    variables = launch.worker_variables(CONFIG.backends["torch"], "cpu", "auto")
    subprocess.run([python, "-c", save], cwd=folder.root, env=variables, check=True, timeout=120)
    (folder.root / "my_saved.py").unlink()
    drawn = folder.run("parity", "saved.keras", "jax", "torch", "--quick")
    assert drawn.returncode == 0, drawn.stdout + drawn.stderr
    assert "saved.keras: AGREES on jax, torch" in drawn.stdout
    data = ("--data", "digits_cnn.py:data")
    given = folder.run("parity", "saved.keras", "jax", "torch", "--quick", *data)
    assert given.returncode == 0, given.stdout + given.stderr
    trained = folder.run("train", "saved.keras", "jax", "--arm", "keras", "--epochs", "1", *data)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    (record,) = folder.records()
    assert record["request"]["spec"]["model"] == "saved.keras"
    assert record["measured"]["n_updates"] == 25
    without = folder.run("train", "saved.keras", "jax")
    assert without.returncode == 2
    assert "data: expected one for a saved model; received none" in without.stderr


@pytest.mark.long
def test_choose_answers_within_a_quarter_of_an_hour_where_nothing_is_said(folder):
    began = time.monotonic()
    with folder.start("choose", "digits_cnn.py") as process:
        said, _ = process.communicate(timeout=1200)
    assert time.monotonic() - began <= 15 * 60
    assert process.returncode in (0, 3), said
    assert "It is one model on tensorflow, jax and torch." in said


@pytest.mark.parametrize(
    ("cache", "trained_by"), {"cache": "compiled", "a cache": "lean"}.items(), ids=str
)
def test_where_pytorch_lies_in_a_folder_with_spaces_its_graphs_are_compiled_all_the_same(
    folder, tmp_path, cache, trained_by
):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "train-torch").symlink_to(ENVIRONMENTS / "train-torch")
    places = {
        "HARNESS_ENVIRONMENTS": str(tmp_path / "a folder"),
        "HARNESS_CACHE_DIR": str(tmp_path / cache),
    }
    named = ("faulty_steps.py", "torch", "--arm", "compiled", "--epochs", "1")
    done = folder.run("train", *named, **places)
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = folder.records()
    settings = record["measured"]["settings"]
    assert settings["trained_by"] == trained_by
    assert ("Set HARNESS_CACHE_DIR to a writable folder" in (settings["refused"] or "")) == (
        cache != "cache"
    )
