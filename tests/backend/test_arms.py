"""Every arm against the float64 referee: one update from equal inputs, in both loss forms, with every optimizer."""

import numpy as np
import pytest

from harness.judge.parity import oracle
from tests.backend import cases
from tests.backend.conftest import ARMS

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
def test_one_update_from_equal_inputs_is_the_referee_s(probed, referee, backend, implementation, case):
    found = probed(backend)
    weights, loss = referee(cases.SPECS[case], slice(0, 128))
    for name in cases.WEIGHTS:
        assert distance(found[f"{implementation}|{case}|{name}"], weights[name]) <= LIMITS[name.split("/")[1]], name
    assert found[f"{implementation}|{case}|loss"] == pytest.approx(loss, rel=1e-6)
    assert found[f"{implementation}|{case}|n_updates"] == 1


@pytest.mark.parametrize(("backend", "implementation"), EQUAL)
def test_a_short_last_batch_is_trained_on_with_a_mean_over_its_own_samples(probed, referee, backend, implementation):
    found = probed(backend)
    weights, _ = referee(cases.SPECS["rmsprop-logits"], slice(0, 128), slice(128, 224))
    wrong = distance(referee(cases.SPECS["rmsprop-logits"], slice(0, 128))[0]["hidden/kernel"], weights["hidden/kernel"])
    assert wrong > 1e-3, "a dropped batch would be seen"
    for name in cases.WEIGHTS:
        assert distance(found[f"{implementation}|short|{name}"], weights[name]) <= LIMITS[name.split("/")[1]], name
    assert found[f"{implementation}|short|n_updates"] == 2


@pytest.mark.parametrize(("backend", "implementation"), ARMS)
@pytest.mark.parametrize("case", ["rmsprop-probs", "rmsprop-logits"])
def test_an_arm_predicts_in_the_spec_s_form_from_the_weights_it_exports(probed, backend, implementation, case):
    found, inputs = probed(backend), cases.inputs()
    weights = {name: found[f"{implementation}|{case}|{name}"].astype(np.float64) for name in cases.WEIGHTS}
    exact = oracle.outputs(cases.SPECS[case], weights, inputs["x"])
    np.testing.assert_allclose(found[f"{implementation}|{case}|outputs"], exact, rtol=0, atol=5e-6)


@pytest.mark.parametrize(("backend", "implementation"), IDIOMATIC)
def test_the_idiomatic_flavour_has_other_defaults_and_so_another_first_update(probed, referee, backend, implementation):
    found = probed(backend)
    for case in ("rmsprop-logits", "adam-logits"):
        weights, loss = referee(cases.SPECS[case], slice(0, 128))
        apart = distance(found[f"{implementation}|{case}|hidden/kernel"], weights["hidden/kernel"])
        assert 1e-5 < apart < 0.5, "as Keras's: then it is no idiom; far away: then it is another network"
        assert found[f"{implementation}|{case}|loss"] == pytest.approx(loss, rel=1e-6)
    weights, _ = referee(cases.SPECS["sgd-logits"], slice(0, 128))
    assert distance(found[f"{implementation}|sgd-logits|hidden/kernel"], weights["hidden/kernel"]) <= 1e-6, "SGD is one thing everywhere"
