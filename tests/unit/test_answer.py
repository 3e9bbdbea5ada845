"""Which backend should train my Keras model, and is it still the same model there? What a table of
runs answers, and what it does not.
"""

import pytest

from harness.experiments.train import answer_document as report
from harness.experiments.train.judge import compare
from harness.records.parity import ArmParity, Parity
from tests.unit.records import record

FAST, SLOW = (3.0, 1.0, 1.1), (3.0, 2.0, 2.2)


def at(minute):
    return f"2026-01-02T03:{minute:02}:00.000+00:00"


def arm(backend, epoch_s=FAST, seeds=(0,), accuracy=0.98, **changes):
    """Runs of one arm, a seed each."""
    return [
        record(
            started_at=at(seed),
            backend=backend,
            seed=seed,
            epoch_s=epoch_s,
            test_accuracy=accuracy + 1e-4 * seed,
            **changes,
        )
        for seed in seeds
    ]


def checked(*runs, **verdicts):
    """A parity check with a verdict on each backend's arm, as the runs need it to be found."""
    arms = tuple(
        ArmParity(
            backend=run.request.backend,
            implementation=run.request.implementation,
            module=run.request.module,
            device=run.measured.device,
            versions=run.measured.versions,
            verdict=verdicts[run.request.backend],
        )
        for run in runs
        if run.request.backend in verdicts
    )
    plain = {
        name: getattr(runs[0].request, name) for name in ("spec_name", "spec", "data", "threads")
    }
    of_run = {name: getattr(runs[0], name) for name in ("harness", "host")}
    about = {"run_id": "check", "seed": 0, "device": "auto", "started_at": at(59), "total_s": 1.0}
    return Parity(**plain, **of_run, **about, verdict="agrees", arms=arms)


def answered(*arms, **verdicts):
    """The answer to runs of these arms, whose parity is as said, where anything is."""
    runs = [run for several in arms for run in several]
    (table,) = compare(runs, parities=[checked(*runs, **verdicts)] if verdicts else [])
    return table.answer


def said(*arms, **verdicts):
    return " ".join(report.sentences(answered(*arms, **verdicts)))


# Who wins


def test_the_arm_of_the_shortest_epochs_is_named_where_no_other_s_overlap_with_them():
    found = answered(arm("torch", SLOW), arm("jax"))
    assert (found.kind, [each.name for each in found.candidates]) == (
        "ahead",
        ["jax/keras", "torch/keras"],
    )
    text = said(arm("torch", SLOW), arm("jax"))
    assert text.startswith(
        "jax/keras trained this Keras model fastest, in a median epoch of 1.05 s; torch/keras "
        "took 2.00 times as long;"
    )


def test_arms_whose_epochs_overlap_are_not_told_apart():
    found = answered(
        arm("jax", (3.0, 1.0, 1.2)),
        arm("torch", (3.0, 1.1, 1.3)),
        arm("tensorflow", (3.0, 9.0, 9.0)),
    )
    assert (found.kind, [each.name for each in found.close]) == (
        "close",
        ["jax/keras", "torch/keras"],
    )
    text = " ".join(report.sentences(found))
    assert "jax/keras and torch/keras cannot be told apart by these runs" in text
    assert "1.10 (1.00-1.20) s, 1.20 (1.10-1.30) s" in text
    assert "tensorflow/keras took 8.18 times as long as jax/keras" in text
    assert "fastest" not in text


def test_arms_that_do_not_train_the_keras_model_are_no_answer():
    native = arm("jax", (3.0, 0.1, 0.1), implementation="native", module="native.jax")
    assert [each.name for each in answered(arm("jax"), arm("torch", SLOW), native).candidates] == [
        "jax/keras",
        "torch/keras",
    ]
    assert said(native) == report.NO_KERAS


def test_a_loop_of_the_harness_s_own_trains_the_keras_model_too():
    compiled = arm("jax", (3.0, 0.1, 0.1), implementation="compiled", module="compiled.jax")
    assert answered(arm("jax"), compiled).candidates[0].name == "jax/compiled"


def test_one_arm_alone_is_compared_with_nothing():
    found = answered(arm("jax"))
    assert found.kind == "alone"
    assert "there is no other arm to compare it with" in said(arm("jax"))


def test_without_an_epoch_after_the_first_there_is_no_time():
    assert said(arm("jax", (3.0,)), arm("torch", (3.0,))) == report.NO_TIME


