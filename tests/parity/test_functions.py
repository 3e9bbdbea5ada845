"""Two trained models as functions, each figure worked out by hand."""

import numpy as np
import pytest

from harness.referee import functions, oracle
from harness.spec.config import SGD, Dense, Spec
from harness.statistics.intervals import tost

ONE = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5]])
OTHER = np.array([[0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.3, 0.2, 0.5]])
LABELS = np.array([0, 1, 0])
SPEC = Spec(
    layers=(
        Dense(name="hidden", units=3, activation="relu"),
        Dense(name="output", units=2, activation="linear"),
    ),
    optimizer=SGD(name="sgd"),
    loss_form="logits",
)


def test_flips_count_the_samples_that_are_answered_otherwise():
    assert functions.flips(ONE, OTHER) == 1
    assert functions.flips(ONE, ONE) == 0


def test_d_class_is_the_difference_of_two_to_the_five_less_rank():
    np.testing.assert_array_equal(functions.d_class(ONE, OTHER, LABELS), [8, 0, abs(2**2 - 2**3)])


def test_a_rank_beyond_the_fifth_scores_nothing():
    outputs = np.arange(7.0)[None]  # class 6 is first, class 0 seventh
    assert functions.d_class(outputs, outputs[:, ::-1], np.array([6])) == [16.0]


def test_d_mad_weighs_each_sample_s_distances_from_its_label():
    a, b = np.array([0.6, 0.4, 1.6]) / 3, np.array([1.6, 0.4, 1.4]) / 3
    assert functions.d_mad(ONE, OTHER, LABELS) == pytest.approx(np.mean(np.abs(a - b) / (a + b)))
    assert functions.d_mad(ONE, ONE, LABELS) == 0


def network(sign):
    """Two networks of one function: every hidden unit of one is another unit of the other."""
    random = np.random.default_rng(0)
    order = np.arange(3)[::sign]
    kernel, out = 4 * random.normal(size=(4, 3)), 4 * random.normal(size=(3, 2))
    return {
        "hidden/kernel": kernel[:, order],
        "hidden/bias": np.zeros(3),
        "output/kernel": out[order],
        "output/bias": np.zeros(2),
    }


def test_a_barrier_stands_between_two_ends_in_different_valleys_and_none_within_one():
    x = np.random.default_rng(1).normal(size=(64, 4))
    y = oracle.outputs(SPEC, network(1), x).argmax(axis=1)
    assert functions.barrier(SPEC, network(1), network(-1), x, y) > 0.1
    assert functions.barrier(SPEC, network(1), network(1), x, y) == pytest.approx(0, abs=1e-12)


def test_ten_pairs_that_differ_by_a_tenth_of_a_point_are_equivalent_and_two_are_not_enough():
    differences = [0.1, -0.1, 0.05, 0.0, -0.05, 0.1, -0.1, 0.02, 0.0, 0.05]
    found = tost(differences, 0.25)
    assert found.verdict == "equivalent"
    assert found.p < 1e-4
    assert -0.25 < found.mean.low < found.mean.high < 0.25
    assert tost([0.1, -0.1], 0.25).verdict == "inconclusive"
    assert tost([0.1], 0.25).verdict == "inconclusive"


def test_a_difference_of_half_a_point_is_shown_as_one_and_is_never_called_equivalent():
    assert tost([0.5, 0.45, 0.55, 0.5, 0.52], 0.25).verdict == "different"
    assert tost([0.5, 0.1, 0.3, 0.2, 0.4], 0.25).verdict == "inconclusive"
    assert tost([0.5, 0.5, 0.5], 0.25).verdict == "different"


def test_the_error_rate_of_equivalence_at_the_margin_is_five_per_cent():
    """Simulated: a true difference of exactly the margin is called equivalent in one of twenty
    sessions.
    """
    random = np.random.default_rng(2)
    called = [
        tost(list(random.normal(0.25, 0.1, 5)), 0.25).verdict == "equivalent" for _ in range(400)
    ]
    assert 0.02 < np.mean(called) < 0.09
