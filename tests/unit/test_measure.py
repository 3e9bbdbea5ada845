"""What a worker does with an arm, by a stand-in that keeps what it is given: order, feeding, clock,
score. NumPy only.
"""

import gc
import json
import math
import types
from pathlib import Path

import numpy as np
import pytest

from harness.engine.answers import read_answer
from harness.errors import Refused
from harness.job.answers import Measured
from harness.job.wire import plain
from harness.spec.data.arrays import dataset_digest, network_input, sha256, weights_digest
from harness.worker import clock
from harness.worker.frameworks import numpy as numpy_framework
from harness.worker.jobs import measure, stack

RANDOM = np.random.default_rng(11)
PARTS = {
    "x_train": RANDOM.integers(0, 256, (12, 28, 28), np.uint8),
    "y_train": RANDOM.integers(0, 10, 12, np.uint8),
    "x_test": RANDOM.integers(0, 256, (11, 28, 28), np.uint8),
    "y_test": RANDOM.integers(0, 10, 11, np.uint8),
}
ORDER = np.stack([RANDOM.permutation(12).astype(np.int32) for _ in range(3)])
INPUTS = stack.Inputs(PARTS, {}, ORDER, dataset_digest(PARTS), sha256(ORDER))


def arm(loss=lambda epoch: 0.5, log=None, known=lambda epoch: {}, spend=lambda seconds: None):
    """An arm as a worker sees it: its verbs, in a module; it keeps what `place` and `epoch` were
    given.

    `known` is what else its facts hold after an epoch; to place samples it spends 1 s of a clock
    that is given, to train 8 s.
    """
    log = [] if log is None else log

    def place(x, y):
        spend(1.0)
        log.append(("place", x, y))
        return x, y

    def epoch(state, data):
        spend(8.0)
        log.append(("epoch", data))
        return state + 1, loss(state + 1), 0.75

    return types.SimpleNamespace(
        place=place,
        epoch=epoch,
        wait=lambda state: log.append(("wait", state)),
        facts=lambda state: {"n_compiles": min(state, 1), **known(state)},
    )


def trained(arm, say=lambda **event: None):
    """Train all epochs of an arm; return their entries, and why it stopped early."""
    request = types.SimpleNamespace(epochs=len(ORDER))
    return measure.train_all(measure.Run(request, arm, numpy_framework, INPUTS, 0, "", {}), say)


def test_each_epoch_gets_every_sample_scaled_in_its_own_order():
    log = []
    trained(arm(log=log))
    placed = [entry[1:] for entry in log if entry[0] == "place"]
    assert len(placed) == 3
    for samples, (x, y) in zip(ORDER, placed, strict=True):
        np.testing.assert_array_equal(
            x, PARTS["x_train"][samples].reshape(12, 784) / np.float32(255)
        )
        np.testing.assert_array_equal(y, PARTS["y_train"][samples])
        assert x.dtype == np.float32


def test_an_epoch_trains_on_what_was_placed_and_is_waited_for():
    log = []
    trained(arm(log=log))
    assert [entry[0] for entry in log] == ["place", "epoch", "wait"] * 3
    assert [entry[1] for entry in log if entry[0] == "wait"] == [1, 2, 3], (
        "what is waited for is the state after the epoch"
    )
    assert all(
        trained[1][0] is placed[1] for placed, trained in zip(log[::3], log[1::3], strict=True)
    )


def test_epochs_are_told_and_kept_alike_and_compiles_fall_where_they_happened():
    events = []
    epochs, diverged = trained(
        arm(loss=lambda epoch: 1 / epoch), lambda **event: events.append(event)
    )
    assert diverged == ""
    assert [event["epoch"] for event in events] == [1, 2, 3]
    told = ("loss", "accuracy", "feed_s", "seconds", "teardown_s")
    assert [{name: event[name] for name in told} for event in events] == [
        {name: getattr(epoch, name) for name in told} for epoch in epochs
    ]
    assert [epoch.n_compiles for epoch in epochs] == [1, 0, 0]


# What `fit` does around an epoch


@pytest.fixture
def times(monkeypatch):
    """Return a function that trains three epochs of an arm with these facts, by a clock of its own,
    and gives each one's times.
    """
    now = [100.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])

    def spend(seconds):
        now[0] += seconds

    def train(known):
        epochs, _ = trained(arm(known=known, spend=spend))
        return [
            {name: getattr(epoch, name) for name in ("feed_s", "seconds", "teardown_s")}
            for epoch in epochs
        ]

    return train


