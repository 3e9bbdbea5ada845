"""Estimators against brute force and a published value."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from harness.judge.statistics import Interval, hodges_lehmann


def test_published_depression_scores_give_the_published_estimate_and_interval():
    # Hollander, Wolfe, Chicken, table 3.1 (Hamilton scale factor): estimate -0.46; 96.1 % interval (-0.786, -0.010).
    before = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    after = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    found = hodges_lehmann(after - before)
    assert (found.low, found.mid, found.high) == pytest.approx((-0.786, -0.46, -0.010), abs=5e-4)


def test_the_interval_holds_exactly_the_shifts_that_the_signed_rank_test_does_not_reject():
    values = np.random.default_rng(3).normal(0.4, 1.0, 9)
    found = hodges_lehmann(values)
    inside, outside = np.linspace(found.low + 1e-9, found.high - 1e-9, 7), (found.low - 1e-9, found.high + 1e-9)
    assert all(stats.wilcoxon(values - shift, method="exact").pvalue > 0.05 for shift in inside)
    assert all(stats.wilcoxon(values - shift, method="exact").pvalue <= 0.05 for shift in outside)


def test_coverage_is_at_least_the_confidence_under_every_assignment_of_signs():
    # Under symmetry about 0 all 2^n sign patterns are equally likely: counting them is the exact coverage.
    sizes = np.arange(1.0, 9.0) ** 1.5
    held = [not hodges_lehmann(sizes * signs).excludes(0.0) for signs in product((-1, 1), repeat=len(sizes))]
    assert 0.95 <= np.mean(held) < 0.99


def test_fewer_than_six_values_are_refused_at_95_percent():
    assert hodges_lehmann([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == Interval(1.0, 3.5, 6.0)
    with pytest.raises(ValueError, match="needs more than 5 values"):
        hodges_lehmann([1.0, 2.0, 3.0, 4.0, 5.0])


def test_an_interval_excludes_what_lies_outside_and_not_its_ends():
    interval = Interval(1.0, 2.0, 3.0)
    assert [interval.excludes(value) for value in (0.9, 1.0, 2.0, 3.0, 3.1)] == [True, False, False, False, True]
