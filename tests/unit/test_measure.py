"""What a worker does with an arm, by a stand-in that keeps what it is given: order, feeding, clock, score. NumPy only."""

import contextlib
import gc
import json
import types

import numpy as np
import pytest

from harness.errors import Refused
from harness.inputs.arrays import dataset_digest, network_input, sha256
from harness.worker import clock, measure

RANDOM = np.random.default_rng(11)
PARTS = {
    "x_train": RANDOM.integers(0, 256, (12, 28, 28), np.uint8),
    "y_train": RANDOM.integers(0, 10, 12, np.uint8),
    "x_test": RANDOM.integers(0, 256, (4, 28, 28), np.uint8),
    "y_test": RANDOM.integers(0, 10, 4, np.uint8),
}
ORDER = np.stack([RANDOM.permutation(12).astype(np.int32) for _ in range(3)])
INPUTS = measure.Inputs(PARTS, {}, ORDER, dataset_digest(PARTS), sha256(ORDER))


def arm(loss=lambda epoch: 0.5, log=None):
    """An arm as a worker sees it: its verbs, in a module; it keeps what `place` and `epoch` were given."""
    log = [] if log is None else log

    def epoch(state, data):
        log.append(("epoch", data))
        return state + 1, loss(state + 1), 0.75

    return types.SimpleNamespace(
        place=lambda x, y: log.append(("place", x, y)) or (x, y),
        epoch=epoch,
        wait=lambda state: log.append(("wait", state)),
        facts=lambda state: {"n_compiles": min(state, 1)},
    )


def test_each_epoch_gets_every_sample_scaled_in_its_own_order():
    log = []
    measure._train(arm(log=log), 0, INPUTS, lambda **event: None, None)
    placed = [entry[1:] for entry in log if entry[0] == "place"]
    assert len(placed) == 3
    for samples, (x, y) in zip(ORDER, placed, strict=True):
        np.testing.assert_array_equal(x, PARTS["x_train"][samples].reshape(12, 784) / np.float32(255))
        np.testing.assert_array_equal(y, PARTS["y_train"][samples])
        assert x.dtype == np.float32


def test_an_epoch_trains_on_what_was_placed_and_is_waited_for():
    log = []
    measure._train(arm(log=log), 0, INPUTS, lambda **event: None, None)
    assert [entry[0] for entry in log] == ["place", "epoch", "wait"] * 3
    assert [entry[1] for entry in log if entry[0] == "wait"] == [1, 2, 3], "what is waited for is the state after the epoch"
    assert all(trained[1][0] is placed[1] for placed, trained in zip(log[::3], log[1::3], strict=True))


def test_epochs_are_told_and_kept_alike_and_compiles_fall_where_they_happened():
    events = []
    _, epochs, diverged = measure._train(arm(loss=lambda epoch: 1 / epoch), 0, INPUTS, lambda **event: events.append(event), None)
    assert diverged == ""
    assert [event["epoch"] for event in events] == [1, 2, 3]
    assert [(event["loss"], event["seconds"]) for event in events] == [(epoch["loss"], epoch["seconds"]) for epoch in epochs]
    assert [epoch["n_compiles"] for epoch in epochs] == [1, 0, 0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_training_and_enters_no_epoch(bad):
    _, epochs, diverged = measure._train(arm(loss=lambda epoch: bad if epoch == 2 else 0.5), 0, INPUTS, lambda **event: None, None)
    assert (len(epochs), diverged) == (1, f"diverged: the loss became {bad} in epoch 2 of 3")
    json.dumps(epochs, allow_nan=False)


def test_a_worker_with_turns_feeds_and_trains_only_in_its_turn(monkeypatch):
    log = []
    gate = types.SimpleNamespace(readline=lambda: log.append(("turn",)))
    monkeypatch.setattr(measure.Path, "open", lambda path: contextlib.nullcontext(gate))
    measure._train(arm(log=log), 0, INPUTS, lambda **event: log.append(("said",)), "a FIFO")
    assert [entry[0] for entry in log] == ["turn", "place", "epoch", "wait", "said"] * 3


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


def test_the_score_of_probabilities_is_the_mean_negative_log_of_the_labels_share():
    outputs = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.5, 0.5, 0.0]], np.float32)
    accuracy, loss = measure.score(outputs, np.array([0, 1, 2], np.uint8), "probs")
    assert accuracy == pytest.approx(1 / 3)
    assert loss == pytest.approx((-np.log(0.7) - np.log(0.3) - np.log(1e-7)) / 3, rel=1e-6)


def test_the_score_of_logits_is_that_of_their_softmax_and_survives_large_ones():
    logits = np.array([[2.0, -1.0, 0.5], [900.0, 0.0, -900.0]], np.float32)
    accuracy, loss = measure.score(logits, np.array([2, 1], np.uint8), "logits")
    first = -np.log(np.exp(0.5) / np.exp([2.0, -1.0, 0.5]).sum())
    assert (accuracy, loss) == (0.0, pytest.approx((first + 900.0) / 2, rel=1e-9))


def test_pixels_are_divided_by_255_exactly_once():
    (row,) = network_input(np.arange(784, dtype=np.uint16).astype(np.uint8).reshape(1, 28, 28))
    assert row.dtype == np.float32
    np.testing.assert_array_equal(row[:256], np.arange(256, dtype=np.float32) / np.float32(255))


@pytest.mark.parametrize(
    ("asked", "seen", "refused"),
    [("gpu", ["cpu"], True), ("gpu", ["gpu: X"], False), ("cpu", ["gpu: X"], True), ("auto", ["cpu"], False)],
)
def test_a_device_other_than_the_one_asked_for_is_refused(asked, seen, refused):
    request = types.SimpleNamespace(device=asked, backend="jax")
    if not refused:
        measure._check_device(request, seen)
        return
    with pytest.raises(Refused, match=f"device {asked}: jax computes on {seen[0]}"):
        measure._check_device(request, seen)


def test_inputs_changed_on_disk_are_refused(tmp_path):
    for name, part in PARTS.items():
        np.save(tmp_path / f"{name}.npy", part)
    np.save(tmp_path / "order.npy", ORDER)
    np.savez(tmp_path / "weights.npz", a=np.zeros(2, np.float32))
    job = types.SimpleNamespace(dataset=str(tmp_path), order=str(tmp_path / "order.npy"), weights=str(tmp_path / "weights.npz"))
    data = types.SimpleNamespace(sha256=INPUTS.data_sha256, name="mnist")
    request = types.SimpleNamespace(data=data, order_sha256=INPUTS.order_sha256)
    assert measure._inputs(job, request).data_sha256 == INPUTS.data_sha256
    np.save(tmp_path / "order.npy", ORDER[::-1])
    with pytest.raises(Refused, match="the order of the samples has changed on disk"):
        measure._inputs(job, request)
    np.save(tmp_path / "y_test.npy", PARTS["y_test"] + 1)
    with pytest.raises(Refused, match="the prepared mnist has changed on disk"):
        measure._inputs(job, request)