def test_making_the_input_pipeline_is_feeding_but_in_the_first_epoch_which_builds_and_compiles(
    times,
):
    setup_s = {1: 2.0, 2: 0.5, 3: 0.25}
    found = times(lambda epoch: {"setup_s": setup_s.get(epoch, 0.0), "teardown_s": 0.0})
    assert [(epoch["feed_s"], epoch["seconds"]) for epoch in found] == [
        (1.0, 8.0),
        (1.5, 7.5),
        (1.25, 7.75),
    ]


def test_taking_the_input_pipeline_down_is_kept_for_each_epoch_and_stays_in_its_seconds(times):
    teardown_s = {1: 0.5, 2: 0.0, 3: 4.0}
    found = times(lambda epoch: {"setup_s": 0.0, "teardown_s": teardown_s.get(epoch, 0.0)})
    assert [(epoch["teardown_s"], epoch["seconds"]) for epoch in found] == [
        (0.5, 8.0),
        (0.0, 8.0),
        (4.0, 8.0),
    ]


def test_an_arm_without_an_input_pipeline_keeps_the_clock_s_own_times(times):
    assert times(lambda epoch: {}) == [{"feed_s": 1.0, "seconds": 8.0, "teardown_s": 0.0}] * 3


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_training_and_enters_no_epoch(bad):
    epochs, diverged = trained(arm(loss=lambda epoch: bad if epoch == 2 else 0.5))
    assert (len(epochs), diverged) == (1, f"diverged: the loss became {bad} in epoch 2 of 3")
    json.dumps(epochs, allow_nan=False, default=plain)


def test_the_clock_stops_only_after_the_wait(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])

    def work():
        now[0] += 1.0
        return "promise"

    def wait(result):
        assert result == "promise"
        now[0] += 5.0

    assert clock.timed(work, wait) == ("promise", 6.0)


def test_old_garbage_is_collected_before_the_clock_starts_and_the_collector_stays_on(monkeypatch):
    steps = []
    monkeypatch.setattr(clock.gc, "collect", lambda: steps.append("collect"))
    monkeypatch.setattr(clock.time, "perf_counter", lambda: steps.append("clock") or 0.0)
    assert clock.timed(gc.isenabled)[0] is True
    assert steps == ["collect", "clock", "clock"]
    clock.timed(gc.isenabled, collect=False)
    assert steps.count("collect") == 1


def test_the_score_of_probabilities_is_the_mean_negative_log_of_the_labels_share():
    outputs = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.5, 0.5, 0.0]], np.float32)
    accuracy, loss = stack.score(outputs, np.array([0, 1, 2], np.uint8), "probs")
    assert accuracy == pytest.approx(1 / 3)
    assert loss == pytest.approx((-np.log(0.7) - np.log(0.3) - np.log(1e-7)) / 3, rel=1e-6)


def test_the_score_of_logits_is_that_of_their_softmax_and_survives_large_ones():
    logits = np.array([[2.0, -1.0, 0.5], [900.0, 0.0, -900.0]], np.float32)
    accuracy, loss = stack.score(logits, np.array([2, 1], np.uint8), "logits")
    first = -np.log(np.exp(0.5) / np.exp([2.0, -1.0, 0.5]).sum())
    assert (accuracy, loss) == (0.0, pytest.approx((first + 900.0) / 2, rel=1e-9))


def test_pixels_are_divided_by_255_exactly_once():
    (row,) = network_input(np.arange(784, dtype=np.uint16).astype(np.uint8).reshape(1, 28, 28))
    assert row.dtype == np.float32
    np.testing.assert_array_equal(row[:256], np.arange(256, dtype=np.float32) / np.float32(255))


@pytest.mark.parametrize(
    ("asked", "seen", "refused"),
    [
        ("gpu", ["cpu"], True),
        ("gpu", ["gpu: X"], False),
        ("cpu", ["gpu: X"], True),
        ("auto", ["cpu"], False),
    ],
)
def test_a_device_other_than_the_one_asked_for_is_refused(asked, seen, refused):
    request = types.SimpleNamespace(device=asked, backend="jax")
    if not refused:
        measure._check_device(request, seen)
        return
    with pytest.raises(Refused, match=f"device {asked}: jax computes on {seen[0]}"):
        measure._check_device(request, seen)


