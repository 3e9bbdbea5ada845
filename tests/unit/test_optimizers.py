"""Optimizers by hand on NumPy against the float64 referee, and against each way in which others
differ.
"""

import numpy as np
import pytest

from harness.referee import oracle
from harness.worker import optimizers
from tests.backend import cases

LIMIT = 1e-6  # of the largest change that any element made
INPUTS = cases.inputs()


def twenty(settings, rule=None):
    """The weight after 20 updates by hand, in float32."""
    weight = INPUTS["start_kernel"]
    own, names = optimizers.rule_of(settings)
    slots = tuple(np.zeros_like(weight) for _ in names)
    for step, gradient in enumerate(INPUTS["gradient_kernel"], start=1):
        weight, slots = (rule or own)(weight, gradient, slots, np.float32(step), settings, np.sqrt)
    return weight


def apart(weight, optimizer):
    spec, start = cases.spec(optimizer, "logits"), INPUTS["start_kernel"].astype(np.float64)
    exact, slots = (
        start,
        oracle.start(spec, {"hidden/kernel": INPUTS["start_kernel"]}).slots["hidden/kernel"],
    )
    for step, gradient in enumerate(INPUTS["gradient_kernel"], start=1):
        exact, slots = oracle.updated_weight(spec, exact, slots, gradient.astype(np.float64), step)
    return np.max(np.abs(weight - exact)) / np.max(np.abs(exact - start))


@pytest.mark.parametrize("optimizer", cases.OPTIMIZERS)
def test_twenty_updates_by_hand_are_the_referee_s(optimizer):
    weight = twenty(cases.OPTIMIZERS[optimizer])
    assert weight.dtype == np.float32
    assert apart(weight, optimizer) <= LIMIT


def outside_the_root(weight, gradient, slots, step, settings, sqrt):
    square = slots[0] * settings.rho + gradient * gradient * (1 - settings.rho)
    return weight - gradient * settings.learning_rate / (sqrt(square) + settings.epsilon), (square,)


def corrected_first(weight, gradient, slots, step, settings, sqrt):
    mean = slots[0] + (gradient - slots[0]) * (1 - settings.beta_1)
    square = slots[1] + (gradient * gradient - slots[1]) * (1 - settings.beta_2)
    root = sqrt(square / (1 - np.float32(settings.beta_2) ** step))
    return weight - settings.learning_rate * mean / (1 - np.float32(settings.beta_1) ** step) / (
        root + settings.epsilon
    ), (mean, square)


def uncorrected(weight, gradient, slots, step, settings, sqrt):
    mean = slots[0] + (gradient - slots[0]) * (1 - settings.beta_1)
    square = slots[1] + (gradient * gradient - slots[1]) * (1 - settings.beta_2)
    return weight - settings.learning_rate * mean / (sqrt(square) + settings.epsilon), (
        mean,
        square,
    )


def rate_outside(weight, gradient, slots, step, settings, sqrt):
    velocity = slots[0] * settings.momentum + gradient * (1 - settings.momentum)
    return weight - velocity * settings.learning_rate, (velocity,)


@pytest.mark.parametrize(
    ("optimizer", "defect"),
    [
        ("rmsprop", outside_the_root),
        ("adam", corrected_first),
        ("adam", uncorrected),
        ("momentum", rate_outside),
    ],
)
def test_another_form_of_the_equation_is_seen(optimizer, defect):
    assert apart(twenty(cases.OPTIMIZERS[optimizer], defect), optimizer) > 10 * LIMIT


def test_a_learning_rate_one_part_in_a_hundred_thousand_off_is_seen():
    settings = cases.OPTIMIZERS["rmsprop"].model_copy(update={"learning_rate": 0.001 * (1 + 1e-5)})
    assert apart(twenty(settings), "rmsprop") > LIMIT


def test_an_optimizer_counts_its_updates_and_renews_its_slots():
    optimizer = optimizers.Optimizer.start(
        cases.OPTIMIZERS["adam"], [np.ones(2, np.float32)], np.zeros_like
    )
    (weight,) = optimizer.update([np.ones(2, np.float32)], [np.full(2, 3, np.float32)], np.sqrt)
    assert optimizer.step == 1
    np.testing.assert_allclose(optimizer.slots[0][0], 0.3, rtol=1e-6)
    np.testing.assert_allclose(
        weight, 1 - 0.001, rtol=1e-6
    )  # the first step of Adam is the learning rate
