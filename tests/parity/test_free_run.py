"""Trainings left to themselves: what is gated, what is not, and what verdict they leave."""

import numpy as np
import pytest

from harness.judge.parity import free_run
from harness.records.parity import FreeRun, Pair

KERNELS = {"hidden/kernel": np.ones((4, 3)), "output/kernel": np.ones((3, 2))}


def end(drift, update="1"):
    """An arm's run whose kernels lie that far from the referee's after one update."""
    return {f"at-{update}/{name}": (kernel * (1 + drift)).astype(np.float64) for name, kernel in KERNELS.items()}


def course(envelope):
    return free_run.Course({1: KERNELS}, {1: envelope})


def judged(drift, envelope, monkeypatch):
    monkeypatch.setattr(free_run, "CAPS", (1e-6,))
    return free_run._judged("jax/keras", 0, end(drift), course(envelope), 0.98)


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
def test_weights_are_gated_only_while_float32_lets_them_be_compared(drift, envelope, verdict, monkeypatch):
    run = judged(drift, envelope, monkeypatch)
    assert run.verdict == verdict
    assert (run.gates["1"] is None) == (envelope > free_run.CHAOS)


def run(verdict="agrees"):
    return FreeRun(backend="jax", implementation="keras", seed=0, test_accuracy=0.98, drift={}, gates={}, verdict=verdict)


def pair(verdict="equivalent"):
    several = {"seeds": (0,), "flips": (1,), "n_d_class": (1,), "d_mad": (0.1,), "barrier": (0.0,), "difference_points": (0.1,)}
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
def test_the_verdict_of_updates_goes_first_and_what_is_not_shown_is_no_pass(before, runs, pairs, after):
    assert free_run.whole(before, [run(each) for each in runs], [pair(each) for each in pairs]) == after
