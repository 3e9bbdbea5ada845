"""What an epoch costs at the least, against the published count and by hand."""

import pytest

from harness.experiments.bench.judge import limit_s
from harness.job.answers import Rates
from harness.spec.config import SGD, Adam, Dense, RMSprop
from harness.spec.stack import n_parameters, optimizer_bytes, training_flops
from tests.unit.records import SPEC


def test_the_textbook_s_model_has_the_flops_that_were_counted_by_hand():
    assert training_flops(SPEC, 784) == 1_636_352


def test_only_the_first_layer_needs_no_gradient_of_its_input():
    deep = SPEC.model_copy(
        update={"layers": (Dense(name="middle", units=5, activation="relu"), *SPEC.layers)}
    )
    kernels = (3 * 5, 5 * 512, 512 * 10)
    assert training_flops(deep, 3) == 2 * (2 * kernels[0] + 3 * kernels[1] + 3 * kernels[2])
    alone = SPEC.model_copy(update={"layers": SPEC.layers[1:]})
    assert training_flops(alone, 784) == 2 * 2 * 784 * 10


def test_parameters_are_kernels_and_biases():
    assert n_parameters(SPEC, 784) == 407_050


@pytest.mark.parametrize(
    ("optimizer", "moves"),
    [
        (SGD(name="sgd"), 3),
        (SGD(name="sgd", momentum=0.9), 5),
        (RMSprop(name="rmsprop"), 5),
        (Adam(name="adam"), 7),
    ],
)
def test_an_update_moves_each_weight_its_gradient_and_its_slots_once(optimizer, moves):
    spec = SPEC.model_copy(update={"optimizer": optimizer})
    assert optimizer_bytes(spec, 784, 60_000) == 4 * 407_050 * moves * 469


def test_the_short_last_batch_is_an_update_too():
    assert [
        optimizer_bytes(SPEC, 784, n) // optimizer_bytes(SPEC, 784, 128)
        for n in (128, 129, 256, 257)
    ] == [1, 2, 2, 3]


def test_the_limit_is_products_and_traffic_and_calls_one_after_the_other():
    rates = Rates(
        gemm_flops_per_s=1_636_352.0,
        bandwidth_bytes_per_s=4.0 * 407_050 * 5,
        dispatch_s=2.0,
        n_dispatches=3,
    )
    assert limit_s(SPEC, 784, 128, rates) == pytest.approx(128 + 1 + 6)
