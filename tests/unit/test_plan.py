"""What is planned: arms and seeds, and refusals before anything runs."""

from pathlib import Path

import pytest

from harness.engine.plan import plan
from harness.errors import ConfigError
from harness.spec import config
from harness.spec.data.mnist import Prepared

ROOT = Path(__file__).resolve().parents[2]
WHOLE = config.load(ROOT / "backends.toml")
DATA = Prepared("mnist", "d" * 64, Path("/nowhere"), "")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))


def planned(spec_name, *names, implementations=(), change=None, device="auto", **protocol):
    spec = WHOLE.specs[spec_name].model_copy(update=change or {})
    whole = config.override_protocol(WHOLE.protocol, epochs=1, **protocol)
    return plan(
        spec_name,
        spec,
        WHOLE.choose_backends(names),
        whole,
        DATA,
        device=device,
        implementations=implementations,
    )


def test_every_arm_of_every_backend_is_planned_with_what_is_asked_of_it():
    every = tuple(dict.fromkeys(arm for backend in WHOLE.backends.values() for arm in backend.arms))
    arms = {
        (each.request.backend, each.request.implementation): each.request
        for each in planned("mnist-mlp", implementations=every)
    }
    assert set(arms) == {
        (name, arm) for name, backend in WHOLE.backends.items() for arm in backend.arms
    }
    assert arms["torch", "native-idiomatic"].options == {"flavour": "idiomatic"}
    assert (
        arms["torch", "native-idiomatic"].module == arms["torch", "native"].module == "native.torch"
    )


def test_where_no_arm_is_named_each_backend_runs_those_of_the_protocol_that_it_has():
    arms = [
        (each.request.backend, each.request.implementation)
        for each in planned("mnist-mlp", "jax", "numpy")
    ]
    assert arms == [("jax", "keras"), ("jax", "naive"), ("jax", "native"), ("numpy", "naive")]


def test_an_arm_that_no_chosen_backend_has_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"--arm: expected one of naive; received 'keras'"):
        planned("mnist-mlp", "numpy", implementations=("keras",))


def test_equal_inputs_are_drawn_once_for_a_seed_and_native_ones_not_at_all():
    equal = planned("mnist-naive", seeds=(0, 1))
    assert len({each.weights for each in equal}) == 2
    assert len({each.request.weights_sha256 for each in equal}) == 2
    for each in planned("mnist-naive-native"):
        assert (
            each.weights,
            each.order,
            each.request.weights_sha256,
            each.request.order_sha256,
        ) == (None, None, None, None)


def test_a_layer_that_an_arm_cannot_express_is_refused_naming_the_arm_what_it_can_and_which_arm_can():
    first, last = WHOLE.specs["mnist-mlp"].layers
    change = {"layers": (first.model_copy(update={"activation": "softmax"}), last)}
    said = (
        r"backends\.toml: \[specs\.mnist-mlp\] layers\[0\]\.activation: jax/native can do linear, relu; received 'softmax'\. "
        r"Choose an arm that can: --arm keras --arm keras-tuned --arm compiled --arm naive$"
    )
    with pytest.raises(ConfigError, match=said):
        planned("mnist-mlp", "jax", change=change)
    assert len(planned("mnist-mlp", "jax", implementations=("keras", "naive"), change=change)) == 2


def test_a_gpu_is_asked_only_of_backends_that_can_use_one():
    assert {each.request.backend for each in planned("mnist-mlp", device="gpu")} == {
        "tensorflow",
        "jax",
        "torch",
    }
    with pytest.raises(
        ConfigError, match="--device gpu: none of these backends can use an accelerator"
    ):
        planned("mnist-mlp", "numpy", device="gpu")
