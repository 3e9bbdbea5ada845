"""`harness gate` with real processes: an arm made slower is measured again, and fails the gate; so
does a model of the user's own that is slower, or comes to another loss.
"""

import json
import os

import pytest

# Turns must be long beside what a kernel does by itself, a tenth of a second here and there, or no
# block is valid: hence 192 units.
SLOWED = '''"""The network from scratch, each epoch longer by a share of itself."""
import time
from harness.worker.arms.naive import numpy as plain
from harness.worker.arms.naive.numpy import build, place, predict, export
from harness.worker.arms.naive.numpy import slots, resume, wait, facts


def epoch(state, data):
    began = time.perf_counter()
    trained = plain.epoch(state, data)
    until = time.perf_counter() + SHARE * (time.perf_counter() - began)
    while time.perf_counter() < until:
        pass
    return trained
'''
SHARE = 2.0  # beyond noise that no counter sees; load that one sees may cost 2 generations of 8
ARMS = ("numpy/naive,numpy/other", "--baseline", "numpy/naive")
MEASURE = (
    "bench",
    *ARMS,
    "--no-parity",
    "--generations",
    "8",
    "--blocks",
    "1",
    "--dataset",
    "digits",
)


@pytest.fixture
def measured(project):
    """A project whose base was measured; and a function that makes its other arm, one of its own,
    slower by a share.
    """
    whole = (project.root / "backends.toml").read_text()
    whole = whole.replace(
        '{ name = "hidden", units = 512, activation = "relu" }',
        '{ name = "hidden", units = 192, activation = "relu" }',
    )
    whole = whole.replace(
        "[backends.numpy.arms]\n", '[backends.numpy.arms]\nother = { module = "slowed.py" }\n'
    )
    (project.root / "backends.toml").write_text(whole)

    def run(*arguments, share):
        (project.root / "slowed.py").write_text(SLOWED.replace("SHARE", repr(share)))
        return project.run(*arguments)

    assert run(*MEASURE, "--results", "base", share=0.0).returncode in (0, 3)
    return run


def test_an_arm_made_slower_is_measured_again_and_fails_the_gate(measured, project, tmp_path):
    assert measured(*MEASURE, share=SHARE).returncode in (0, 3)
    summary = tmp_path / "summary"
    os.environ["GITHUB_STEP_SUMMARY"] = str(summary)
    try:
        slower = measured("gate", "--against", "base", share=SHARE)
        unconfirmed = ("--no-confirm", "--report=gate.html")
        alone = measured("gate", "--against", "base", *unconfirmed, share=SHARE)
    finally:
        del os.environ["GITHUB_STEP_SUMMARY"]
    assert slower.returncode == 1, slower.stdout + slower.stderr
    assert "numpy/other: may have regressed; measured again, in fresh blocks" in slower.stdout
    assert len(list((project.results / "confirm" / "bench").glob("*.jsonl"))) == 1, (
        "a session of its own"
    )
    assert len(list((project.results / "bench").glob("*.jsonl"))) == 1, (
        "and none that the next gate would take for a head"
    )
    assert alone.returncode == 3, "unconfirmed, nothing is called a regression"
    assert "numpy/other" in summary.read_text()
    page = (project.root / "gate.html").read_text()
    assert "Has it become slower?" in page
    assert "suspect" in page


OWN = '''"""A model that a file beside it makes slower on PyTorch, or another one there."""
import time
from pathlib import Path

import keras
import numpy as np

SECONDS, RATE = map(float, Path(__file__).with_name("planted.txt").read_text().split())
TORCH = keras.backend.backend() == "torch"


class Slow(keras.layers.Layer):
    def call(self, x):
        until = time.perf_counter() + SECONDS * TORCH
        while time.perf_counter() < until:
            pass
        return x


def build():
    dense = [keras.layers.Dense(256, "relu"), keras.layers.Dense(4)]
    model = keras.Sequential([keras.Input((64,)), Slow(), *dense])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(RATE if TORCH else 0.01), loss)
    return model


def data():
    x = np.random.default_rng(0).standard_normal((N_SAMPLES, 64)).astype("float32")
    y = np.argmax(x[:, :4], axis=1).astype("int32")
    validation = x[:512], y[:512]
    return {"x": x, "y": y, "batch_size": 64, "validation_data": validation}
'''


@pytest.fixture
def own(project):
    """Return a function that measures, or holds to what was measured, a model of the user's own.

    It takes so many seconds longer for an update on PyTorch, at a rate of its own there.
    """
    whole = (project.root / "backends.toml").read_text()
    spec = '[specs.mine]\nmodel = "my_model.py"\nmargin = { loss = 0.05 }\n\n'
    (project.root / "backends.toml").write_text(whole.replace("[specs.", f"{spec}[specs.", 1))

    def run(*arguments, n_samples, n_generations=6, seconds=0.0, rate=0.01):
        (project.root / "my_model.py").write_text(OWN.replace("N_SAMPLES", repr(n_samples)))
        (project.root / "planted.txt").write_text(f"{seconds} {rate}\n")
        if arguments[0] == "bench":
            arms = ("jax/keras,torch/keras", "--baseline", "jax/keras", "--spec", "mine")
            size = ("--generations", str(n_generations), "--blocks", "1", "--no-parity")
            arguments = ("bench", *arms, *size, *arguments[1:])
        return project.run(*arguments)

    return run


@pytest.mark.long
def test_a_model_of_one_s_own_that_comes_to_another_loss_fails_the_gate(own, project):
    small = {"n_samples": 8192, "n_generations": 3}
    assert own("bench", "--results", "base", **small).returncode in (0, 3)
    assert own("bench", **small, rate=0.2).returncode in (0, 3)
    done = own("gate", "--against", "base", "--json", "gate.json", **small, rate=0.2)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "torch/keras: its loss is different: " in done.stdout
    _, torch = json.loads((project.root / "gate.json").read_text())["numbers"]
    found = {whose: each["loss"]["verdict"] for whose, each in torch["qualities"].items()}
    assert found == {"in the earlier session": "different", "the baseline's": "different"}


@pytest.mark.long
def test_a_model_of_one_s_own_made_slower_fails_the_gate_with_the_loss_that_it_had(own, project):
    size = {"n_samples": 65536, "n_generations": 8}  # 6 must count
    assert own("bench", "--results", "base", **size).returncode in (0, 3)
    slower = {**size, "seconds": 0.002}
    assert own("bench", **slower).returncode in (0, 3)
    done = own("gate", "--against", "base", "--json", "gate.json", **slower)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "torch/keras: may have regressed; measured again, in fresh blocks" in done.stdout
    assert "REGRESSED, confirmed in fresh blocks: torch/keras takes " in done.stdout
    _, torch = json.loads((project.root / "gate.json").read_text())["numbers"]
    found = {whose: each["loss"]["verdict"] for whose, each in torch["qualities"].items()}
    assert found == {"in the earlier session": "equivalent", "the baseline's": "equivalent"}
