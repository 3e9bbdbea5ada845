"""Who has trained so many epochs first: against trying every number of epochs."""

import math

import numpy as np
import pytest

from harness.experiments.bench.lead import Lead, Line, Reign, Rival, break_even, leaders
from harness.experiments.bench.lead_document import (
    fit_sentence,
    lead_sentence,
    unchecked_sentence,
)
from harness.statistics.intervals import Interval

NAN = math.nan


def lines(random, n):
    """Whole seconds: sums are exact, and ties happen."""
    return [
        Line(f"a{index}", float(random.integers(0, 40)), float(random.integers(1, 9)))
        for index in range(n)
    ]


def tried(line, other):
    """The first number of epochs from which on `line` is never behind, by trying 200."""
    behind = [epochs for epochs in range(1, 201) if line.total_s(epochs) > other.total_s(epochs)]
    last = behind[-1] if behind else 0
    return math.inf if last == 200 else last + 1


@pytest.mark.parametrize("draw", range(40))
def test_break_even_is_where_trying_every_number_of_epochs_finds_it(draw):
    line, other = lines(np.random.default_rng(draw), 2)
    assert break_even(line, other) == tried(line, other)


@pytest.mark.parametrize("draw", range(40))
def test_reigns_name_the_first_of_every_number_of_epochs_and_leave_none_out(draw):
    random = np.random.default_rng(draw)
    several = lines(random, int(random.integers(1, 6)))
    found = leaders(several)
    assert [first for _, first, _ in found] == [1, *(last + 1 for _, _, last in found[:-1])]
    assert found[-1][2] is None
    assert len({name for name, _, _ in found}) == len(found)
    named = {line.name: line for line in several}
    for epochs in range(1, 100):
        (name,) = [
            name
            for name, first, last in found
            if first <= epochs and (last is None or epochs <= last)
        ]
        assert named[name].total_s(epochs) == min(line.total_s(epochs) for line in several)


def test_an_arm_that_starts_first_and_is_slower_never_breaks_even_for_good():
    assert break_even(Line("a", 1.0, 2.0), Line("b", 5.0, 1.0)) == math.inf


def test_a_tie_goes_to_whoever_leads_already():
    assert leaders([Line("a", 1.0, 2.0), Line("b", 3.0, 1.0)]) == [
        ("a", 1, 3),
        ("b", 4, None),
    ]  # after 3 epochs both have taken 5 s


def test_nobody_reigns_without_arms():
    assert leaders([]) == []


# The sentence

REIGN = [("jax/keras", 1, 2), ("jax/compiled", 3, None)]
RATIO = Interval(0.31, 0.33, 0.35)
NEXT = Rival("tensorflow/compiled", Interval(1.15, 1.21, 1.27), "slower", "")


def said(reign=REIGN, ratio=RATIO, rivals=(NEXT,), undecided="", baseline="tensorflow/keras"):
    reigns = tuple(Reign(*each) for each in reign)
    return lead_sentence(Lead(baseline, reigns, ratio, tuple(rivals), undecided))


def test_a_sure_winner_is_named_with_how_sure_and_with_who_leads_before():
    assert said() == (
        "jax/compiled trains this model first from 3 epochs on, at 0.33 times tensorflow/keras's "
        "epoch (0.31-0.35 with 95 % confidence); "
        "an epoch of tensorflow/compiled, the next, takes 1.21 times as long (1.15-1.27): longer "
        "with 95 % confidence for "
        "all comparisons of this session together, and by more than the A/A floor. "
        "Up to 2 epochs it is jax/keras."
    )


def test_arms_that_cannot_be_told_from_the_winner_are_named_and_no_lead_is_claimed():
    near = Rival(
        "torch/compiled",
        Interval(0.985, 1.011, 1.043),
        "inconclusive",
        "the interval 0.985-1.043 holds 1",
    )
    text = said(rivals=(near, NEXT))
    assert text.startswith(
        "jax/compiled and torch/compiled cannot be told apart by their epochs (torch/compiled: "
        "1.1 % longer, 0.985-1.043); "
        "by medians jax/compiled trains this model first from 3 epochs on"
    )
    assert "with 95 % confidence for all comparisons" not in text
    assert "tensorflow/compiled" not in text


def test_the_same_speed_is_too_close_to_call_too():
    same = Rival("torch/compiled", Interval(0.995, 1.001, 1.008), "same", "")
    assert "jax/compiled and torch/compiled cannot be told apart" in said(rivals=(same,))
    both = said(rivals=(same, same._replace(name="jax/native")))
    assert both.startswith("jax/compiled, torch/compiled and jax/native cannot be told apart")


def test_those_who_train_by_fit_are_told_which_backend_s_is_shortest_and_which_may_be_as_short():
    slower = Rival("torch/keras", Interval(2.4, 2.64, 2.8), "slower", "")
    close = Rival("tensorflow/keras", Interval(0.99, 1.01, 1.03), "inconclusive", "")
    assert fit_sentence("jax/keras", (close, slower)) == (
        "With compile and fit: jax/keras; tensorflow/keras cannot be told from it (1.0 % longer, "
        "0.990-1.030), "
        "torch/keras takes 2.64 (2.40-2.80) times its epoch."
    )
    assert fit_sentence("jax/keras", ()) == ""


def test_without_enough_generations_the_sentence_says_so_and_what_to_do():
    text = said(ratio=Interval(NAN, 0.33, NAN), undecided="4 generations; a 95 % interval needs 6")
    assert text.startswith(
        "Inconclusive: 4 generations; a 95 % interval needs 6. So far jax/compiled is ahead from "
        "3 epochs on"
    )
    assert text.endswith("Run more generations, on a quiet machine.")
    assert "nan" not in text


def test_a_baseline_that_wins_is_not_compared_with_itself():
    text = said(reign=[("tensorflow/keras", 1, None)], ratio=Interval(1.0, 1.0, 1.0))
    assert text.startswith(
        "tensorflow/keras, the baseline, trains this model first for any number of epochs; "
    )


def test_one_arm_alone_wins_nothing():
    assert "nothing to compare it with" in said(reign=[("jax/keras", 1, None)], rivals=())


def test_nothing_measured_is_said_as_that():
    assert said(reign=[], ratio=None, rivals=()).startswith("Nothing can be said yet")


def test_arms_that_were_not_held_to_the_referee_are_named_and_none_where_all_were():
    assert unchecked_sentence([], 3, "") == ""
    assert unchecked_sentence(["a", "b"], 3, "this").startswith(
        "a, b: not checked against the referee, so equal numbers are not known"
    )
    assert unchecked_sentence(["a", "b"], 2, "this").startswith(
        "No arm was checked against the referee, so equal numbers are not known"
    )