# Inputs from files

WEIGHTS = {
    "hidden/kernel": RANDOM.random((784, 3), np.float32),
    "hidden/bias": RANDOM.random(3, np.float32),
    "output/kernel": RANDOM.random((3, 10), np.float32),
    "output/bias": RANDOM.random(10, np.float32),
}


def asked(**changes):
    """A request as a worker sees it: attributes without a schema. Changes to the spec's own fields
    go there.
    """
    spec = {
        "inputs": "equal",
        "initializer": "uniform",
        "shuffle": True,
        "loss_form": "probs",
        "batch_size": 4,
    }
    layers = [
        types.SimpleNamespace(name="hidden", units=3),
        types.SimpleNamespace(name="output", units=10),
    ]
    plain = {
        "seed": 7,
        "epochs": 3,
        "device": "cpu",
        "backend": "numpy",
        "options": types.SimpleNamespace(),
        "data": types.SimpleNamespace(
            sha256=INPUTS.data_sha256, name="mnist", n_train=12, n_inputs=784
        ),
        "weights_sha256": weights_digest(WEIGHTS),
        "order_sha256": INPUTS.order_sha256,
    }
    unknown = changes.keys() - spec.keys() - plain.keys()
    assert not unknown
    spec |= {name: value for name, value in changes.items() if name in spec}
    return types.SimpleNamespace(
        framework="numpy",
        replicas=1,
        spec=types.SimpleNamespace(layers=layers, **spec),
        **{name: changes.get(name, value) for name, value in plain.items()},
    )


@pytest.fixture
def job(tmp_path):
    """A job whose files hold what its request asks for."""
    for name, part in PARTS.items():
        np.save(tmp_path / f"{name}.npy", part)
    np.save(tmp_path / "order.npy", ORDER)
    np.savez(tmp_path / "weights.npz", **WEIGHTS)
    files = {
        "dataset": tmp_path,
        "order": tmp_path / "order.npy",
        "weights": tmp_path / "weights.npz",
    }
    return types.SimpleNamespace(request=asked(), model=None, refusal="", **files)


def read(job):
    """Return the inputs that a worker reads; no framework has a part in it."""
    return stack.read_inputs(job, None)


def test_inputs_from_files_are_those_in_them_with_the_digests_of_what_was_read(job):
    inputs = read(job)
    assert (inputs.data_sha256, inputs.order_sha256) == (INPUTS.data_sha256, INPUTS.order_sha256)
    np.testing.assert_array_equal(inputs.order, ORDER, strict=True)
    assert weights_digest(inputs.weights) == weights_digest(WEIGHTS)
    for name, part in PARTS.items():
        np.testing.assert_array_equal(inputs.parts[name], part, strict=True)


def test_a_dataset_changed_on_disk_is_refused(job):
    np.save(Path(job.dataset) / "y_test.npy", PARTS["y_test"] + 1)
    with pytest.raises(
        Refused, match=r"^the prepared mnist has changed on disk since it was checked$"
    ):
        read(job)


def test_an_order_changed_on_disk_is_refused(job):
    np.save(job.order, ORDER[::-1])
    with pytest.raises(
        Refused, match=r"^the order of the samples has changed on disk since it was drawn$"
    ):
        read(job)


def test_initial_weights_changed_on_disk_are_refused(job):
    np.savez(job.weights, **(WEIGHTS | {"output/bias": WEIGHTS["output/bias"] + np.float32(1e-3)}))
    with pytest.raises(
        Refused, match=r"^the initial weights have changed on disk since they were drawn$"
    ):
        read(job)


# Inputs that a framework draws


class Generator:
    """A framework whose draws no other one makes: it counts them, and fills kernels and rotates the
    samples by the count.
    """

    def __init__(self):
        self.seeds, self.ranges, self.sizes = [], [], []

    def generator(self, seed):
        self.seeds.append(seed)
        return self.uniform, self.permutation

    def uniform(self, low, high, shape):
        self.ranges.append((low, high, shape))
        return np.full(shape, len(self.ranges), np.float64)

    def permutation(self, n):
        self.sizes.append(n)
        return np.roll(np.arange(n), len(self.sizes))


