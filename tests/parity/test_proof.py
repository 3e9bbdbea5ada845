"""The gate fails where it must, and only there: at full size, on NumPy, with no backend's environment."""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest

from harness.judge.parity import gates, proof, sensitivity
from harness.judge.parity.mutants import DEFECTS, ORDERS, specs
from harness.judge.parity.student import Student

SPECS = specs()
N_SEEDS = 3
LEAST_MARGIN = 1.5  # of any gate over all null changes


@cache
def bed(name, seed=0):
    """What a spec's students are held to; of rmsprop-probs in both forms that its defects need."""
    losses = {SPECS[name].loss_form} | {defect.loss for defect in DEFECTS if defect.spec == name}
    return proof.bed_of(SPECS[name], losses if seed == 0 else {SPECS[name].loss_form}, seed)


@cache
def nulls(name, seed):
    return tuple(proof.nulls(name, bed(name, seed), seed, n_twins=4))


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_planted_defect_is_caught_where_it_must_be(defect):
    kill = proof.kill(bed(defect.spec), defect)
    assert kill.stage == defect.at, defect.why


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_planted_defect_is_caught_in_a_program_that_lays_nothing_open(defect):
    assert proof.kill(bed(defect.spec), defect).production


@pytest.mark.parametrize("seed", range(N_SEEDS))
@pytest.mark.parametrize("name", SPECS)
def test_what_must_not_matter_is_no_alarm(name, seed):
    alarms = [(null.name, departure) for null in nulls(name, seed) for departure in null.alarms]
    assert alarms == []


def test_two_hundred_comparisons_and_more_leave_every_gate_a_margin():
    several = [null for name in SPECS for seed in range(N_SEEDS) for null in nulls(name, seed)]
    assert sum(null.n_comparisons for null in several) >= 200
    margins = proof.least(several)
    assert {kind for kind, _ in margins} >= {*gates.CHECKS, "loop loss", "loop accuracy", "loop slot", "loop update"}
    assert min(margins.values()) > LEAST_MARGIN, margins


def test_the_same_run_again_is_the_same_to_the_bit():
    name, form = "rmsprop-probs", "probs"
    one, two = (proof.heard(bed(name), form, Student()) for _ in range(2))
    for first, second in zip(one.traces, two.traces, strict=True):
        assert first.raw.keys() == second.raw.keys()
        assert all(np.asarray(value).tobytes() == np.asarray(second.raw[key]).tobytes() for key, value in first.raw.items())
    assert all(value.tobytes() == two.loops["init"][key].tobytes() for key, value in one.loops["init"].items())


@pytest.mark.parametrize("order", ORDERS.keys() - {"no change"})
def test_a_null_change_does_change_something(order):
    """Or it would show nothing."""
    point = bed("rmsprop-probs").points["adversarial"]
    plain, other = (
        replace(Student(), **parts).trace(SPECS["rmsprop-probs"], "probs", point)["instrumented"] for parts in ({}, ORDERS[order])
    )
    assert plain["gradient/hidden/kernel"].tobytes() != other["gradient/hidden/kernel"].tobytes()


@pytest.mark.parametrize("target", sensitivity.TARGETS, ids=lambda target: target.name)
def test_an_error_as_small_as_is_promised_is_seen(target):
    assert proof.stage_at(bed("rmsprop-probs"), target.parts(target.promised))


@pytest.mark.parametrize(("kind", "check"), [(kind, check) for kind, checks in gates.CHECKS.items() for check in checks])
def test_a_cap_is_at_most_twenty_times_the_noise_floor(kind, check):
    floors = [
        floor
        for name, spec in SPECS.items()
        for seed in range(N_SEEDS)
        for (_, form), of_point in bed(name, seed).floors.items()
        for (quantity, measure), floor in of_point.items()
        if (gates.kind_of(spec, quantity), measure, form) == (kind, check.measure, spec.loss_form)
    ]
    assert check.cap <= 20 * max(floors), f"floor {max(floors):.2g}"
