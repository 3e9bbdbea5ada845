"""One model on several devices of a CPU: real processes, held to the referee of one device."""

import json
import re
import time
from pathlib import Path

import psutil
import pytest

from harness.experiments.bench.remarks import VIRTUAL
from harness.records import sessions, store
from tests.e2e.conftest import workers
from tests.e2e.test_bench import until
from tests.e2e.test_sweeps import add_sweep

TWO = ("--replicas", "2", "--dataset", "digits")
POINTS = ("--point", "init", "--point", "adversarial")
ARMS = ("jax/keras", "jax/compiled", "tensorflow/keras", "tensorflow/compiled", "torch/lean")
TORCH = "worker/ranks/torch.py"
DERIVE = "(loss * count() / len(labels)).backward()"
SPLIT = "images.split(self.batch_size), labels.split(self.batch_size)"
RANK_0 = "dist.get_rank() or"
PARTS = "    own_images, own_labels = (_part(each)"
FAULTS = {  # arm, file, what is replaced by what, what must be said
    "sum for mean": (
        *("torch/lean", TORCH),
        {DERIVE: DERIVE.replace("count()", "count() ** 2")},
        "the sum over 2 replicas where their mean is due",
    ),
    "no all-reduce": (
        *("torch/lean", TORCH, {"self.parallel(own_images": "self.model(own_images"}),
        "nothing is added up over the replicas",
    ),
    "the same part twice": (
        *("torch/lean", TORCH, {"tensor_split(count())[dist.get_rank()]": "tensor_split(2)[0]"}),
        "every replica was given the same part of the batch",
    ),
    "a replica's batch for the global one": (
        *("torch/lean", TORCH, {SPLIT: SPLIT.replace("batch_size", "batch_size * 2")}),
        "each replica took a whole batch: the global batch has grown to 256",
    ),
    "mean of unequal means": (
        *("torch/lean", TORCH),
        {
            DERIVE: "(loss / len(own_labels)).backward()",
            "batch.tensor_split(count())": "batch.split(64)",
        },
        "a mean of the means of unequal parts, 64 + 32 samples",
    ),
    "short batch dropped": (
        *("torch/lean", TORCH),
        {"zip(*batches, strict=True)": "[two for two in zip(*batches) if len(two[1]) == 128]"},
        "the short batch was dropped",
    ),
    "a batch filled up": (
        *("torch/lean", TORCH),
        {
            PARTS: "    more = [*range(len(labels)), *[len(labels) - 1] * (128 - len(labels))]\n"
            f"        images, labels = images[more], labels[more]\n    {PARTS}"
        },
        "the batch of 96 was filled up to 128 with its last sample",
    ),
    "stale optimizer on one replica": (
        *("torch/lean", TORCH),
        {"    self.model.optimizer.apply(": f"    {RANK_0} self.model.optimizer.apply("},
        "the optimizer of one replica is stale",
    ),
    "unequal start": (
        *("torch/lean", TORCH, {"dist.broadcast(variable.value.detach(), 0)": "pass"}),
        "the replicas begin at other weights or slots",
    ),
    "the same part twice, on TensorFlow": (
        *("tensorflow/compiled", "worker/replicas/tensorflow.py"),
        {"start + context.replica_id_in_sync_group * part": "start"},
        "every replica was given the same part of the batch",
    ),
    "sum for mean, on JAX": (
        *("jax/compiled", "worker/arms/compiled/jax.py"),
        {"apply(optimizer, gradients": "apply(optimizer, [2 * each for each in gradients]"},
        "the sum over 2 replicas where their mean is due",
    ),
}
SILENT = {
    "jax/keras": ("worker/replicas/jax.py", "keras.distribution.set_distribution(", "print("),
    "tensorflow/keras": ("worker/replicas/tensorflow.py", "    scope.__enter__()\n", ""),
}


def plant(copy: Path, file: str, changes: dict[str, str]) -> str:
    """Change a file in a copy of the package; return what a command is given to run that."""
    planted = copy / "harness" / file
    text = planted.read_text()
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    planted.write_text(text)
    return str(copy)


