"""The whole first epoch: what departs in it, at which update, and what is no departure."""

from dataclasses import replace

import numpy as np
import pytest

from harness.experiments.parity import narrow
from harness.experiments.parity.gather import ArmAnswer
from harness.experiments.parity.judge import judge_arm, owed_traces
from harness.experiments.proof import prove as proof
from harness.experiments.proof import student
from harness.experiments.proof.student import Student
from harness.referee import epoch as whole
from harness.referee.ground import ground
from harness.spec.config import SGD, Adam, RMSprop
from harness.spec.initializers import initial_weights
from tests.parity.small import SPECS, planned

N_UPDATES = 150
N = 32 * (N_UPDATES - 1) + 24  # the last batch is short


def reference(form="probs"):
    """A small network's first epoch, as the gate has it with `--point epoch`."""
    random, spec = np.random.default_rng(6), SPECS[form]
    parts = {
        "x_train": random.integers(0, 256, (N, 4, 4)).astype(np.uint8),
        "y_train": random.integers(0, 10, N).astype(np.uint8),
    }
    weights = initial_weights(random.uniform, 16, [("hidden", 8), ("output", 10)])
    return ground(
        spec,
        weights,
        random.permutation(N)[None].astype(np.int32),
        parts,
        {spec.loss_form},
        ("epoch",),
    )


PROBS, LOGITS = reference(), reference("logits")
REFERENCES = {"probs": PROBS, "logits": LOGITS}


def heard(form="probs", **parts):
    student = Student(SPECS[form], SPECS[form].loss_form, **parts)
    return proof.student_answer(REFERENCES[form], student)


def replaced(at, by):
    """Batches of which one is another one."""

    def batches(samples, size):
        several = list(student.batches(samples, size))
        return [several[by] if index == at else batch for index, batch in enumerate(several)]

    return {"batches": batches}


def faster(first, last):
    """A rate that is a tenth larger for a while."""

    def update(this):
        rate = this.settings.learning_rate * (1.1 if first <= this.number <= last else 1)
        settings = this.settings.model_copy(update={"learning_rate": rate})
        return student.update(replace(this, settings=settings))

    return {"update": update}


@pytest.mark.parametrize("form", REFERENCES)
def test_a_right_arm_agrees_and_is_held_to_every_reading_of_the_epoch(form):
    arm = judge_arm(REFERENCES[form], heard(form), planned(form), {})
    assert (arm.verdict, arm.scope) == ("agrees", "part")
    assert arm.covers == ("epoch update-10", "epoch update-100", "epoch update-150")


@pytest.mark.parametrize("form", REFERENCES)
@pytest.mark.parametrize(
    ("parts", "reading"),
    [
        (replaced(4, 3), "update-10"),
        (replaced(60, 59), "update-100"),
        (replaced(120, 119), "update-150"),
        (replaced(N_UPDATES - 2, 0), "update-150"),
        (faster(3, 5), "update-10"),
        (faster(101, 149), "update-150"),
    ],
)
def test_what_happens_between_the_states_is_seen_at_the_next_reading(form, parts, reading):
    arm = judge_arm(REFERENCES[form], heard(form, **parts), planned(form), {})
    assert arm.verdict == "departs"
    assert (arm.departures[0].program, arm.departures[0].point) == ("epoch", reading)


@pytest.mark.parametrize("stop", [10, 100, 150])
def test_an_arm_that_leaves_out_a_reading_has_failed(stop):
    found = heard()
    del found.epochs[stop]
    arm = judge_arm(PROBS, found, planned(), {})
    assert (arm.verdict, arm.reason) == (
        "failed",
        f"no trace of epoch update-{stop}: nothing of it is checked",
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_updates": np.asarray(149)}, "expected 150; received 149"),
        ({"loss": np.asarray(np.nan)}, "1 elements are not finite"),
        (
            {"weight/hidden/kernel": np.zeros((8, 16), np.float32)},
            "expected shape (16, 8); received (8, 16)",
        ),
        ({"slot/hidden/bias/square": None}, "missing"),
        ({"weight/output/bias": None}, "missing"),
        ({"loss": None}, "missing"),
    ],
)
def test_what_cannot_be_compared_is_a_departure_that_says_so(change, said):
    found = {
        name: value for name, value in (heard().epochs[150] | change).items() if value is not None
    }
    finding, _ = whole.examine_epoch(PROBS.epochs["probs"], 150, found)
    assert finding.said == said


