"""Several devices: what cannot be is refused in a sentence before anything runs, and virtual
devices are never ranked.
"""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engine.arms import declared_arms, select_arms
from harness.engine.own_model import PreparedModel
from harness.engine.plan import plan
from harness.engine.replicas import batch_sizes, check_arms, check_batches
from harness.errors import ConfigError, Refused
from harness.experiments.bench.judge import summarize
from harness.experiments.parity.model_evidence import BackendAnswer
from harness.experiments.parity.model_plan import plan_model_check, with_replicas
from harness.experiments.parity.model_verdict import Verdicts
from harness.experiments.train.judge import compare
from harness.job.answers import Refusal
from harness.job.own_model import Proved
from harness.records.verdicts import NOT_CHECKED, verdict_on, verdicts_of
from harness.spec import config
from harness.spec.data.mnist import Prepared
from harness.spec.own_arms import ARMS, MODULE
from harness.worker import replicas
from harness.worker.jobs.prove_arm import sizes
from tests.parity.small import check_with
from tests.unit.benches import bench
from tests.unit.records import SETTINGS, record

ROOT = Path(__file__).resolve().parents[2]
WHOLE = config.load(ROOT / "backends.toml")
DATA = Prepared("mnist", "d" * 64, Path("/nowhere"), "")
VIRTUAL = {"replicas": 2, "replica_devices": "cpu:0, cpu:1", "virtual_devices": True}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))


def planned(n_replicas, *names):
    protocol = config.override_protocol(WHOLE.protocol, epochs=1, replicas=n_replicas)
    arms = select_arms(declared_arms(WHOLE), names)
    return plan(WHOLE.model_copy(update={"protocol": protocol}), "mnist-mlp", arms, DATA)


def test_an_arm_that_can_is_asked_for_its_number_of_devices():
    names = ["jax/keras", "tensorflow/keras", "jax/compiled", "tensorflow/compiled", "torch/lean"]
    found = planned(2, *names)
    assert [each.request.arm.name for each in found] == names
    assert {each.where()["replicas"] for each in found} == {2}


