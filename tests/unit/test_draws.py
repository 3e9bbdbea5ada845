"""Weights and order are drawn once for a seed, and are the same bytes wherever they are drawn."""

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.spec.data.arrays import load_weights, network_input, sha256, weights_digest
from harness.spec.draws import batch_order, draw
from harness.spec.initializers import initial_weights
from tests.unit.records import SPEC

MLP = (("hidden", 512), ("output", 10))
WEIGHTS_SHA256 = "5207f40d170af87b59e1dbd2ee2fac017913c1d536dce9254ff19fa07a7b2541"
ORDER_SHA256 = "e7b806e7c4db666c29489b7e666b01ca64257e9461229f0aa6a55c4868231ea7"
Weights = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def weights():
    return initial_weights(np.random.default_rng([0, 0]).uniform, 784, MLP)


def small(folder, **changes):
    sizes = {"n_inputs": 6, "n_samples": 20, "n_epochs": 3, "seed": 0} | changes
    layers = [
        layer.model_copy(update={"units": units})
        for layer, units in zip(SPEC.layers, (4, 2), strict=True)
    ]
    return draw(folder, SPEC.model_copy(update={"layers": tuple(layers)}), **sizes)


def test_weights_are_named_and_shaped_as_keras_has_them(weights):
    shapes = {name: value.shape for name, value in weights.items()}
    assert list(shapes.items()) == [
        ("hidden/kernel", (784, 512)),
        ("hidden/bias", (512,)),
        ("output/kernel", (512, 10)),
        ("output/bias", (10,)),
    ]


def test_weights_are_float32(weights):
    assert {value.dtype for value in weights.values()} == {np.dtype(np.float32)}


def test_biases_are_zero(weights):
    assert not weights["hidden/bias"].any()
    assert not weights["output/bias"].any()


@pytest.mark.parametrize(
    ("name", "fans"), [("hidden/kernel", 784 + 512), ("output/kernel", 512 + 10)]
)
def test_kernels_fill_glorot_s_limits_and_stay_within(weights, name, fans):
    limit = np.float32(np.sqrt(6 / fans))
    kernel = weights[name]
    assert np.abs(kernel).max() <= limit
    assert kernel.max() > 0.99 * limit
    assert kernel.min() < -0.99 * limit


def test_kernels_are_uniform(weights):
    counts = np.histogram(weights["hidden/kernel"], bins=10)[0]
    assert counts == pytest.approx(
        np.full(10, 784 * 51.2), rel=0.02
    )  # 401,408 draws: 0.02 is four standard deviations


def test_two_layers_of_one_size_are_drawn_apart():
    weights = initial_weights(
        np.random.default_rng([0, 0]).uniform, 8, (("first", 8), ("second", 8))
    )
    assert (weights["first/kernel"] != weights["second/kernel"]).all()


def test_each_epoch_s_order_is_a_permutation():
    order = batch_order(1000, 5, seed=0)
    assert (order.shape, order.dtype) == ((5, 1000), np.dtype(np.int32))
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(1000), (5, 1)))


def test_no_two_epochs_have_the_same_order():
    assert len(np.unique(batch_order(1000, 5, seed=0), axis=0)) == 5


def test_a_longer_training_begins_with_a_shorter_one_s_order():
    np.testing.assert_array_equal(batch_order(1000, 5, seed=0)[:2], batch_order(1000, 2, seed=0))


def test_seed_0_of_the_mlp_has_the_pinned_digest(weights):
    assert weights_digest(weights) == WEIGHTS_SHA256


def test_seed_0_s_order_of_five_epochs_has_the_pinned_digest():
    assert sha256(batch_order(60_000, 5, seed=0)) == ORDER_SHA256


def test_the_same_seed_gives_the_same_files(tmp_path):
    assert small(tmp_path) == small(tmp_path)


def test_another_seed_gives_other_weights_and_another_order(tmp_path):
    first, second = small(tmp_path), small(tmp_path, seed=1)
    assert first.weights_sha256 != second.weights_sha256
    assert first.order_sha256 != second.order_sha256


def test_the_number_of_epochs_leaves_the_weights_as_they_are(tmp_path):
    assert small(tmp_path, n_epochs=1).weights_sha256 == small(tmp_path, n_epochs=9).weights_sha256


def test_the_weights_file_gives_back_names_order_and_bits(tmp_path):
    kept = load_weights(small(tmp_path).weights)
    drawn = initial_weights(
        np.random.default_rng([0, 0]).uniform, 6, [("hidden", 4), ("output", 2)]
    )
    assert list(kept) == list(drawn)
    for name, value in drawn.items():
        np.testing.assert_array_equal(kept[name], value, strict=True)


def test_the_weights_file_has_the_digest_that_is_told(tmp_path):
    told = small(tmp_path)
    assert weights_digest(load_weights(told.weights)) == told.weights_sha256


def test_the_order_file_has_the_digest_that_is_told(tmp_path):
    told = small(tmp_path)
    assert sha256(np.load(told.order, allow_pickle=False)) == told.order_sha256


def test_the_folder_holds_two_files_named_by_digest_and_nothing_half_written(tmp_path):
    told = small(tmp_path / "draws")
    expected = {f"weights-{told.weights_sha256}.npz", f"order-{told.order_sha256}.npy"}
    assert {entry.name for entry in (tmp_path / "draws").iterdir()} == expected


def test_a_damaged_file_is_drawn_anew(tmp_path):
    told = small(tmp_path)
    told.order.write_bytes(b"")
    assert sha256(np.load(small(tmp_path).order, allow_pickle=False)) == told.order_sha256


CHANGES = {
    "a name": lambda weights: {
        "hidden/kernal" if name == "hidden/kernel" else name: value
        for name, value in weights.items()
    },
    "a shape": lambda weights: weights | {"hidden/kernel": weights["hidden/kernel"].reshape(4, 6)},
    "a dtype": lambda weights: weights | {"hidden/bias": weights["hidden/bias"].view(np.int32)},
    "a value": lambda weights: weights | {"output/bias": np.array([0, 1e-45], np.float32)},
    "the sign of a zero": lambda weights: (
        weights | {"output/bias": np.array([0, -0.0], np.float32)}
    ),
    "the order": lambda weights: dict(reversed(weights.items())),
    "a layer more": lambda weights: weights | {"more/bias": np.zeros(0, np.float32)},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_digest_of_weights_changes_with(change):
    weights = initial_weights(
        np.random.default_rng([0, 0]).uniform, 6, [("hidden", 4), ("output", 2)]
    )
    assert weights_digest(change(weights)) != weights_digest(weights)


def test_the_digest_of_weights_does_not_depend_on_their_place_in_memory():
    weights = initial_weights(
        np.random.default_rng([0, 0]).uniform, 6, [("hidden", 4), ("output", 2)]
    )
    assert weights_digest(
        {name: np.asfortranarray(value) for name, value in weights.items()}
    ) == weights_digest(weights)


def test_pixels_become_rows_of_0_to_1():
    images = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    rows = network_input(images)
    np.testing.assert_array_equal(
        rows, (np.arange(256, dtype=np.float32) / np.float32(255)).reshape(4, 64), strict=True
    )


def test_the_images_themselves_stay_as_they_are():
    images = np.full((2, 8, 8), 255, np.uint8)
    network_input(images)
    assert (images == 255).all()


def test_a_folder_that_cannot_be_written_is_an_error_for_the_user(tmp_path):
    (tmp_path / "draws").write_text("a file where the folder should be")
    with pytest.raises(HarnessError, match="HARNESS_CACHE_DIR"):
        small(tmp_path / "draws")
