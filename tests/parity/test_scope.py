"""Which points a gate has, what counts as its quick form, and what cannot be asked of it."""

from dataclasses import replace

import numpy as np
import pytest

from harness.errors import ConfigError
from harness.experiments.parity import check
from harness.referee import fixtures, oracle
from harness.referee.scope import gate_of
from tests.parity.small import SPECS, planned, reference
from tests.unit.records import record

HOST = record().host


def resync(n_updates, n_epochs):
    return [
        int(name.removeprefix("resync-"))
        for name in gate_of(n_updates, n_epochs).every
        if name.startswith("resync-")
    ]


@pytest.mark.parametrize(
    ("n_updates", "n_epochs", "expected"),
    [
        (469, 5, [2, 3, 10, 100, 468, 469, 470, 938, 2345]),  # MNIST at batches of 128
        (469, 1, [2, 3, 10, 100, 468, 469]),
        (469, 10, [2, 3, 10, 100, 468, 469, 470, 938, 4690]),
        (235, 2, [2, 3, 10, 100, 234, 235, 236, 470]),
        (10, 5, [2, 3, 9, 10, 11, 20, 50]),
        (2, 3, [2, 3, 4, 6]),
        (1, 5, [2, 3, 5]),
        (1, 1, []),
    ],
)
def test_states_lie_early_and_around_the_ends_of_the_training_s_own_epochs(
    n_updates, n_epochs, expected
):
    assert resync(n_updates, n_epochs) == expected


def test_the_quick_form_has_the_first_state_the_adversarial_two_along_the_way_and_the_short_batch():
    assert gate_of(469, 5).quick == ("init", "adversarial", "resync-10", "resync-100", "resync-469")
    assert gate_of(60, 5).quick == ("init", "adversarial", "resync-10", "resync-60", "resync-100")


@pytest.mark.parametrize(
    ("only", "scope"),
    [
        ((), "whole"),
        (gate_of(469, 5).every, "whole"),
        (gate_of(469, 5).quick, "quick"),
        ((*gate_of(469, 5).quick, "resync-2"), "quick"),
        (("init",), "part"),
        (gate_of(469, 5).quick[:-1], "part"),
        (("epoch",), "part"),
    ],
)
def test_what_is_checked_of_the_gate_is_said_by_its_points_and_not_by_an_option(only, scope):
    assert gate_of(469, 5).scope(only) == scope


def drawn(tmp_path, *arms, **changes):
    """Planned arms with weights and order on disk."""
    np.save(tmp_path / "order.npy", np.arange(88, dtype=np.int32)[None])
    np.savez(tmp_path / "weights.npz", **{"hidden/kernel": np.zeros((16, 8), np.float32)})
    files = {
        "weights": tmp_path / "weights.npz",
        "order": tmp_path / "order.npy",
        "dataset": tmp_path,
    }
    return tuple(
        replace(planned(implementation=name, options=options, **changes), **files)
        for name, options in arms
    )


IDIOMATIC = ("native-idiomatic", {"flavour": "idiomatic"})


@pytest.mark.parametrize(
    "points", [("adversarial",), ("resync-2",), ("epoch",), ("adversarial", "epoch")]
)
@pytest.mark.parametrize("others", [(), (("keras", {}),)])
def test_points_that_leave_an_arm_without_any_are_refused_before_anything_runs(
    tmp_path, points, others
):
    arms = drawn(tmp_path, *others, IDIOMATIC, n_train=88, epochs=5)
    with pytest.raises(
        ConfigError,
        match=r"--point: jax/native-idiomatic .* Add --point init, or leave out the arm",
    ):
        check.check(arms, None, points)


@pytest.mark.parametrize("name", ["resync-469", "resync-5", "inti", ""])
def test_a_point_that_the_training_does_not_have_is_refused_with_those_that_it_has(tmp_path, name):
    arms = drawn(tmp_path, ("keras", {}), n_train=88, epochs=5)
    with pytest.raises(
        ConfigError,
        match=r"--point: expected one of init, adversarial, resync-2, .*resync-15.*epoch",
    ):
        check.check(arms, None, (name,))


@pytest.mark.parametrize(
    ("activation", "sign"), [("relu", -1), ("softmax", 1)], ids=["dead units", "a softmax below"]
)
def test_a_row_whose_logits_follow_no_scale_is_left_as_it_is(activation, sign):
    """Doubled sixty times in search of a gap, its pixels would be 1e18, and what is compared there
    rounding alone.
    """
    hidden, output = SPECS["probs"].layers
    spec = SPECS["probs"].model_copy(
        update={"layers": (hidden.model_copy(update={"activation": activation}), output)}
    )
    random = np.random.default_rng(0)
    weights = {
        name: sign * np.abs(value) for name, value in reference().points["init"].weights.items()
    }
    x = random.random((32, 16)).astype(np.float32)
    point = fixtures.adversarial(spec, weights, x, random.integers(0, 10, 32))
    assert point.x.max() <= 1


def test_a_row_whose_logits_do_is_scaled_until_they_are_far_apart():
    point = reference().points["adversarial"]
    logits = oracle.forward(
        reference().spec, point.trained().weights, point.x[4:12].astype(np.float64)
    )[-1][0]
    two = np.sort(logits, axis=1)[:, -2:]
    assert two[:, 1] - two[:, 0] == pytest.approx(fixtures.GAP, rel=1e-3)
