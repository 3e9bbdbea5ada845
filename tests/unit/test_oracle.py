"""The float64 referee, checked by finite differences and by values worked out by hand."""

import numpy as np
import pytest

from harness.referee import oracle
from harness.spec.config import SGD, Adam, Dense, RMSprop, Spec
from harness.spec.initializers import initial_weights

RANDOM = np.random.default_rng(3)
X, Y = RANDOM.random((6, 5)), RANDOM.integers(0, 3, 6)
WEIGHTS = initial_weights(RANDOM.uniform, 5, [("hidden", 7), ("output", 3)], "fan_in_uniform")


def spec(form, optimizer=None):
    last = {"probs": "softmax", "logits": "linear"}[form]
    layers = (
        Dense(name="hidden", units=7, activation="relu"),
        Dense(name="output", units=3, activation=last),
    )
    return Spec(layers=layers, optimizer=optimizer or SGD(name="sgd"), loss_form=form)


@pytest.mark.parametrize("form", ["probs", "logits"])
def test_gradients_are_the_slopes_of_the_loss_by_finite_differences(form):
    weights = {name: weight.astype(np.float64) for name, weight in WEIGHTS.items()}
    _, gradients = oracle.loss_and_gradients(spec(form), weights, X, Y)
    for name, gradient in gradients.items():
        for place in np.ndindex(gradient.shape):
            sides = []
            for shift in (1e-6, -1e-6):
                moved = weights[name].copy()
                moved[place] += shift
                sides.append(
                    oracle.loss_and_gradients(spec(form), weights | {name: moved}, X, Y)[0]
                )
            assert (sides[0] - sides[1]) / 2e-6 == pytest.approx(
                gradient[place], rel=1e-6, abs=1e-9
            )


def test_both_loss_forms_are_one_function_where_nothing_is_clipped():
    weights = {name: weight.astype(np.float64) for name, weight in WEIGHTS.items()}
    (one, slopes), (other, others) = (
        oracle.loss_and_gradients(spec(form), weights, X, Y) for form in ("probs", "logits")
    )
    assert one == pytest.approx(other, rel=1e-14)
    for name, slope in slopes.items():
        np.testing.assert_allclose(slope, others[name], rtol=1e-10, atol=1e-15)


def test_a_confidently_wrong_sample_has_no_gradient_where_clipped_and_one_from_logits():
    weights = {name: np.zeros_like(weight, np.float64) for name, weight in WEIGHTS.items()}
    weights["output/bias"] = np.array([20.0, 0.0, 0.0])
    wrong = np.array([1])
    loss, slopes = oracle.loss_and_gradients(spec("probs"), weights, X[:1], wrong)
    assert loss == pytest.approx(-np.log(1e-7))
    assert not slopes["output/bias"].any()
    loss, slopes = oracle.loss_and_gradients(spec("logits"), weights, X[:1], wrong)
    assert loss == pytest.approx(20.0, abs=1e-8)
    assert slopes["output/bias"][1] == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("optimizer", "moves"),
    [
        (SGD(name="sgd", learning_rate=0.5), (-0.5 * 2, -0.5 * 2)),
        (SGD(name="sgd", learning_rate=0.5, momentum=0.5), (-1.0, -1.5)),
        (
            RMSprop(name="rmsprop", learning_rate=0.5, rho=0.5, epsilon=2.0),
            (-1 / np.sqrt(2 + 2), -1 / np.sqrt(3 + 2)),
        ),
        (
            Adam(name="adam", learning_rate=0.5, beta_1=0.5, beta_2=0.75, epsilon=1.0),
            (-0.5 * 0.5 / 0.5 * 1 / 2, None),
        ),
    ],
    ids=["sgd", "momentum", "rmsprop", "adam"],
)
def test_an_update_is_the_published_equation_worked_out_by_hand(optimizer, moves):
    whole = spec("logits", optimizer)
    weight, slots = (
        np.zeros(1),
        oracle.start(whole, {"hidden/kernel": np.zeros(1, np.float32)}).slots["hidden/kernel"],
    )
    for n_updates, move in enumerate(moves, start=1):  # the gradient is 2 each time
        new, slots = oracle.updated_weight(whole, weight, slots, np.array([2.0]), n_updates)
        if move is not None:
            assert new[0] - weight[0] == pytest.approx(move)
        weight = new
