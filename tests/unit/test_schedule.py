"""Orders of turns: balanced, and the same for the same session."""

from collections import Counter
from itertools import pairwise

import pytest

from harness.experiments.bench import schedule

NAMES = [f"arm {index}" for index in range(9)]


@pytest.mark.parametrize("n", range(2, 10))
def test_in_a_williams_design_everybody_has_every_place_and_follows_everybody_equally_often(n):
    rows = schedule.williams(n)
    times = len(rows) // n
    assert all(sorted(row) == list(range(n)) for row in rows)
    places = Counter((place, who) for row in rows for place, who in enumerate(row))
    follows = Counter(pair for row in rows for pair in pairwise(row.tolist()))
    assert set(places.values()) == {times}
    assert len(follows) == n * (n - 1)
    assert set(follows.values()) == {times}


@pytest.mark.parametrize("n", [2, 3, 7, 8])
def test_a_session_begins_with_a_whole_design_and_goes_on_with_shuffles(n):
    rows = len(schedule.williams(n))
    orders = [schedule.turns(NAMES[:n], 5, block) for block in range(rows + 40)]
    assert all(sorted(order) == NAMES[:n] for order in orders)
    follows = Counter(pair for order in orders[:rows] for pair in pairwise(order))
    assert len(set(follows.values())) == 1
    assert len(set(orders[rows:])) > 1


def test_orders_are_the_session_s_own_and_the_same_whenever_they_are_asked_for():
    first, again, other = (
        [schedule.turns(NAMES, seed, block) for block in range(30)] for seed in (1, 1, 2)
    )
    assert first == again != other


def test_processes_start_in_an_order_that_changes_from_generation_to_generation():
    orders = [schedule.starts(NAMES[:4], 0, generation) for generation in range(1, 9)]
    assert all(sorted(order) == NAMES[:4] for order in orders)
    assert set(Counter(order[0] for order in orders[:4]).values()) == {1}, (
        "each is first once in as many generations as there are"
    )


def test_every_process_has_its_own_hash_seed_and_length_of_environment_the_same_when_asked_again():
    found = [
        schedule.process_variables(0, generation, which, 1)
        for generation in range(1, 9)
        for which in range(4)
    ]
    assert len({each["PYTHONHASHSEED"] for each in found}) == len(found)
    assert len({len(each["HARNESS_PADDING"]) for each in found}) > len(found) / 2
    assert schedule.process_variables(0, 1, 2, 3) == schedule.process_variables(0, 1, 2, 3)
