"""Initial weights come from any generator of uniform numbers, in each initializer's published
range.
"""

import numpy as np
import pytest

from harness.spec.draws import batch_order
from harness.spec.initializers import INITIALIZERS, initial_weights

LAYERS = [("hidden", 512), ("output", 10)]


@pytest.mark.parametrize(
    ("initializer", "kernel", "bias"),
    [
        ("glorot_uniform", (-np.sqrt(6 / 1296), np.sqrt(6 / 1296)), (0, 0)),
        ("uniform", (0, 0.1), (0, 0)),
        ("fan_in_uniform", (-1 / 28, 1 / 28), (-1 / 28, 1 / 28)),
    ],
)
def test_the_first_layer_fills_its_published_range(initializer, kernel, bias):
    weights = initial_weights(np.random.default_rng(0).uniform, 784, LAYERS, initializer)
    for name, (low, high) in (("hidden/kernel", kernel), ("hidden/bias", bias)):
        values, slack = weights[name], 0.02 * (high - low)
        assert values.dtype == np.float32
        assert low <= values.min() <= low + slack
        assert high - slack <= values.max() <= high + 1e-9


def test_every_initializer_a_spec_may_name_is_here():
    from harness.spec.config import Spec

    assert set(Spec.model_fields["initializer"].annotation.__args__) == set(INITIALIZERS)


def test_the_reference_of_the_network_from_scratch_is_numpy_s_plain_draw_kernels_in_layer_order():
    random = np.random.default_rng(0)
    first, second = random.uniform(0, 0.1, (784, 512)), random.uniform(0, 0.1, (512, 10))
    weights = initial_weights(np.random.default_rng(0).uniform, 784, LAYERS, "uniform")
    np.testing.assert_array_equal(weights["hidden/kernel"], first.astype(np.float32))
    np.testing.assert_array_equal(weights["output/kernel"], second.astype(np.float32))


def test_without_shuffling_every_epoch_has_the_samples_as_they_are():
    np.testing.assert_array_equal(batch_order(5, 3, seed=1, shuffle=False), [[0, 1, 2, 3, 4]] * 3)
