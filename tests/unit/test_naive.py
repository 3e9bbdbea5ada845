"""The network from scratch on NumPy, at the edges: too little data, too much batch, shapes that do
not fit.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from harness.spec.config import SGD, Dense, Spec
from harness.spec.initializers import initial_weights
from harness.worker.arms.naive import numpy as naive
from harness.worker.arms.naive.batches import BatchGenerator
from harness.worker.optimizers import Optimizer

RANDOM = np.random.default_rng(1)
LAYERS = (
    Dense(name="hidden", units=6, activation="relu"),
    Dense(name="output", units=3, activation="softmax"),
)
SPEC = Spec(
    layers=LAYERS, optimizer=SGD(name="sgd", learning_rate=0.1), loss_form="probs", batch_size=4
)
WEIGHTS = initial_weights(RANDOM.uniform, 5, [("hidden", 6), ("output", 3)])
X, Y = RANDOM.random((10, 5)).astype(np.float32), RANDOM.integers(0, 3, 10).astype(np.uint8)


def built(**changes):
    return naive.build(SPEC, WEIGHTS | changes, SimpleNamespace())


def test_batches_keep_the_order_and_the_last_one_is_short():
    generator = BatchGenerator(X, Y, 4)
    assert generator.num_batches == 3
    batches = [generator.next() for _ in range(3)]
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([images for images, _ in batches]), X)


@pytest.mark.parametrize(
    ("images", "labels", "size", "said"),
    [
        (X[:0], Y[:0], 4, "expected samples, and a label for each; received 0 images, 0 labels"),
        (X, Y[:9], 4, "expected samples, and a label for each; received 10 images, 9 labels"),
        (X, Y, 0, "batch_size: expected 1 or more; received 0"),
    ],
)
def test_data_that_make_no_batches_are_refused_in_one_sentence(images, labels, size, said):
    with pytest.raises(ValueError, match=said):
        BatchGenerator(images, labels, size)


def test_a_batch_larger_than_the_dataset_is_one_batch_of_all():
    generator = BatchGenerator(X, Y, 128)
    assert generator.num_batches == 1
    assert len(generator.next()[1]) == 10


def test_a_single_sample_and_a_single_class_are_learned():
    for images, labels in ((X[:1], Y[:1]), (X, np.full(10, 2, np.uint8))):
        state = built()
        losses = [naive.epoch(state, naive.place(images, labels))[1] for _ in range(30)]
        assert losses[-1] < losses[0]
        assert (naive.predict(state, images).argmax(axis=1) == labels).all()


def test_no_epochs_change_nothing():
    state = built()
    naive.fit(state.model, state.optimizer, X, Y, epochs=0)
    for name, weight in naive.export(state).items():
        np.testing.assert_array_equal(weight, WEIGHTS[name])


def test_the_loss_of_every_hundredth_batch_is_reported():
    state, said = built(), []
    report = lambda epoch, batch, loss: said.append((epoch, batch, loss))  # noqa: E731
    naive.fit(
        state.model,
        state.optimizer,
        X.repeat(30, axis=0),
        Y.repeat(30),
        epochs=2,
        batch_size=2,
        report=report,
    )
    assert [entry[:2] for entry in said] == [(0, 0), (0, 100), (1, 0), (1, 100)]
    assert said[-1][2] < said[0][2]


def test_inputs_that_do_not_fit_a_kernel_are_refused_with_both_shapes_and_the_layer():
    with pytest.raises(
        ValueError,
        match=r"hidden: expected inputs \(batch, 5\) for its kernel \(5, 6\); received \(10, 4\)",
    ):
        built().model(X[:, :4])


def test_a_layer_draws_its_kernel_in_0_to_a_tenth_and_zero_biases():
    layer = naive.NaiveDense(100, 50, naive.ACTIVATIONS["relu"])
    assert 0 <= layer.W.min() < 0.01
    assert 0.09 < layer.W.max() < 0.1
    assert not layer.b.any()
    assert [weight.shape for weight in naive.NaiveSequential([layer, layer]).weights] == [
        (100, 50),
        (50,),
    ] * 2


def test_plain_sgd_is_one_subtraction():
    weight, gradient = np.ones(3, np.float32), np.array([1, 2, 3], np.float32)
    naive.update_weights(
        [gradient],
        [weight],
        Optimizer.start(SGD(name="sgd", learning_rate=0.5), [weight], np.zeros_like),
    )
    np.testing.assert_array_equal(weight, [0.5, 0, -0.5])
