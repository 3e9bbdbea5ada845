"""P-values of many comparisons together: against counting every rearrangement by hand, and against
the assumption they rest on.
"""

import itertools
import math

import numpy as np
import pytest

from harness.statistics.simultaneous import paired_p_values, shifted_p_values

LEAST = 0.02
RANDOM = np.random.default_rng


def size(differences):
    """The statistic as it is defined, of one comparison."""
    return abs(np.mean(differences)) / math.sqrt(np.mean(np.square(differences)) + LEAST**2)


def counted_by_hand(rearranged, observed):
    """Adjusted p-values by the definition: each comparison against the maximum over itself and all
    that are smaller.
    """
    order = sorted(range(len(observed)), key=lambda place: -observed[place])
    p, largest = dict.fromkeys(order, 0.0), 0.0
    for rank, place in enumerate(order):
        rest = order[rank:]
        reached = [
            max(each[other] for other in rest) >= observed[place] * (1 - 1e-9)
            for each in rearranged
        ]
        largest = max(largest, float(np.mean(reached)))
        p[place] = largest
    return [p[place] for place in range(len(observed))]


@pytest.mark.parametrize("draw", range(5))
def test_paired_p_values_are_those_of_counting_all_signs(draw):
    d = RANDOM(draw).normal(0.01, 0.02, (7, 4))
    rearranged = [
        [size(signs * column) for column in d.T]
        for signs in map(np.array, itertools.product((-1, 1), repeat=7))
    ]
    assert paired_p_values(d, LEAST) == pytest.approx(
        counted_by_hand(rearranged, [size(column) for column in d.T])
    )


@pytest.mark.parametrize("draw", range(5))
def test_shifted_p_values_are_those_of_counting_all_splits(draw):
    random = RANDOM(draw)
    before, after = random.normal(0.0, 0.03, (4, 3)), random.normal(0.02, 0.03, (5, 3))
    whole = np.concatenate([before, after])

    def sizes(first):
        rest = [place for place in range(9) if place not in first]
        shift = abs(whole[list(first)].mean(0) - whole[rest].mean(0))
        return list(shift / np.sqrt(whole.var(0) + LEAST**2))

    rearranged = [sizes(first) for first in itertools.combinations(range(9), 4)]
    expected = counted_by_hand(rearranged, sizes((0, 1, 2, 3)))
    assert shifted_p_values(before, after, LEAST) == pytest.approx(expected)


@pytest.mark.parametrize("n", [6, 10])
def test_under_every_assignment_of_signs_at_most_5_percent_of_families_err(n):
    # Under symmetry all 2^n signs are equally likely: counting them is the exact error rate of the
    # whole family.
    d = RANDOM(n).standard_t(3, (n, 5)) * [0.01, 0.02, 0.02, 0.05, 0.2]
    signs = [(1, *rest) for rest in itertools.product((1, -1), repeat=n - 1)]
    wrong = [paired_p_values(np.array(each)[:, None] * d, LEAST).min() <= 0.05 for each in signs]
    assert 0.0 < np.mean(wrong) <= 0.05


def test_what_is_truly_different_takes_nothing_from_others_guarantee_and_little_from_their_power():
    random = RANDOM(3)
    wrong = 0
    for _ in range(300):
        d = random.normal(0.0, 0.02, (8, 6))
        d[:, :3] += 0.7
        wrong += paired_p_values(d, LEAST)[3:].min() <= 0.05
    assert wrong / 300 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
    alone = RANDOM(4).normal(0.03, 0.02, (8, 1))
    beside = np.concatenate([alone, RANDOM(5).normal(0.7, 0.02, (8, 20))], axis=1)
    assert (
        paired_p_values(beside, LEAST)[0] == paired_p_values(alone, LEAST)[0]
    )  # the others are settled before it


def test_more_comparisons_never_make_one_of_them_surer():
    d = RANDOM(6).normal(0.015, 0.02, (10, 30))
    few, many = paired_p_values(d[:, :5], LEAST), paired_p_values(d, LEAST)
    assert np.all(many[:5] >= few)
    assert np.any(many[:5] > few)


def test_five_generations_decide_nothing_and_six_do():
    assert paired_p_values(np.full((5, 2), 0.7), LEAST).min() > 0.05
    assert paired_p_values(np.full((6, 2), 0.7), LEAST).max() <= 0.05


@pytest.mark.parametrize("n", [12, 13, 30])
def test_with_many_generations_drawn_signs_stand_for_all_of_them_the_same_ones_each_time(n):
    d = RANDOM(n).normal(0.0, 0.02, (n, 3))
    d[:, 0] += 0.05
    found = paired_p_values(d, LEAST)
    assert found[0] <= 0.001
    assert found[1:].min() > 0.001
    assert np.array_equal(found, paired_p_values(d, LEAST))


def test_drawn_splits_stand_for_all_of_them():
    random = RANDOM(1)
    before, after = random.normal(0.0, 0.02, (10, 3)), random.normal(0.0, 0.02, (10, 3))
    after[:, 0] += 0.08
    found = shifted_p_values(before, after, LEAST)
    assert found[0] <= 0.001
    assert found[1:].min() > 0.01


def test_a_generation_that_one_comparison_lacks_counts_in_the_others_only():
    d = RANDOM(2).normal(0.02, 0.02, (9, 2))
    d[7:, 1] = np.nan
    alone = paired_p_values(d[:7, 1:], LEAST)
    assert paired_p_values(d[:, 1:], LEAST) == pytest.approx(alone)
    assert shifted_p_values(d[:4, 1:], d[4:, 1:], LEAST) == pytest.approx(
        shifted_p_values(d[:4, 1:], d[4:7, 1:], LEAST), abs=0.06
    )
    assert not np.isnan(paired_p_values(d, LEAST)).any()


def test_neither_the_sign_nor_the_order_of_comparisons_matters():
    d = RANDOM(8).normal(0.01, 0.02, (8, 6))
    found = paired_p_values(d, LEAST)
    assert paired_p_values(-d, LEAST) == pytest.approx(found)
    assert paired_p_values(d[:, ::-1], LEAST)[::-1] == pytest.approx(found)
    assert shifted_p_values(d[:4], d[4:], LEAST) == pytest.approx(
        shifted_p_values(d[4:], d[:4], LEAST)
    )


def test_identical_values_are_different_from_nothing():
    assert np.all(paired_p_values(np.zeros((8, 3)), LEAST) == 1.0)
    assert np.all(shifted_p_values(np.ones((6, 3)), np.ones((7, 3)), LEAST) == 1.0)


def test_hundreds_of_comparisons_take_a_tenth_of_a_second_at_most():
    import time

    d = RANDOM(9).normal(0.0, 0.02, (10, 276))  # all pairs of 24 arms
    began = time.process_time()
    paired_p_values(d, LEAST)
    assert time.process_time() - began < 0.1