def drawn(job, **changes):
    """Return the framework and the inputs it drew, where the job names files for the dataset only,
    as `plan` does.
    """
    framework = Generator()
    request = asked(inputs="native", weights_sha256=None, order_sha256=None, **changes)
    bare = types.SimpleNamespace(request=request, dataset=job.dataset, weights=None, order=None)
    return framework, stack.read_inputs(bare, framework)


def test_native_weights_are_the_framework_s_draws_and_no_other(job):
    _, inputs = drawn(job)
    expected = {
        "hidden/kernel": np.full((784, 3), 1, np.float32),
        "hidden/bias": np.zeros(3, np.float32),
        "output/kernel": np.full((3, 10), 2, np.float32),
        "output/bias": np.zeros(10, np.float32),
    }
    assert list(inputs.weights) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(inputs.weights[name], value, strict=True)


FIRST, SECOND = 1 / math.sqrt(784), 1 / math.sqrt(3)
RANGES = {
    "uniform": [(0.0, 0.1, (784, 3)), (0.0, 0.1, (3, 10))],
    "fan_in_uniform": [
        *((-FIRST, FIRST, (784, 3)), (-FIRST, FIRST, (3,))),
        *((-SECOND, SECOND, (3, 10)), (-SECOND, SECOND, (10,))),
    ],
}


@pytest.mark.parametrize(("initializer", "ranges"), RANGES.items(), ids=RANGES.keys())
def test_native_weights_are_drawn_by_the_spec_s_initializer(job, initializer, ranges):
    assert drawn(job, initializer=initializer)[0].ranges == ranges


def test_a_native_draw_is_one_generator_s_with_the_run_s_seed(job):
    assert [drawn(job, seed=seed)[0].seeds for seed in (7, 8)] == [[7], [8]]


def test_native_order_is_the_framework_s_own_permutation_a_new_one_for_each_epoch(job):
    framework, inputs = drawn(job)
    assert framework.sizes == [12, 12, 12]
    np.testing.assert_array_equal(
        inputs.order,
        np.stack([np.roll(np.arange(12), shift) for shift in (1, 2, 3)]).astype(np.int32),
        strict=True,
    )


def test_native_order_without_shuffling_is_that_of_the_samples_in_every_epoch(job):
    framework, inputs = drawn(job, shuffle=False)
    assert framework.sizes == []
    np.testing.assert_array_equal(
        inputs.order, np.tile(np.arange(12, dtype=np.int32), (3, 1)), strict=True
    )


def test_native_inputs_come_with_the_digest_of_the_order_drawn(job):
    _, inputs = drawn(job)
    assert inputs.order_sha256 == sha256(inputs.order) != INPUTS.order_sha256


def test_native_inputs_are_drawn_even_where_files_hold_others(job):
    job.request = asked(inputs="native")
    inputs = stack.read_inputs(job, Generator())
    assert weights_digest(inputs.weights) == weights_digest(drawn(job)[1].weights)
    np.testing.assert_array_equal(inputs.order, drawn(job)[1].order, strict=True)


def test_native_inputs_do_not_excuse_a_dataset_changed_on_disk(job):
    np.save(Path(job.dataset) / "y_test.npy", PARTS["y_test"] + 1)
    with pytest.raises(
        Refused, match=r"^the prepared mnist has changed on disk since it was checked$"
    ):
        drawn(job)


def test_numpy_draws_by_its_default_generator(job):
    request = asked(inputs="native", seed=3)
    weights, order = stack._native_draw(request, numpy_framework)
    source = np.random.default_rng(3)
    np.testing.assert_array_equal(
        weights["hidden/kernel"], source.uniform(0.0, 0.1, (784, 3)).astype(np.float32), strict=True
    )
    np.testing.assert_array_equal(
        weights["output/kernel"], source.uniform(0.0, 0.1, (3, 10)).astype(np.float32), strict=True
    )
    np.testing.assert_array_equal(
        order, np.stack([source.permutation(12) for _ in range(3)]).astype(np.int32), strict=True
    )


# A whole run

OUTPUTS = np.eye(10, dtype=np.float32)[[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5]]