def test_an_arm_of_which_no_run_finished_is_named():
    assert "No run finished of torch/keras." in said(
        arm("jax"), arm("torch", status="failed", reason="gone")
    )


def test_rows_of_the_same_name_are_named_with_what_they_differ_in():
    gpu = arm("jax", SLOW, device="gpu: NVIDIA H200")
    assert [each.name for each in answered(arm("jax"), gpu).candidates] == [
        "jax/keras on cpu",
        "jax/keras on gpu: NVIDIA H200",
    ]


# Is it the same model there?


@pytest.mark.parametrize("verdict", ["departs", "failed"])
def test_an_arm_whose_parity_departs_or_failed_never_wins_and_that_is_said(verdict):
    arms = (arm("jax"), arm("torch", SLOW))
    found = answered(*arms, jax=verdict, torch="agrees")
    assert [each.name for each in found.candidates] == ["torch/keras"]
    assert [each.name for each in found.barred] == ["jax/keras"]
    text = said(*arms, jax=verdict, torch="agrees")
    assert "jax/keras is left out: " in text
    assert {"departs": "it departs from the referee", "failed": "its parity check failed"}[
        verdict
    ] in text


def test_where_every_arm_is_barred_none_is_recommended():
    arms = (arm("jax"), arm("torch", SLOW))
    assert answered(*arms, jax="departs", torch="failed").kind == "none equal"
    assert said(*arms, jax="departs", torch="failed").startswith("No backend can be recommended")


def test_that_every_arm_agrees_is_said():
    text = said(arm("jax"), arm("torch", SLOW), jax="agrees", torch="agrees")
    assert "it is the same model on each of them" in text
    assert "checked" not in text


def test_a_winner_that_is_not_checked_never_stands_without_that_being_said():
    text = said(arm("jax"), arm("torch", SLOW), torch="agrees")
    assert text.startswith("jax/keras trained this Keras model fastest")
    assert (
        "whether it is the same model on jax/keras has not been checked (nox -s parity does), and "
        "torch/keras agrees" in text
    )
    assert "whether it is the same model on jax/keras and torch/keras has not been checked" in said(
        arm("jax"), arm("torch", SLOW)
    )


# Accuracy


@pytest.mark.parametrize("seeds", [(0,), (0, 1), (0, 1, 2)])
def test_an_arm_of_another_accuracy_never_wins_however_fast_it_is(seeds):
    arms = (
        arm("jax", seeds=seeds, accuracy=0.1),
        arm("torch", SLOW, seeds),
        arm("tensorflow", (3.0, 4.0, 4.0), seeds),
    )
    found = answered(*arms, jax="agrees", torch="agrees", tensorflow="agrees")
    assert found.candidates[0].name == "torch/keras"
    assert [(each.name, each.accuracy_verdict) for each in found.barred] == [
        ("jax/keras", "different")
    ]
    text = " ".join(report.sentences(found))
    assert "jax/keras is left out: its test accuracy is different, 0.100" in text


def test_with_one_seed_a_difference_that_may_be_the_draw_s_bars_no_arm():
    found = answered(arm("jax", accuracy=0.976), arm("torch", SLOW))
    assert [(each.name, each.accuracy_verdict) for each in found.candidates] == [
        ("jax/keras", "inconclusive"),
        ("torch/keras", "reference"),
    ]


def test_accuracies_are_compared_with_the_best_arm_s_that_does_not_depart():
    arms = (
        arm("jax", accuracy=0.999),
        arm("torch", SLOW),
        arm("tensorflow", SLOW, accuracy=0.9801),
    )
    found = answered(*arms, jax="departs", torch="agrees", tensorflow="agrees")
    assert {each.name: each.accuracy_verdict for each in found.candidates} == {
        "torch/keras": "inconclusive",
        "tensorflow/keras": "reference",
    }


# What the runs cannot say


@pytest.mark.parametrize(
    ("n_seeds", "told"), [(1, "with one seed an arm"), (3, "with 3 seeds an arm"), (6, "")]
)
def test_that_runs_followed_one_another_and_how_few_they_are_is_always_said(n_seeds, told):
    text = said(arm("jax", seeds=range(n_seeds)), arm("torch", SLOW, range(n_seeds)))
    assert "These runs followed one another, so every ratio holds the machine's drift" in text
    assert text.endswith("nox -s bench compares.")
    assert told in text if told else "no interval" not in text
