"""Trainings left to themselves: what is gated, what is not, and what verdict they leave."""

import numpy as np
import pytest

from harness.experiments.parity import free_run
from harness.job.arm import ArmId
from harness.records.parity import FreeRun, Pair
from tests.parity.small import SPECS, check_with

ARM = ArmId.of("jax", "jax", "keras", "keras_fit", {})
KERNELS = {"hidden/kernel": np.ones((4, 3)), "output/kernel": np.ones((3, 2))}


def end(drift, update="1"):
    """An arm's run whose kernels lie that far from the referee's after one update."""
    return {
        f"at-{update}/{name}": (kernel * (1 + drift)).astype(np.float64)
        for name, kernel in KERNELS.items()
    }


def course(envelope):
    return free_run.Course({1: KERNELS}, {1: envelope})


def judged(drift, envelope):
    return free_run._judge_run(ARM, 0, end(drift), course(envelope), 0.98)


@pytest.mark.parametrize(
    ("drift", "envelope", "verdict"),
    [
        (5e-7, 2e-8, "agrees"),
        (2e-6, 2e-8, "departs"),
        (2e-6, 6e-7, "agrees"),  # float32 itself drifts so far
        (0.5, 2e-2, "agrees"),  # past the chaos limit weights say nothing
        (float("nan"), 2e-8, "departs"),
    ],
)
def test_weights_are_gated_only_while_float32_lets_them_be_compared(drift, envelope, verdict):
    run = judged(drift, envelope)
    assert run.verdict == verdict
    assert (run.gates["1"] is None) == (envelope > free_run.CHAOS)


@pytest.mark.parametrize(
    ("n_train", "batch_size", "updates"),
    [
        (60_000, 128, [1, 2, 5, 10, 20, 50, 100, 200, 469]),
        (60_000, 5_500, [1, 2, 5, 10, 11]),
        (60_000, 6_000, [1, 2, 5, 10]),
        (60_000, 20_000, [1, 2, 3]),
        (60_000, 60_000, [1]),
    ],
)
def test_a_training_is_read_out_in_its_first_epoch_however_few_updates_that_has(
    n_train, batch_size, updates
):
    found = free_run._updates(SPECS["probs"].model_copy(update={"batch_size": batch_size}), n_train)
    assert found == updates
    course = free_run.Course(dict.fromkeys(found, KERNELS), dict.fromkeys(found, 2e-8))
    ends = {name: value for update in found for name, value in end(0, update).items()}
    run = free_run._judge_run(ARM, 0, ends, course, 0.98)
    assert list(run.drift) == list(run.gates) == [str(update) for update in found]
    held = {update for update in found if run.gates[str(update)] is not None}
    assert held == {1, 10, updates[-1]} & {*found}, "between these one flip of a unit decides"


def run(verdict="agrees"):
    return FreeRun(
        backend="jax",
        implementation="keras",
        seed=0,
        test_accuracy=0.98,
        drift={},
        gates={},
        verdict=verdict,
    )


def pair(verdict="equivalent"):
    several = {
        "seeds": (0,),
        "flips": (1,),
        "n_d_class": (1,),
        "d_mad": (0.1,),
        "barrier": (0.0,),
        "difference_points": (0.1,),
    }
    return Pair(one="jax/keras", other="torch/keras", **several, verdict=verdict)


@pytest.mark.parametrize(
    ("before", "runs", "pairs", "after"),
    [
        ("agrees", ["agrees"], ["equivalent"], "agrees"),
        ("agrees", ["agrees"], ["equivalent", "inconclusive"], "inconclusive"),
        ("agrees", ["agrees", "departs"], ["inconclusive"], "chaotic"),
        ("agrees", ["agrees"], ["different"], "departs"),
        ("departs", ["agrees"], ["equivalent"], "departs"),
        ("failed", ["departs"], ["inconclusive"], "failed"),
    ],
)
def test_the_verdict_of_updates_goes_first_and_what_is_not_shown_is_no_pass(
    before, runs, pairs, after
):
    found = {"free_runs": tuple(map(run, runs)), "pairs": tuple(map(pair, pairs))}
    assert check_with(before).model_copy(update=found).judge() == after
