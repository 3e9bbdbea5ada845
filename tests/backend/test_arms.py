"""Every arm against the float64 referee: one update from equal inputs, in both loss forms, with
every optimizer.
"""

import numpy as np
import pytest

from harness.referee import oracle
from tests.backend import cases
from tests.backend.conftest import ARMS, BACKENDS

EQUAL = [arm for arm in ARMS if arm[1] != "native-idiomatic"]
IDIOMATIC = [arm for arm in ARMS if arm[1] == "native-idiomatic"]
LIMITS = {"kernel": 1e-6, "bias": 1e-5}  # relative Frobenius norm


@pytest.fixture(scope="module")
def referee():
    inputs = cases.inputs()
    start = {name: inputs[name] for name in cases.WEIGHTS}

    def after(spec, *batches):
        network, loss = oracle.start(spec, start), 0.0
        for batch in batches:
            network, loss = oracle.step(spec, network, inputs["x"][batch], inputs["y"][batch])
        return network.weights, loss

    return after


def distance(received, exact):
    return float(np.linalg.norm(received.astype(np.float64) - exact) / np.linalg.norm(exact))


@pytest.mark.parametrize(("backend", "implementation"), EQUAL)
@pytest.mark.parametrize("case", cases.SPECS)
def test_one_update_from_equal_inputs_is_the_referee_s(
    probed, referee, backend, implementation, case
):
    found = probed(backend)
    weights, loss = referee(cases.SPECS[case], slice(0, 128))
    for name in cases.WEIGHTS:
        assert (
            distance(found[f"{implementation}|{case}|{name}"], weights[name])
            <= LIMITS[name.split("/")[1]]
        ), name
    assert found[f"{implementation}|{case}|loss"] == pytest.approx(loss, rel=1e-6)
    assert found[f"{implementation}|{case}|n_updates"] == 1


@pytest.mark.parametrize(("backend", "implementation"), EQUAL)
def test_a_short_last_batch_is_trained_on_with_a_mean_over_its_own_samples(
    probed, referee, backend, implementation
):
    found = probed(backend)
    weights, _ = referee(cases.SPECS["rmsprop-logits"], slice(0, 128), slice(128, 224))
    wrong = distance(
        referee(cases.SPECS["rmsprop-logits"], slice(0, 128))[0]["hidden/kernel"],
        weights["hidden/kernel"],
    )
    assert wrong > 1e-3, "a dropped batch would be seen"
    for name in cases.WEIGHTS:
        assert (
            distance(found[f"{implementation}|short|{name}"], weights[name])
            <= LIMITS[name.split("/")[1]]
        ), name
    assert found[f"{implementation}|short|n_updates"] == 2


@pytest.mark.parametrize(("backend", "implementation"), ARMS)
@pytest.mark.parametrize("case", ["rmsprop-probs", "rmsprop-logits"])
def test_an_arm_predicts_in_the_spec_s_form_from_the_weights_it_exports(
    probed, backend, implementation, case
):
    found, inputs = probed(backend), cases.inputs()
    weights = {
        name: found[f"{implementation}|{case}|{name}"].astype(np.float64) for name in cases.WEIGHTS
    }
    exact = oracle.outputs(cases.SPECS[case], weights, inputs["x"])
    np.testing.assert_allclose(found[f"{implementation}|{case}|outputs"], exact, rtol=0, atol=5e-6)


RATE = 0.001
# The change of a weight of gradient g from zero slots, by each framework's equations and defaults.
FIRST_STEPS = {
    ("torch", "rmsprop"): lambda g: RATE * g / (np.sqrt(0.01 * g**2) + 1e-8),
    ("jax", "rmsprop"): lambda g: RATE * g / np.sqrt(0.1 * g**2 + 1e-8),
    ("tensorflow", "rmsprop"): lambda g: (
        RATE * g / np.sqrt(0.9 * 1 + 0.1 * g**2 + 1e-10)
    ),  # its mean square begins at one
    ("torch", "adam"): lambda g: RATE * g / (np.abs(g) + 1e-8),
    ("jax", "adam"): lambda g: RATE * g / (np.abs(g) + 1e-8),
    ("tensorflow", "adam"): lambda g: RATE * g / (np.abs(g) + 1e-8 / np.sqrt(0.001)),
}


@pytest.mark.parametrize(("backend", "optimizer"), FIRST_STEPS)
def test_the_idiomatic_flavour_takes_its_framework_s_own_first_step_and_not_keras_s(
    probed, referee, backend, optimizer
):
    found, inputs, case = probed(backend), cases.inputs(), f"{optimizer}-logits"
    start = {name: inputs[name].astype(np.float64) for name in cases.WEIGHTS}
    loss, gradients = oracle.loss_and_gradients(
        cases.SPECS[case], start, inputs["x"][:128], inputs["y"][:128]
    )
    keras, _ = referee(cases.SPECS[case], slice(0, 128))
    assert found[f"native-idiomatic|{case}|loss"] == pytest.approx(loss, rel=1e-6)
    for name in ("hidden/kernel", "output/kernel"):
        received = found[f"native-idiomatic|{case}|{name}"]
        assert (
            distance(received, start[name] - FIRST_STEPS[backend, optimizer](gradients[name]))
            <= LIMITS["kernel"]
        ), name
        assert distance(received, keras[name]) > 3 * LIMITS["kernel"], name


@pytest.mark.parametrize(("backend", "implementation"), IDIOMATIC)
def test_plain_gradient_descent_is_one_thing_in_the_idiomatic_flavour_too(
    probed, referee, backend, implementation
):
    weights, _ = referee(cases.SPECS["sgd-logits"], slice(0, 128))
    for name in cases.WEIGHTS:
        limit = LIMITS[name.split("/")[1]]
        assert (
            distance(probed(backend)[f"{implementation}|sgd-logits|{name}"], weights[name]) <= limit
        ), name


@pytest.mark.parametrize("backend", [each for each in BACKENDS if each != "numpy"])
@pytest.mark.parametrize("arm", ["lean", "compiled"])
def test_an_arm_of_any_keras_model_holds_no_samples_of_an_epoch_that_is_over(probed, backend, arm):
    assert not probed(backend)[f"held|{arm}"]
