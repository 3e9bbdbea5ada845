"""What is planned: arms and seeds, and refusals before anything runs."""

from pathlib import Path

import pytest

from harness.engine.arms import declared_arms, select_arms
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


EVERY = declared_arms(WHOLE)
USUAL = WHOLE.protocol.arms


def planned(spec_name, *names, change=None, device="auto", **protocol):
    spec = WHOLE.specs[spec_name].model_copy(update=change or {})
    changes = {
        "specs": WHOLE.specs | {spec_name: spec},
        "protocol": config.override_protocol(WHOLE.protocol, epochs=1, **protocol),
    }
    arms = select_arms(EVERY, names, default=USUAL)
    return plan(WHOLE.model_copy(update=changes), spec_name, arms, DATA, device=device)


def names_of(arms):
    return [arm.name for arm in arms]


def test_every_arm_of_every_backend_is_planned_with_what_is_asked_of_it():
    arms = {each.request.arm: each.request for each in planned("mnist-mlp", *names_of(EVERY))}
    assert tuple(arms) == EVERY
    (idiomatic,) = select_arms(EVERY, ["torch/native-idiomatic"])
    assert (arms[idiomatic].module, arms[idiomatic].options) == (
        "native.torch",
        {"flavour": "idiomatic"},
    )


def test_where_no_arm_is_named_each_backend_runs_the_usual_ones_that_it_has():
    arms = [each.request.arm.name for each in planned("mnist-mlp", "jax", "numpy")]
    assert arms == ["jax/keras", "jax/naive", "jax/native", "numpy/naive"]
    assert {arm.arm for arm in select_arms(EVERY, default=WHOLE.bench.arms)} == {*WHOLE.bench.arms}


@pytest.mark.parametrize(
    ("names", "only", "found"),
    [
        (["torch/native", "native,jax"], [], "torch/native tensorflow/native jax/native jax/keras"),
        (["numpy/naive", "naive"], [], "numpy/naive tensorflow/naive jax/naive torch/naive"),
        (["jax, torch"], ["lean,compiled"], "jax/compiled torch/lean torch/compiled"),
        (["jax"], ["jax/keras-tuned"], "jax/keras-tuned"),
        ([], ["keras-tuned"], "tensorflow/keras-tuned jax/keras-tuned"),
    ],
)
def test_arms_are_named_whole_or_by_implementation_or_by_backend_once_each(names, only, found):
    assert names_of(select_arms(EVERY, names, only, ["keras"])) == found.split()


@pytest.mark.parametrize(
    ("names", "only", "said"),
    [
        (["jax/kears"], [], r"arms: expected one of .+ Did you mean 'jax/keras'\?"),
        (["jaxx"], [], r"arms: expected one of .+ Did you mean 'jax'\?"),
        (["nativ"], [], r"arms: expected one of .+ Did you mean 'native'\?"),
        (["jax,"], [], r"arms: expected one of .+ received ''"),
        (["numpy"], [], r"arms: numpy has none of the default arms: keras\. Type: numpy/naive"),
        (["numpy"], ["keras"], r"--arm: expected one of naive; received 'keras'"),
        ([], ["kera"], r"--arm: expected one of .+ Did you mean 'keras'\?"),
        (["jax"], ["torch/keras"], r"--arm: expected one of jax/keras, .+ received 'torch/keras'"),
    ],
)
def test_an_arm_that_there_is_not_is_refused_by_its_name(names, only, said):
    with pytest.raises(ConfigError, match=said):
        select_arms(EVERY, names, only, ["keras"])


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


def test_a_layer_that_an_arm_cannot_express_is_refused_naming_what_it_can_and_which_arm_can():
    first, last = WHOLE.specs["mnist-mlp"].layers
    change = {"layers": (first.model_copy(update={"activation": "softmax"}), last)}
    said = (
        r"backends\.toml: \[specs\.mnist-mlp\] layers\[0\]\.activation: jax/native can do linear, "
        r"relu; received 'softmax'\. "
        r"Choose an arm that can: jax/keras, jax/keras-tuned, jax/compiled, jax/naive$"
    )
    with pytest.raises(ConfigError, match=said):
        planned("mnist-mlp", "jax", change=change)
    assert len(planned("mnist-mlp", "jax/keras,jax/naive", change=change)) == 2


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
