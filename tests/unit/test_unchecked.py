"""Which arms the quick form of the gate looks at after a training: those whose newest run here has
no verdict.
"""

import pytest

import harness
from harness.engine.arms import declared_arms
from harness.experiments.parity.unchecked import Unchecked, unchecked
from harness.spec.config import SGD, Config
from tests.parity.test_records import QUICK, parity_of
from tests.unit.records import SPEC, record

CONFIG = Config.model_validate(
    {
        "specs": {
            "mnist-mlp": SPEC.model_dump(),
            "drawn": SPEC.model_dump() | {"inputs": "native"},
        },
        "backends": {
            "jax": {
                "environment": "train-jax",
                "requirements": {"cpu": ["jax"], "gpu": ["jax"]},
                "arms": {"keras": {"module": "keras_fit"}, "naive": {"module": "naive.jax"}},
            }
        },
    }
)
MACHINE = record().host.machine
KERAS_ARM, NAIVE_ARM = declared_arms(CONFIG)
KERAS = Unchecked("mnist-mlp", "mnist", "auto", (KERAS_ARM,))


def run(**changes):
    return record(**{"harness": harness.__version__} | changes)


def found(*records, parities=()):
    return unchecked(records, parities, CONFIG, MACHINE)


def test_an_arm_that_trained_and_was_never_checked_is_to_be_checked():
    assert found(run()) == (KERAS,)


@pytest.mark.parametrize("verdict", ["agrees", "departs", "failed"])
@pytest.mark.parametrize("scope", ["whole", "quick"])
def test_an_arm_that_has_its_verdict_is_not_checked_again(verdict, scope):
    assert found(run(), parities=[parity_of(run(), verdict, QUICK, scope)]) == ()


def test_a_check_of_a_part_is_no_verdict():
    assert found(run(), parities=[parity_of(run(), "agrees", QUICK[:1], "part")]) == (KERAS,)


def test_arms_of_one_spec_are_checked_together_and_those_of_another_dataset_or_device_apart():
    naive = {"implementation": "naive", "module": "naive.jax"}
    runs = (
        run(),
        run(**naive),
        run(seed=1),
        run(**naive | {"asked_device": "cpu", "spec_name": "mnist-mlp"}),
    )
    assert found(*runs[:3]) == (Unchecked("mnist-mlp", "mnist", "auto", (KERAS_ARM, NAIVE_ARM)),)
    assert {each.device for each in found(runs[0], runs[3])} == {"auto", "cpu"}


def test_the_newest_run_of_an_arm_is_what_counts():
    old, new = run(framework_version="0.9.0"), run()
    assert found(old, new, parities=[parity_of(new)]) == ()
    assert found(new, old, parities=[parity_of(new)]) == (KERAS,)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "failed"},
        {"harness": "0.0.1"},
        {"machine": "Another processor, 2 cores, 8 GiB, Linux x86_64"},
        {"backend": "torch"},
        {"implementation": "compiled", "module": "compiled.jax"},
        {"module": "naive.jax"},
        {"options": {"flavour": "idiomatic"}},
        {"spec_name": "gone"},
        {"spec": SPEC.model_copy(update={"optimizer": SGD(name="sgd")})},
        {"spec_name": "drawn", "spec": SPEC.model_copy(update={"inputs": "native"})},
    ],
    ids=" ".join,
)
def test_what_cannot_be_checked_here_and_now_is_left_out(changes):
    assert found(run(**changes)) == ()
