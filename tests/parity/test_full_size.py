"""The gate fails where it must, and only there: at full size, on NumPy, with no backend's
environment.
"""

from functools import cache

import numpy as np
import pytest

from harness.experiments.proof import made_up, sensitivity
from harness.experiments.proof import prove as proof
from harness.experiments.proof.defects import DEFECTS, specs
from harness.experiments.proof.null_changes import ORDERS
from harness.experiments.proof.student import Student
from harness.referee import gates
from harness.referee.ground import ground
from harness.spec.initializers import initial_weights

SPECS = specs()
N_SEEDS = 2
LEAST_MARGIN = 3  # of any gate over all null changes


@cache
def reference(name, seed=0):
    """What a spec's students are held to; of rmsprop-probs in both forms that its defects need."""
    losses = {SPECS[name].loss_form} | {defect.loss for defect in DEFECTS if defect.spec == name}
    return made_up.reference_of(SPECS[name], losses if seed == 0 else {SPECS[name].loss_form}, seed)


@cache
def nulls(name, seed):
    return tuple(proof.try_nulls(proof.Trial(name, reference(name, seed), seed), n_twins=3))


@cache
def whole_epoch(name):
    """The same of the whole first epoch."""
    losses = {defect.loss for defect in DEFECTS if defect.spec == name and defect.late}
    return made_up.epoch_reference_of(SPECS[name], losses)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_planted_defect_is_caught_where_it_must_be(defect):
    kill = proof.plant(whole_epoch(defect.spec) if defect.late else reference(defect.spec), defect)
    assert kill.stage == defect.at, defect.why
    assert kill.production, "and in a program that lays nothing open"


@pytest.mark.parametrize("seed", range(N_SEEDS))
@pytest.mark.parametrize("name", SPECS)
def test_what_must_not_matter_is_no_alarm(name, seed):
    alarms = [(null.name, departure) for null in nulls(name, seed) for departure in null.alarms]
    assert alarms == []


@pytest.mark.parametrize("name", ["rmsprop-probs", "sgd-probs", "momentum-logits"])
def test_what_must_not_matter_is_no_alarm_in_a_whole_epoch_and_leaves_every_gate_a_margin(name):
    several = tuple(proof.try_nulls_on_epoch(proof.Trial(name, whole_epoch(name))))
    assert [null.alarms for null in several] == [()] * len(proof.ORDERS_OF_EPOCH)
    margins = proof.least_margins(several)
    assert {kind for kind, _ in margins} >= {"epoch loss", "epoch update"}
    assert min(margins.values()) > LEAST_MARGIN, margins


def test_two_hundred_comparisons_and_more_leave_every_gate_a_margin():
    several = [null for name in SPECS for seed in range(N_SEEDS) for null in nulls(name, seed)]
    assert sum(null.n_comparisons for null in several) >= 200
    margins = proof.least_margins(several)
    assert {kind for kind, _ in margins} >= {
        *gates.CHECKS,
        "loop loss",
        "loop accuracy",
        "loop slot",
        "loop update",
    }
    assert min(margins.values()) > LEAST_MARGIN, margins


def test_the_same_run_again_is_the_same_to_the_bit():
    name, form = "rmsprop-probs", "probs"
    one, two = (proof.student_answer(reference(name), Student(SPECS[name], form)) for _ in range(2))
    for first, second in zip(one.traces, two.traces, strict=True):
        assert first.raw.keys() == second.raw.keys()
        assert all(
            np.asarray(value).tobytes() == np.asarray(second.raw[key]).tobytes()
            for key, value in first.raw.items()
        )
    assert all(
        value.tobytes() == two.loops["init"][key].tobytes()
        for key, value in one.loops["init"].items()
    )


@pytest.mark.parametrize(
    "order", sorted(ORDERS.keys() - {"no change", "products transposed"})
)  # these by some libraries only
def test_a_null_change_does_change_the_sums(order):
    point = reference("rmsprop-probs").points["adversarial"]
    plain, other = (
        Student(SPECS["rmsprop-probs"], "probs", **parts).trace(point)["instrumented"]
        for parts in ({}, ORDERS[order])
    )
    assert plain["gradient/hidden/kernel"].tobytes() != other["gradient/hidden/kernel"].tobytes()


@pytest.mark.parametrize("target", sensitivity.TARGETS, ids=lambda target: target.name)
def test_an_error_as_small_as_is_promised_is_seen(target):
    assert proof.stage_at(reference("rmsprop-probs"), target.parts(target.promised))


@cache
def later(name):
    """Points along 100 updates, where logits are large and columns of gradients small."""
    random, spec = np.random.default_rng(11), SPECS[name]
    n = 100 * spec.batch_size
    weights = initial_weights(
        random.uniform, 784, [(layer.name, layer.units) for layer in spec.layers]
    )
    order = random.permutation(n)[None].astype(np.int32)
    parts = made_up.samples(n, random)
    other = random.random(n) < 0.1  # or every sample is learnt, and 1 - p is but its rounding
    parts["y_train"][other] = random.integers(0, 10, int(other.sum()))
    return ground(spec, weights, order, parts, {spec.loss_form}, ("init", "resync-3", "resync-100"))


@pytest.mark.parametrize("name", ["rmsprop-probs", "adam-logits"])
def test_what_must_not_matter_is_no_alarm_along_training(name):
    form = SPECS[name].loss_form
    for parts in ORDERS.values():
        assert (
            proof.find_departures(
                later(name),
                proof.student_answer(later(name), Student(SPECS[name], form, **parts), loops=False),
                form,
                {},
            )[1]
            == []
        )