@pytest.fixture
def run(job, monkeypatch):
    """Return a function that measures the job with a stand-in arm, NumPy's framework beside it;
    `changes` are verbs of the arm.
    """

    def measured(**changes):
        last_fit = {"setup_s": 0.0, "teardown_s": 0.0}
        lasting = {"device": "cpu", "n_parameters": 2395, "n_updates": 9, "precision": "float32"}
        stand_in = arm(known=lambda epoch: {**lasting, **last_fit})
        stand_in.wait = lambda state: None
        stand_in.build = lambda spec, weights, options: stand_in.__dict__.update(held=weights) or 0
        stand_in.export = lambda state: stand_in.held
        stand_in.predict = lambda state, x: OUTPUTS
        stand_in.__dict__.update(changes)
        monkeypatch.setattr(
            measure, "_import_arm", lambda request: (stand_in, numpy_framework, ["cpu"])
        )
        return measure.measure(job, lambda **event: None, 0.5)

    return measured


def test_a_whole_run_is_a_measurement_as_the_record_keeps_it(run):
    written = run()
    assert written.diverged == ""
    kept = read_answer(Measured, json.loads(json.dumps(written, default=plain))).measurement
    assert (len(kept.epochs), kept.device, kept.n_updates) == (3, "cpu", 9)


def test_a_whole_run_is_kept_where_the_system_says_nothing_of_its_memory(run, monkeypatch):
    monkeypatch.setattr(measure.facts, "peak_rss_bytes", lambda: None)
    measured = run().measurement
    assert measured.peak_rss_bytes is None
    assert measured.test_accuracy is not None


def test_the_classes_predicted_for_the_first_ten_test_images_are_kept(run):
    assert run().measurement.first_predictions == (3, 1, 4, 1, 5, 9, 2, 6, 5, 3)


def test_the_seconds_around_the_last_fit_are_no_settings(run):
    settings = run().measurement.settings
    assert settings.keys() == {"precision", "tf32", "onednn", "threads", "affinity"}


def test_an_arm_is_built_with_the_options_asked_for(run, job):
    job.request.options = types.SimpleNamespace(flavour="idiomatic")
    given = []
    run(
        build=lambda spec, weights, options: given.append(options) or 0,
        export=lambda state: WEIGHTS,
    )
    assert given == [job.request.options]


def test_a_model_that_does_not_hold_the_weights_set_is_refused(run):
    other = WEIGHTS | {"hidden/bias": WEIGHTS["hidden/bias"] + np.float32(1e-3)}
    with pytest.raises(
        Refused, match=r"^the weights read back from the built model are not those set$"
    ):
        run(export=lambda state: other)


def test_a_model_that_does_not_hold_native_weights_is_refused_too(run, job):
    job.request = asked(inputs="native", weights_sha256=None, order_sha256=None)
    with pytest.raises(
        Refused, match=r"^the weights read back from the built model are not those set$"
    ):
        run(export=lambda state: WEIGHTS)


def test_a_run_of_native_inputs_keeps_the_digests_of_what_was_drawn(run, job):
    job.request = asked(inputs="native", weights_sha256=None, order_sha256=None)
    weights, order = stack._native_draw(job.request, numpy_framework)
    kept = run().measurement
    assert (kept.weights_sha256, kept.order_sha256) == (
        weights_digest(weights),
        sha256(order),
    )


SPEC = types.SimpleNamespace(
    layers=[
        types.SimpleNamespace(name="hidden", units=3),
        types.SimpleNamespace(name="output", units=2),
    ]
)
REQUEST = types.SimpleNamespace(spec=SPEC, data=types.SimpleNamespace(n_inputs=4))
SHAPES = {
    "hidden/kernel": (4, 3),
    "hidden/bias": (3,),
    "output/kernel": (3, 2),
    "output/bias": (2,),
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"hidden/kernel": (5, 3)}, r"hidden/kernel: expected shape \(4, 3\); received \(5, 3\)"),
        ({"output/kernel": (3, 3)}, r"output/kernel: expected shape \(3, 2\); received \(3, 3\)"),
        ({"output/bias": (3,)}, r"output/bias: expected shape \(2,\); received \(3,\)"),
        (
            {"more": (1,)},
            "weights: expected hidden/kernel, hidden/bias, output/kernel, output/bias; received "
            ".*, more",
        ),
    ],
)
def test_weights_of_another_shape_are_refused_with_the_layer_and_both_shapes(changed, said):
    stack._check_shapes(REQUEST, {name: np.zeros(shape) for name, shape in SHAPES.items()})
    with pytest.raises(Refused, match=said):
        stack._check_shapes(
            REQUEST, {name: np.zeros(shape) for name, shape in (SHAPES | changed).items()}
        )
