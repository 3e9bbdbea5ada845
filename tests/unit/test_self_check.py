"""The checks of the bench itself can fail: each with what it is for, planted."""

import re

import pytest

from harness.experiments.bench import self_check
from harness.experiments.bench import self_check_document as report
from harness.job.answers import ClockCheck, Refusal
from harness.records.bench import Sitting
from harness.report import terminal
from tests.unit.benches import bench, turn

ANSWER = {"holds": True, "timed_s": 0.3, "left_s": 0.0, "call_s": 0.01, "asynchronous": True}


def holds(checks, words):
    (found,) = [check for check in checks if words in check.promise]
    return found.holds


def with_turns(**changes):
    """A session in which one turn is another."""
    whole = bench(n_generations=6)
    first = whole.blocks[0]
    name = first.order[0]
    return whole.model_copy(
        update={
            "blocks": (
                first.model_copy(update={"turns": first.turns | {name: turn(1.0, **changes)}}),
                *whole.blocks[1:],
            )
        }
    )


def test_a_clock_that_does_not_wait_fails_and_a_backend_that_cannot_be_asked_is_open():
    found = self_check.clock_checks(
        {
            "jax": ClockCheck(**ANSWER),
            "torch": ClockCheck(**ANSWER | {"holds": False, "left_s": 0.3}),
            "numpy": Refusal(reason="environment missing"),
        }
    )
    assert [check.holds for check in found] == [True, False, None]


def test_one_program_compiled_in_a_turn_fails():
    assert holds(self_check.session_checks(with_turns()), "compiles") is True
    assert holds(self_check.session_checks(with_turns(n_compiles=1)), "compiles") is False


def test_a_parent_that_polls_fails():
    assert holds(self_check.session_checks(with_turns()), "parent") is True
    assert holds(self_check.session_checks(with_turns(parent_s=50.0)), "parent") is False


@pytest.mark.parametrize(("busy_s", "expected"), [(99.0, True), (97.0, False)])
def test_a_harness_that_costs_more_than_its_share_fails(busy_s, expected):
    whole = bench(n_generations=6).with_part(
        Sitting(number=1, outcome="complete", total_s=100.0, busy_s=busy_s)
    )
    assert holds(self_check.session_checks(whole), "own cost") is expected


def test_little_noise_leaves_the_promises_and_much_of_it_takes_the_power():
    quiet, loud = (
        self_check.error_rate_checks(bench(process=sd, noise=sd), n_sessions=60)
        for sd in (0.005, 0.08)
    )
    assert [check.holds for check in quiet] == [True, True]
    assert holds(loud, "slower by 5%") is False


def test_a_session_too_short_for_its_noise_is_told_which_length_is_enough():
    checks = self_check.error_rate_checks(
        bench(process=0.02, noise=0.04, draw=4, n_generations=10), n_sessions=100
    )
    (said,) = (check.found for check in checks if "slower by 5%" in check.promise)
    asked = re.search(r"with --generations (\d+) --blocks (\d+) it is (\d+)", said)
    assert asked, said
    assert int(asked[1]) > 10
    assert int(asked[3]) >= 95


def test_without_enough_generations_nothing_is_said_of_errors_and_power():
    assert [check.holds for check in self_check.error_rate_checks(bench(n_generations=5))] == [
        None,
        None,
    ]


def test_each_check_is_shown_with_its_mark(capsys):
    from rich.console import Console

    checks = [self_check.Check("a", "b", holds) for holds in (True, False, None)]
    terminal.show(report.compose(checks, "x"), Console(width=60))
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == [
        "holds",
        "FAILS",
        "open",
    ]
