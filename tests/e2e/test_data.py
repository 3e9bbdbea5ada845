"""The embedded dataset as it really is made, and `harness data` on it."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from harness.records import store
from harness.spec.data import digits, mnist
from harness.spec.data.arrays import dataset_digest
from tests.e2e.conftest import Project
from tests.unit.records import record


@pytest.fixture(scope="module")
def parts():
    return digits.make()


def test_the_embedded_set_has_the_same_bytes_on_every_machine(parts):
    assert (
        dataset_digest(parts)
        == "6950cb435ceac04ae3dae6ab4ad4bb229f697c2c22756c142dd93d5c530b3379"
        == mnist.DIGESTS["digits"]
    )


def test_the_embedded_set_has_mnist_s_shape(parts):
    assert {name: part.shape for name, part in parts.items()} == mnist.SHAPES
    assert {part.dtype.name for part in parts.values()} == {"uint8"}
    assert (parts["x_train"].min(), parts["x_train"].max()) == (0, 255)
    for labels in (parts["y_train"], parts["y_test"]):
        assert np.bincount(labels).min() > 0.07 * len(labels)


def test_no_source_image_makes_both_training_and_test_images(parts):
    train, test = digits.split(1797, np.random.RandomState(28))
    assert (len(train), len(test)) == (1437, 360)
    assert sorted([*train, *test]) == list(range(1797))
    seen = {image.tobytes() for image in parts["x_train"]}
    assert not [image for image in parts["x_test"] if image.tobytes() in seen]


def test_enlarging_keeps_corners_and_a_constant_picture():
    image = np.arange(64).reshape(1, 8, 8) % 17
    for side in digits.SIDES:
        (large,) = digits._bilinear(image, side, 20)
        assert [large[0, 0], large[-1, -1]] == [
            round(image[0, 0, 0] * 255 / 16),
            round(image[0, -1, -1] * 255 / 16),
        ]
        assert set(digits._bilinear(np.full((1, 8, 8), 16), side, 20).flat) == {255}


def test_harness_data_shows_arrays_slices_batches_and_pictures(project, tmp_path):
    done = project.run(
        "data", "--dataset", "digits", "--sample", "3", "--png", str(tmp_path / "sheet.png")
    )
    assert done.returncode == 0, done.stderr
    for said in (
        "(60000, 28, 28)",
        "(90, 28, 28)",
        "(60000, 14, 14)",
        "(128, 28, 28)",
        "(96, 28, 28)",
        "Training sample 3, labelled",
    ):
        assert said in done.stdout
    assert done.stdout.count("█") > 30
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (560, 560)


@pytest.mark.parametrize("sample", [-1, 60000])
def test_a_sample_that_is_not_there_is_one_sentence(project, sample):
    done = project.run("data", "--dataset", "digits", "--sample", str(sample))
    said = f"--sample: expected 0 to 59999; received {sample}"
    assert (done.returncode, done.stderr.strip()) == (2, said)


def test_harness_data_shows_the_first_predictions_of_a_run_on_this_dataset(project, parts):
    labels = tuple(parts["y_test"][:10].tolist())
    run = record(data_sha256=mnist.DIGESTS["digits"])
    store.ready(project.results)
    store.add(
        project.results,
        run.model_copy(update={"measured": replace(run.measured, first_predictions=labels)}),
    )
    done = project.run("data", "--dataset", "digits")
    shown = [line.split() for line in done.stdout.splitlines() if "[:10]" in line]
    digits = [str(label) for label in labels]
    assert shown == [
        ["test_labels[:10]", *digits],
        [
            "predictions.argmax(1)[:10]",
            "jax/keras",
            *digits,
            digits[0],
            "==",
            f"{digits[0]}:",
            "True",
        ],
    ]


def test_harness_data_needs_no_project(tmp_path):
    done = Project(tmp_path).run("data", "--dataset", "digits")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Run: harness train --dataset digits" in done.stdout
