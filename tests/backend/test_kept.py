"""The outputs that an update keeps are those that a program of their own computes."""

import json
import subprocess

import pytest

from harness.engine import launch
from tests.backend.conftest import BACKENDS, CONFIG, ROOT

KEEPING = (
    "cnn_bn",
    "attention",
    "dropout",
    "masked_bigru",
    "subclass",
    "two_outputs",
    "weighted_metrics",
)
OWN = "own_step"  # calls the model twice in an update
WITH_KERAS = [name for name in BACKENDS if name != "numpy"]


@pytest.mark.parametrize("backend", WITH_KERAS)
def test_an_update_keeps_all_outputs_unless_its_step_is_the_users_own(backend, tmp_path):
    known = CONFIG.backends[backend]
    variables = launch.worker_variables(known, "cpu", "auto") | {"KERAS_HOME": str(tmp_path)}
    python = str(launch.interpreter_of(backend, known, ROOT).path)
    done = subprocess.run(
        [python, "-m", "tests.backend.kept", *KEEPING, OWN],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = {line["model"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert found.pop(OWN)["kept"] == []
    assert tuple(found) == KEEPING
    for name, line in found.items():
        assert line["kept"] == line["expected"], name
        assert len(line["kept"]) > 2
        assert line["off"] < 1e-9, name
