"""The first epoch on the embedded dataset, where a sample brings a unit within 1e-7 of its kink."""

import numpy as np
import pytest

from harness.experiments.proof import student
from harness.experiments.proof.student import Student
from harness.referee import epoch
from harness.referee.ground import ground
from harness.spec.config import RMSprop
from harness.spec.data import digits
from harness.spec.initializers import initial_weights
from tests.parity.small import SPECS

N_UPDATES = 110
SPEC = SPECS["probs"].model_copy(
    update={
        "batch_size": 128,
        "optimizer": RMSprop(name="rmsprop"),
        "layers": (
            SPECS["probs"].layers[0].model_copy(update={"units": 512}),
            SPECS["probs"].layers[1],
        ),
    }
)


def drawn():
    """Initial weights, and the order of the samples."""
    random = np.random.default_rng(0)
    weights = initial_weights(random.uniform, 784, [("hidden", 512), ("output", 10)])
    return weights, random.permutation(60_000)[None, : N_UPDATES * 128].astype(np.int32)


def followed(parts):
    """The first updates of an epoch on those samples."""
    return ground(SPEC, *drawn(), parts, {"probs"}, ("epoch",)).epochs["probs"]


@pytest.fixture(scope="module")
def samples():
    return digits.make()


@pytest.fixture(scope="module")
def first(samples):
    return followed(samples)


def departs(whole, **parts):
    """Whether a student with those parts departs at the last stop."""
    found = Student(SPEC, "probs", **parts).first_epoch(whole)[N_UPDATES]
    return epoch.examine_epoch(whole, N_UPDATES, found)[0]


def otherwise(layer, z):
    """Slopes of an implementation that decides each z within 1e-6 of 0 the other way."""
    return student.slope(layer, np.where(np.abs(z) < 1e-6, -z, z))


def exchanged(samples, size):
    """Batches of which the third and the second before the last are exchanged."""
    several = list(student.batches(samples, size))
    several[-3], several[-2] = several[-2], several[-3]
    return several


def twice(samples, size):
    several = list(student.batches(samples, size))
    return [*several[:-2], several[-3], several[-1]]


def test_which_way_a_unit_at_its_kink_goes_is_no_departure(first):
    assert departs(first) is None
    assert departs(first, slope=otherwise) is None


def test_it_would_be_one_were_the_samples_at_kinks_trained_on(samples, monkeypatch):
    monkeypatch.setattr(epoch, "NEAR", 0)
    assert departs(followed(samples), slope=otherwise)


@pytest.mark.parametrize("batches", [exchanged, twice])
def test_a_late_defect_is_found(first, batches):
    assert departs(first, batches=batches)


def test_a_few_samples_in_a_hundred_give_their_place_to_another_of_their_batch(first):
    given = drawn()[1][0]
    replaced = np.flatnonzero(first.order != given)
    assert 0 < len(replaced) < 0.04 * len(given)
    assert all(first.order[at] in given[at // 128 * 128 :][:128] for at in replaced)