@pytest.mark.parametrize(
    ("n_replicas", "name", "said"),
    [
        (2, "torch/keras", "keras.distribution.DataParallel does nothing on PyTorch, and says"),
        (2, "torch/compiled", "--replicas 2: torch/compiled: it trains on one device only"),
        (2, "jax/naive", "--replicas 2: jax/naive: it trains on one device only"),
        (3, "jax/keras", "each batch, of 128 and 96 samples, as 2, 4, 8, 16; received 3"),
        (5, "tensorflow/keras", "each batch, of 128 and 96 samples, as 2, 4, 8, 16; received 5"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(n_replicas, name, said):
    with pytest.raises(ConfigError, match="--replicas") as error:
        planned(n_replicas, name)
    assert said in str(error.value)


def test_a_number_that_is_none_is_refused_as_it_was_typed():
    with pytest.raises(ConfigError, match="--replicas: expected greater than or equal to 1"):
        planned(0, "jax/keras")


@pytest.mark.parametrize(
    ("n_samples", "batch_size", "sizes"),
    [(60_000, 128, (128, 96)), (256, 128, (128,)), (40, 128, (40,)), (130, 128, (128, 2))],
)
def test_the_sizes_of_an_epochs_batches(n_samples, batch_size, sizes):
    assert batch_sizes(n_samples, batch_size) == sizes


def test_where_no_number_of_devices_fits_another_batch_size_is_advised():
    with pytest.raises(ConfigError, match=r"as none does; received 2\. Take another batch size"):
        check_batches(2, (128, 7))


def own_arms():
    backends = {
        name: backend.model_copy(update={"arms": ARMS})
        for name, backend in WHOLE.backends.items()
        if name != "numpy"
    }
    arms = select_arms(declared_arms(WHOLE.model_copy(update={"backends": backends})), [*ARMS])
    assert {arm.module for arm in arms} == {MODULE}
    return {arm.name: arm for arm in arms}


def test_of_a_model_of_ones_own_these_arms_train_on_several_devices():
    able = ("jax/keras", "jax/lean", "jax/compiled", "tensorflow/keras", "tensorflow/lean")
    able += ("torch/lean",)
    arms = own_arms()
    check_arms([arms[name] for name in able], 2, None)
    refused = {
        "tensorflow/compiled": "XLA on TensorFlow adds nothing up over devices",
        "torch/keras": "keras.distribution.DataParallel does nothing on PyTorch",
        "torch/compiled": "an update is one graph on PyTorch, and a sum over processes is no",
    }
    assert {*able, *refused} == {*arms}
    for name, why in refused.items():
        with pytest.raises(ConfigError, match=f"^--replicas 2: {name}: {why}"):
            check_arms([arms[name]], 2, None)


def test_a_pipeline_of_ones_own_is_refused_on_several_devices():
    own = PreparedModel(
        "mine.py:data", "d" * 64, Path("/nowhere"), 64, 64, 4, None, 32, True, feed=object()
    )
    protocol = config.override_protocol(WHOLE.protocol, replicas=2)
    arms = [own_arms()["jax/keras"]]
    with pytest.raises(
        ConfigError, match=r'^\[specs.mnist-mlp\] feed = "own": has a meaning on one'
    ):
        plan(WHOLE.model_copy(update={"protocol": protocol}), "mnist-mlp", arms, own)


@pytest.mark.parametrize(
    ("n_samples", "batch_size", "n_replicas", "expected"),
    [
        (10_000, 128, 1, (16, 311)),
        (10_000, 128, 2, (16, 310)),
        (10_000, 128, 16, (32, 624)),
        (57, 16, 2, (16, 56)),
        (64, 16, 2, (16, 54)),
        (40, 1, 1, (1, 19)),
    ],
)
def test_a_proof_has_a_short_batch_and_the_devices_divide_each(
    n_samples, batch_size, n_replicas, expected
):
    size, n = sizes(n_samples, batch_size, n_replicas)
    assert (size, n) == expected
    assert size % n_replicas == n % size % n_replicas == 0


def planned_check(n_replicas, file="digits_cnn.py"):
    model = f"{ROOT}/tests/e2e/models/{file}:build"
    what = plan_model_check(model, None, (), ROOT / "backends.toml")
    return with_replicas(what, n_replicas)


def test_parity_of_a_model_of_ones_own_on_several_devices_needs_data_to_train_on():
    assert planned_check(2).replicas == 2
    with pytest.raises(ConfigError, match="--replicas: expected less than or equal to 64"):
        planned_check(65)
    with pytest.raises(ConfigError, match=r"^--replicas: expected data to train on; received none"):
        planned_check(2, file="departing.py")


def test_a_backend_that_agrees_on_one_device_may_depart_or_fail_on_several():
    names = ("tensorflow", "jax", "torch")
    verdicts = Verdicts({name: BackendAnswer() for name in names}, ())
    same = Proved(difference=1e-15, path="weights[0] kernel", equal=True, n_updates=40)
    apart = dataclasses.replace(same, difference=0.03, equal=False)
    refusal = Refusal(reason="replica 1 of 2 ended by SIGKILL")
    for name, answer in zip(names, (apart, same, refusal), strict=True):
        verdicts.add_several(name, answer, 2)
    found = [verdicts.of(name) for name in names]
    assert [(each.verdict, each.several, each.reason) for each in found] == [
        (
            "departs",
            0.03,
            "weights[0] kernel differs by 3.0e-02 of its size after 40 updates in float64, "
            "on 2 devices against one",
        ),
        ("agrees", 1e-15, ""),
        ("failed", None, "on 2 devices: replica 1 of 2 ended by SIGKILL"),
    ]


def test_parity_says_before_anything_runs_what_it_does_not_do_on_several_devices(tmp_path):
    command = [sys.executable, "-m", "harness", "parity", "jax/keras", "--replicas", "2", "--full"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--replicas: it says what one update computes. Leave out --full" in done.stderr


@pytest.mark.parametrize("known", [{}, {"replicas": 3}])
def test_devices_that_hold_no_weights_are_a_failure(known):
    with pytest.raises(Refused, match=r"--replicas 2: read back from the weights, [13] device"):
        replicas.check(2, known)


def test_runs_on_virtual_devices_stand_in_a_table_of_their_own_and_none_is_called_first():
    one, two = record(), record(run_id="two", replicas=2, settings=VIRTUAL)
    tables = compare([one, two])
    assert sorted(table.key.replicas for table in tables) == [1, 2]
    (of_two,) = (table for table in tables if table.key.replicas == 2)
    assert (of_two.answer.kind, of_two.baseline) == ("virtual", "")
    assert [row.ratio for row in of_two.rows] == [None]


def test_a_bench_on_virtual_devices_gives_no_verdict_of_a_lead():
    assert "faster" in {arm.verdict for arm in summarize(bench()).arms}
    virtual = {"settings": SETTINGS | VIRTUAL}
    found = summarize(bench(starts=dict.fromkeys(("tensorflow/keras", "jax/keras"), virtual)))
    assert {arm.verdict for arm in found.arms} <= {"baseline", "inconclusive"}
    assert "its devices are virtual" in found.lead.undecided


def test_a_verdict_of_one_device_says_nothing_of_two():
    verdicts = verdicts_of([check_with("agrees")])
    assert verdict_on(record(replicas=2, settings=VIRTUAL), verdicts) == NOT_CHECKED