def test_an_arm_that_begins_anew_owes_no_epoch():
    arm = planned(options={"flavour": "idiomatic"})
    assert owed_traces(PROBS, arm) == ()


@pytest.mark.parametrize(
    ("optimizer", "rate"),
    [
        (RMSprop(name="rmsprop", learning_rate=1e-3), 1e-5),
        (Adam(name="adam", learning_rate=3e-4), 3e-6),
        (SGD(name="sgd", learning_rate=1e-3), 1e-3),
        (SGD(name="sgd", learning_rate=1.0), 1e-2),
        (SGD(name="sgd", learning_rate=0.01, momentum=0.9), 1e-3),
    ],
)
def test_the_epoch_keeps_the_spec_s_own_optimizer_at_a_rate_that_lets_float32_be_compared(
    optimizer, rate
):
    spec = SPECS["probs"].model_copy(update={"optimizer": optimizer})
    slow = whole.calm(spec)
    assert slow.optimizer.learning_rate == pytest.approx(rate)
    assert slow == spec.model_copy(update={"optimizer": slow.optimizer})
    assert slow.optimizer == optimizer.model_copy(
        update={"learning_rate": slow.optimizer.learning_rate}
    )


def test_an_epoch_without_a_clipped_probability_is_worked_out_once_for_both_forms():
    first = PROBS.epochs["probs"]
    epochs = whole.follow(
        SPECS["probs"], first.start, first.read, first.order, (10,), {"probs", "unclipped"}
    )
    assert epochs["probs"].quantities is epochs["unclipped"].quantities


def test_an_epoch_with_a_clipped_probability_is_worked_out_for_each_form():
    first = PROBS.epochs["probs"]
    sure = replace(
        first.start,
        weights={name: value * np.float32(400) for name, value in first.start.weights.items()},
    )
    epochs = whole.follow(
        SPECS["probs"], sure, first.read, first.order, (10,), {"probs", "unclipped"}
    )
    exact = [epochs[loss].quantities[10]["update/output/kernel"] for loss in ("probs", "unclipped")]
    assert not np.allclose(*exact)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (first, last)
        for last in (1, 2, 7, 8, 9, 64, 469, 4690)
        for first in range(1, last + 1, 1 + last // 40)
    ],
)
def test_the_first_update_that_departs_is_found_in_few_questions(first, last):
    asked = []

    def departs(stops):
        asked.append(stops)
        assert stops == tuple(sorted(set(stops)))
        assert len(stops) <= narrow.N_AT_ONCE
        return [stop >= first for stop in stops]

    assert narrow.first_departing(departs, 0, last) == (first - 1, first)
    assert len(asked) <= 5


def test_a_search_that_gets_no_answer_keeps_what_it_knows():
    assert narrow.first_departing(lambda stops: None, 100, 469) == (100, 469)


@pytest.mark.parametrize(
    ("parts", "update"), [(replaced(120, 119), 121), (faster(37, 90), 37), (replaced(1, 0), 2)]
)
def test_the_update_at_which_it_departs_is_named(monkeypatch, parts, update):
    def traces(planned, reference, executor, say):  # the student in a worker's place
        student = Student(reference.spec, "probs", **parts)
        return {each.request.arm.name: proof.student_answer(reference, student) for each in planned}

    monkeypatch.setattr(narrow, "gather_traces", traces)
    arm = judge_arm(PROBS, heard(**parts), planned(), {})
    named = narrow.name_update(arm, planned(), PROBS, None, lambda what: None)
    assert (
        f"it agrees as far as update {update - 1}, and departs as far as update {update}"
        in named.departures[0].fit
    )
    assert named.departures[0].fit in named.reason


def test_a_worker_that_fails_on_the_way_leaves_the_interval(monkeypatch):
    monkeypatch.setattr(
        narrow, "gather_traces", lambda *rest: {"jax/keras": ArmAnswer(failure="killed")}
    )
    arm = judge_arm(PROBS, heard(**replaced(60, 59)), planned(implementation="keras"), {})
    named = narrow.name_update(arm, planned(implementation="keras"), PROBS, None, lambda what: None)
    assert (
        "it agrees as far as update 10, and departs as far as update 100" in named.departures[0].fit
    )
