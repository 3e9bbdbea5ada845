"""Estimators against brute force and a published value."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from harness.statistics.intervals import (
    Interval,
    hodges_lehmann,
    hodges_lehmann_shift,
    pseudomedian,
)


def test_published_depression_scores_give_the_published_estimate_and_interval():
    # Hollander, Wolfe, Chicken, table 3.1 (Hamilton scale factor): estimate -0.46; 96.1 % interval
    # (-0.786, -0.010).
    before = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    after = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    found = hodges_lehmann(after - before)
    assert (found.low, found.mid, found.high) == pytest.approx((-0.786, -0.46, -0.010), abs=5e-4)


def test_the_interval_holds_exactly_the_shifts_that_the_signed_rank_test_does_not_reject():
    values = np.random.default_rng(3).normal(0.4, 1.0, 9)
    found = hodges_lehmann(values)
    inside, outside = (
        np.linspace(found.low + 1e-9, found.high - 1e-9, 7),
        (found.low - 1e-9, found.high + 1e-9),
    )
    assert all(stats.wilcoxon(values - shift, method="exact").pvalue > 0.05 for shift in inside)
    assert all(stats.wilcoxon(values - shift, method="exact").pvalue <= 0.05 for shift in outside)


def test_coverage_is_at_least_the_confidence_under_every_assignment_of_signs():
    # Under symmetry about 0 all 2^n sign patterns are equally likely: counting them is the exact
    # coverage.
    sizes = np.arange(1.0, 9.0) ** 1.5
    held = [
        not hodges_lehmann(sizes * signs).excludes(0.0)
        for signs in product((-1, 1), repeat=len(sizes))
    ]
    assert 0.95 <= np.mean(held) < 0.99


def test_fewer_than_six_values_are_refused_at_95_percent():
    assert hodges_lehmann([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == Interval(1.0, 3.5, 6.0)
    with pytest.raises(ValueError, match="needs more than 5 values"):
        hodges_lehmann([1.0, 2.0, 3.0, 4.0, 5.0])


def test_an_interval_excludes_what_lies_outside_and_not_its_ends():
    interval = Interval(1.0, 2.0, 3.0)
    assert [interval.excludes(value) for value in (0.9, 1.0, 2.0, 3.0, 3.1)] == [
        True,
        False,
        False,
        False,
        True,
    ]


# Hollander, Wolfe, Chicken, table 4.1: permeability of the chorioamnion at term, and at 12 to 26
# weeks.
AT_TERM = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
EARLIER = [1.15, 0.88, 0.90, 0.74, 1.21]


def test_published_permeability_constants_give_the_published_shift_and_interval():
    # Examples 4.2 and 4.3: estimate -0.305; 96 % interval (-0.76, 0.15).
    found = hodges_lehmann_shift(AT_TERM, EARLIER)
    assert (found.low, found.mid, found.high) == pytest.approx((-0.76, -0.305, 0.15), abs=5e-4)


def test_the_shift_s_interval_holds_exactly_the_shifts_that_the_mann_whitney_test_does_not_reject():
    random = np.random.default_rng(4)
    values, others = random.normal(0.0, 1.0, 7), random.normal(0.5, 1.0, 8)
    found = hodges_lehmann_shift(values, others)

    def p(shift):
        return stats.mannwhitneyu(others - shift, values, method="exact").pvalue

    assert all(p(shift) > 0.05 for shift in np.linspace(found.low + 1e-9, found.high - 1e-9, 7))
    assert all(p(shift) <= 0.05 for shift in (found.low - 1e-9, found.high + 1e-9))


@pytest.mark.parametrize("m", [4, 5, 6])
def test_the_shift_s_coverage_is_at_least_the_confidence_under_every_split(m):
    # Where nothing was shifted every split of the same values is equally likely: counting them is
    # the exact coverage.
    values = np.arange(10.0) ** 1.5
    held = []
    for chosen in combinations(range(10), m):
        rest = np.delete(values, chosen)
        held.append(not hodges_lehmann_shift(values[list(chosen)], rest).excludes(0.0))
    assert 0.95 <= np.mean(held) < 0.98


def test_the_shift_changes_its_sign_with_the_samples_places():
    there, back = hodges_lehmann_shift(AT_TERM, EARLIER), hodges_lehmann_shift(EARLIER, AT_TERM)
    assert (back.low, back.mid, back.high) == pytest.approx((-there.high, -there.mid, -there.low))


def test_three_values_against_four_are_refused_at_95_percent():
    with pytest.raises(ValueError, match="needs more than 3 and 4 values"):
        hodges_lehmann_shift([1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0])
    assert hodges_lehmann_shift([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.5]).low == 1.0


def test_the_estimate_alone_needs_no_more_than_one_value():
    assert [pseudomedian(values) for values in ([2.0], [1.0, 4.0], [1.0, 2.0, 9.0])] == [
        2.0,
        2.5,
        3.5,
    ]