def test_a_run_on_two_devices_says_which_held_the_weights_and_no_arm_is_called_first(project):
    done = project.run("train", "jax/keras", "--epochs", "1", *TWO)
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = project.records()
    settings = record["measured"]["settings"]
    assert (record["request"]["replicas"], settings["replicas"]) == (2, 2)
    assert settings["replica_devices"] == "cpu:0, cpu:1"
    assert settings["virtual_devices"] is True
    assert "These devices are virtual" in done.stdout
    assert record["measured"]["n_updates"] == 469


@pytest.fixture
def small(project):
    file = project.root / "backends.toml"
    file.write_text(file.read_text().replace("units = 512", "units = 16"))
    return project


@pytest.mark.long
def test_every_arm_that_trains_on_two_devices_agrees_with_one(project):
    done = project.run("parity", *ARMS, *TWO, "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = store.load_all(project.results).parities
    assert [arm.name for arm in found.arms] == list(ARMS)
    for arm in found.arms:
        assert (arm.verdict, found.replicas) == ("agrees", 2), arm.reason
        assert arm.margin >= 3, arm.tightest


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_of_several_devices_is_named(small, copy_of_harness, name):
    arm, file, changes, said = FAULTS[name]
    path = plant(copy_of_harness, file, changes)
    done = small.run("parity", arm, *TWO, *POINTS, PYTHONPATH=path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert said in " ".join(done.stdout.split())


@pytest.mark.long
@pytest.mark.parametrize("arm", SILENT)
def test_devices_that_do_nothing_are_a_failed_run(small, copy_of_harness, arm):
    file, old, new = SILENT[arm]
    path = plant(copy_of_harness, file, {old: new})
    done = small.run("train", arm, "--epochs", "1", *TWO, PYTHONPATH=path)
    assert done.returncode == 1, done.stdout + done.stderr
    (record,) = small.records()
    assert "read back from the weights, 1 device holds them" in record["reason"]


@pytest.mark.long
@pytest.mark.parametrize("part_s", [n / 5 for n in range(20)])  # it starts, connects, trains
def test_a_killed_replica_is_a_sentence_within_30_seconds_and_leaves_no_process(small, part_s):
    with small.start("train", "torch/lean", "--epochs", "50", *TWO) as process:
        rank, everyone = first_replica(process), workers(process)
        time.sleep(part_s)
        rank.kill()
        killed = time.monotonic()
        process.wait(60)
        assert time.monotonic() - killed < 30
    (record,) = small.records()
    assert record["status"] == "failed"
    assert re.match(
        "replica 1 of 2(: its process did not start| ended by SIGKILL)", record["reason"]
    )
    _, alive = psutil.wait_procs(everyone, timeout=5)
    assert alive == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("is_met", "limit_s", "said"),
    [
        (False, 120, "replica 1 of 2: its process did not start within 90 s"),
        (True, 50, "replica 1 of 2 lives and has not answered for 20 s"),
    ],
)
def test_a_replica_that_hangs_is_a_sentence_in_time_and_leaves_no_process(
    small, is_met, limit_s, said
):
    with small.start("train", "torch/lean", "--epochs", "100", *TWO) as process:
        rank, everyone = first_replica(process), workers(process)
        until(lambda: not is_met or is_connected(rank))
        time.sleep(2 * is_met)  # then it trains
        rank.suspend()
        hung = time.monotonic()
        process.wait(limit_s)
        assert time.monotonic() - hung > 19, "it did not hang"
    (record,) = small.records()
    assert (record["status"], record["reason"].partition(":")[0]) == (
        "failed",
        said.partition(":")[0],
    )
    assert said in record["reason"]
    _, alive = psutil.wait_procs(everyone, timeout=5)
    assert alive == []


def first_replica(process):
    """The first process of another replica that a harness process has, once there is one."""
    until(lambda: any(map(is_replica, workers(process))))
    return next(filter(is_replica, workers(process)))


def is_connected(process: psutil.Process) -> bool:
    return any(each.status == psutil.CONN_ESTABLISHED for each in process.net_connections("tcp"))


def is_replica(process: psutil.Process) -> bool:
    try:
        return "harness.worker.replicas.torch" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


@pytest.mark.long
def test_a_model_of_ones_own_trains_on_two_devices_as_fit_does_on_one(project):
    (project.root / "mine.py").write_text(MINE)
    done = project.run("train", "mine.py", *OWN_ARMS, "--replicas", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(project.records()) == len(OWN_ARMS)
    for record in project.records():
        settings = record["measured"]["settings"]
        arm = record["request"]["implementation"]
        assert (settings["replicas"], settings["trained_by"]) == (2, arm), record["reason"]
    proofs, _ = store.load(project.results, "proofs")
    assert sorted(each.arm.name for each in proofs) == sorted(OWN_ARMS)
    for each in proofs:
        assert (each.proved.equal, each.proved.undetermined, each.replicas) == (True, (), 2)


@pytest.mark.long
def test_parity_says_what_two_devices_make_of_a_model_of_ones_own(project):
    (project.root / "mine.py").write_text(MINE)
    done = project.run("parity", "mine.py", "--replicas", "2", "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mine.py:build: AGREES on tensorflow, jax, torch" in done.stdout
    assert "trained on 2 devices as on one to " in " ".join(done.stdout.split())


@pytest.mark.long
def test_batch_normalization_by_each_device_alone_is_named(project):
    layer = "keras.layers.BatchNormalization(), keras.layers.Dense(1)"
    (project.root / "mine.py").write_text(MINE.replace("keras.layers.Dense(1)", layer))
    done = project.run("parity", "mine.py", "--replicas", "2", "--quick")
    assert done.returncode == 1, done.stdout + done.stderr
    (found,), _ = store.load(project.results, "models")
    verdicts = {each.backend: each.verdict for each in found.backends}
    assert verdicts == {"tensorflow": "departs", "jax": "agrees", "torch": "departs"}
    assert "in float64, on 2 devices against one" in " ".join(done.stdout.split())


@pytest.mark.long
def test_a_sweep_over_numbers_of_devices_ranks_none_that_is_virtual(project):
    add_sweep(project, TABLE)
    done = project.run("sweep", "small", "--json", "map.json", "--no-parity")
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"no arm can lead in 1 of 2 cells: {VIRTUAL}" in " ".join(done.stdout.split())
    results = project.results / "sweeps" / "small"
    asked = {each.session.cell.values["replicas"]: each for each in loaded(results)}
    assert {n: bench.session.replicas for n, bench in asked.items()} == {1: 1, 2: 2}
    held = {n: start.settings.get("replicas", 1) for n in asked for start in asked[n].starts}
    assert held == {1: 1, 2: 2}
    cells = json.loads((project.root / "map.json").read_text())["cells"]
    (virtual,) = (cell for cell in cells if cell["replicas"] == 2)
    assert [virtual[key] for key in ("winner", "first", "together", "epoch_s")] == [
        "",
        "",
        "",
        None,
    ]


def loaded(results):
    return sessions.load_all(results).sessions


@pytest.mark.long
def test_a_model_that_sets_its_own_distribution_is_refused_before_it_is_trained(project):
    own = MINE.replace(
        "def build():",
        "def build():\n    keras.distribution.set_distribution(keras.distribution.DataParallel())",
    )
    (project.root / "mine.py").write_text(own)
    for backend in ("tensorflow", "torch", "jax"):
        done = project.run("train", "mine.py", f"{backend}/keras")
        assert done.returncode == 2, done.stdout + done.stderr
        assert "mine.py:build: sets keras.distribution itself" in " ".join(done.stderr.split())
    assert project.records() == []


TABLE = """
[sweeps.small]
spec = "mnist-mlp"
arms = ["jax/keras", "jax/compiled"]
dataset = "digits"
samples = 512
generations = 1
blocks = 2
axes = { width = [8], replicas = [1, 2] }
"""
OWN_ARMS = (
    *("jax/keras", "jax/lean", "jax/compiled", "tensorflow/keras", "tensorflow/lean"),
    "torch/lean",
)
MINE = """import keras
import numpy as np


def build():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def data():
    x = np.random.default_rng(0).normal(size=(56, 8)).astype("float32")
    return {"x": x, "y": x[:, :1], "batch_size": 16}
"""
