"""A user's data in each form that fit takes, made by real workers, each in its environment."""

import contextlib
import re
from pathlib import Path

import numpy as np
import pytest

from harness.engine.executor import make_executor
from harness.engine.own_data import Wanted, make_own_data, own_data_folder
from harness.errors import ConfigError
from harness.spec import config
from harness.spec.data.mnist import cache_folder
from harness.spec.data.own import name_parts
from harness.spec.targets import Target
from tests.e2e.conftest import ENVIRONMENTS, ROOT
from tests.e2e.models import forms

MODELS = Path(__file__).parent / "models"


@pytest.fixture(scope="module")
def executor():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_ENVIRONMENTS", str(ENVIRONMENTS))
        yield make_executor(ROOT, config.load(ROOT / "backends.toml").backends)


@contextlib.contextmanager
def made(executor, name, backend, **limits):
    """The data of a function in models/, as FILE.py:FUNCTION."""
    file, function = name.split(":")
    target = Target(name=name, file=MODELS / file, function=function)
    with own_data_folder() as folder:
        data, _ = make_own_data(Wanted(target, **limits), executor, (backend,), folder)
        yield data


FORMS = {
    "arrays": ("jax", None),
    "by_name": ("jax", 20),
    "py_dataset": ("jax", 32),
    "generator": ("jax", 32),
    "tf_data": ("tensorflow", 32),
    "loader": ("torch", 32),
}


def test_the_same_data_in_six_forms_are_the_same_bytes_under_one_digest(executor):
    x, y = forms.arrays()
    digests = set()
    for form, (backend, batch_size) in FORMS.items():
        with made(executor, f"forms.py:{form}", backend) as data:
            digests.add(data.sha256)
            assert data.batch_size == batch_size, form
            assert data.n_samples == 100, "the short last batch is kept"
            assert np.array_equal(data.parts["x"]["right"], x["right"])
            assert np.array_equal(data.parts["y"], y)
    assert len(digests) == 1
    assert not list((cache_folder() / "own").iterdir()), "the folders are removed"


def test_two_batches_of_data_without_end_are_the_first_two_of_those_with_one(executor):
    with (
        made(executor, "forms.py:fewer", "jax") as data,
        made(executor, "forms.py:endless", "jax", limit_batches=2) as cut,
        made(executor, "forms.py:arrays", "jax", limit_batches=4, batch_size=16) as fewer,
    ):
        assert data.sha256 == cut.sha256 == fewer.sha256


def test_validation_and_class_weights_are_what_fit_makes_of_them(executor):
    x, y = forms.arrays()
    with made(executor, "forms.py:cut", "torch") as data:
        assert data.n_samples == 67
        assert np.array_equal(data.parts["validation_y"], y[67:])
        assert np.array_equal(data.parts["validation_x"]["left"], x["left"][67:])
        weights = [{0: 3.0, 2: 0.5}.get(label, 1.0) for label in y[:67]]
        assert np.array_equal(data.parts["sample_weight"], np.float32(weights))
        assert "validation_sample_weight" not in data.parts, "fit weighs what it trains on only"


def test_floats_stay_as_they_are_given_and_a_remark_says_what_fit_makes_of_them(executor):
    with made(executor, "forms.py:double", "jax") as data:
        assert data.parts["x"].dtype == np.float64
        assert data.remarks == ("x: kept in float64; fit casts it to float32",)


def test_a_pipeline_for_validation_is_read_beside_the_other(executor):
    with made(executor, "forms.py:two_pipelines", "jax") as data:
        assert list(data.parts) == ["x", "y", "validation_x", "validation_y"]
        assert np.array_equal(data.validation[1], data.training[1])


def test_a_generator_without_end_is_refused_by_the_memory_that_it_may_take(executor):
    room = {"most_bytes": 1 << 20}
    with pytest.raises(ConfigError) as caught, made(executor, "forms.py:endless", "jax", **room):
        pass
    said = r"forms.py:endless: x: \d+ batches take 1.0 MiB, and there is room for 1.0 MiB, a third"
    assert re.match(said, str(caught.value))
    n_fit = int(str(caught.value).rpartition("limit_batches = ")[2])
    with made(executor, "forms.py:endless", "jax", limit_batches=n_fit, **room) as data:
        n_bytes = sum(array.nbytes for array in name_parts(data.parts).values())
        assert (1 << 20) - n_bytes < n_bytes / n_fit, "one more would not fit"
    assert not list((cache_folder() / "own").iterdir())
