"""Each optimizer by hand against the Keras optimizer of each backend: 20 updates from the same
state, small gradients among them.

Keras has no optimizer that runs on NumPy alone; there tests/unit/test_optimizers.py has the float64
referee instead.
"""

import numpy as np
import pytest

from tests.backend import cases
from tests.backend.conftest import BACKENDS

LIMIT = 1e-6  # of the largest change that any element made


def apart(one, other, start):
    return float(
        np.max(np.abs(one.astype(np.float64) - other))
        / np.max(np.abs(other.astype(np.float64) - start))
    )


@pytest.mark.parametrize(
    ("backend", "way"),
    [*((backend, "hand") for backend in BACKENDS if backend != "numpy"), ("torch", "optim")],
)
@pytest.mark.parametrize("optimizer", cases.OPTIMIZERS)
def test_twenty_updates_by_hand_are_those_of_the_keras_optimizer(probed, backend, optimizer, way):
    found, inputs = probed(backend), cases.inputs()
    for name in ("kernel", "bias"):
        mine, keras = (found[f"{each}|{optimizer}-logits|{name}"] for each in (way, "keras"))
        assert apart(mine, keras, inputs[f"start_{name}"]) <= LIMIT
    slots = [key.split("|")[2] for key in found if key.startswith(f"keras|{optimizer}-logits|slot")]
    if way == "hand":
        assert len(slots) == {"sgd": 0, "momentum": 2, "rmsprop": 2, "adam": 4}[optimizer]
        for slot in slots:
            mine, keras = (found[f"{each}|{optimizer}-logits|{slot}"] for each in ("hand", "keras"))
            np.testing.assert_allclose(mine, keras, rtol=2e-5, atol=1e-30)


@pytest.mark.parametrize("backend", [each for each in BACKENDS if each != "numpy"])
def test_an_optimizer_that_adds_gradients_up_says_how_often_it_changed_the_weights(probed, backend):
    found = probed(backend)
    assert (int(found["counted|None"]), int(found["counted|3"])) == (7, 2)
