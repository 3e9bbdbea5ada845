"""A few models of the zoo in float64 on every backend: they agree, and planted defects are found.

`nox -s referee` does it with the whole zoo.
"""

import numpy as np
import pytest

from harness.referee import oracle
from harness.spec.config import Adam, Dense, Spec
from harness.spec.data.arrays import strip_prefix
from tests.zoo import referee

CLEAN = ("dense_adam", "cnn_bn", "attention", "dropout", "resizing", "short_cast")
DEFECTS = {case: referee.DEFECTS[case] for case in ("cnn_bn:bn_epsilon", "attention:gelu_tanh")}
KERNEL = "attention:kernel_1e-6"


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    return folder, referee.trace_all(folder, CLEAN, [*DEFECTS, KERNEL], at_once=2)


@pytest.mark.parametrize("name", [name for name in CLEAN if name != "short_cast"])
def test_a_clean_model_agrees_in_every_quantity_and_nothing_of_it_is_short(traced, name):
    folder, lines = traced
    judgements = referee.judge(folder, name)
    assert list(judgements) == ["0 updates", "a batch of 7"]
    for judgement in judgements.values():
        assert len({one.quantity for one in judgement.mathematics}) > 15
        assert not [one for one in judgement.mathematics if one.apart]
        assert not [one for one in judgement.kernels if one.departs]
    for backend in referee.BACKENDS:
        assert lines[backend, "float64"][name]["short"] == []


@pytest.mark.parametrize("case", DEFECTS)
def test_a_defect_of_one_backend_is_found_at_its_layer(traced, case):
    judgement = referee.judge(traced[0], case)["0 updates"]
    first = judgement.first_departure("torch")
    assert first.quantity == DEFECTS[case]
    assert first.departure > 1e3 * first.gate
    assert not judgement.first_departure("jax")
    assert not judgement.first_departure("tensorflow")


def test_an_error_of_a_kernel_is_found_at_its_layer_and_is_none_of_the_mathematics(traced):
    judgement = referee.judge(traced[0], KERNEL)["0 updates"]
    assert judgement.first_departure("torch") is None
    assert judgement.first_kernel("torch").quantity == "output/dense"


@pytest.mark.parametrize("backend", referee.BACKENDS)
def test_a_users_own_cast_to_float32_is_named_with_its_line(traced, backend):
    short = traced[1][backend, "float64"]["short_cast"]["short"]
    assert [line for line in short if "float32" in line and "tests/zoo/defects.py:" in line]


@pytest.mark.parametrize("backend", referee.BACKENDS)
def test_the_two_referees_are_one_in_float64(traced, backend):
    """A stack as a Keras model in float64, and the NumPy network that judges stacks.

    NumPy's optimizer rounds its constants to float32 first, as Keras does there; Keras in float64
    does not. Adam divides by the root of 1 - 0.999, which that moves by 7e-6.
    """
    folder = traced[0]
    layers = (
        Dense(name="hidden", units=16, activation="relu"),
        Dense(name="output", units=4, activation="linear"),
    )
    spec = Spec(layers=layers, optimizer=Adam(name="adam"), loss_form="logits", batch_size=16)
    states = np.load(folder / "states" / "dense_adam.npz")
    given = strip_prefix("0/weight/sequential", {name: states[name] for name in states.files})
    batch = np.load(folder / "states" / "dense_adam.batch.npz")
    found = strip_prefix("0 updates", referee.read(folder, backend, "float64", "dense_adam"))
    network = oracle.start(spec, given)
    after, loss = oracle.step(spec, network, batch["x"], batch["y"])
    _, gradients = oracle.loss_and_gradients(spec, network.weights, batch["x"], batch["y"])

    def off(name, expected):
        return np.linalg.norm(found[name] - expected) / np.linalg.norm(expected)

    assert off("output/output", oracle.outputs(spec, network.weights, batch["x"])) < 1e-12
    assert off("loss", loss) < 1e-12
    for name, gradient in gradients.items():
        assert off(f"gradient/sequential/{name}", gradient) < 1e-12
        change = after.weights[name] - network.weights[name]
        assert off(f"update/sequential/{name}", change) < 7e-6
