"""A folder with its own ./keras, ./numpy, ./harness and so on, as a clone of Keras is: none of it
is imported by any verb.
"""

import os
import subprocess
import sys

import pytest

from tests.e2e.conftest import ROOT

NAMES = (
    "harness",
    "keras",
    "numpy",
    "scipy",
    "jax",
    "jaxlib",
    "optax",
    "torch",
    "tensorflow",
    "pydantic",
    "h5py",
    "json",
)
DECOY = (
    "import os\nwith open({marker!r}, 'a') as file:\n"
    "    file.write(f'{{__name__}} imported by {{os.getpid()}}\\n')\nraise SystemExit(9)\n"
)
MODEL = """
import numpy as np
import keras
from layers_of_mine import UNITS

def build():
    offset = np.load("offset.npy")  # from where the caller stands
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(UNITS, name="mine")(inputs) + float(offset[0]))
    model.compile(optimizer="sgd", loss="mean_squared_error")
    return model
"""
VERBS = {
    "doctor": ["doctor"],
    "data": ["data", "--dataset", "digits"],
    "train": ["train", "--epochs", "1", "--dataset", "digits"],
    "parity": ["parity", "jax/keras", "numpy/naive", "--point", "init", "--dataset", "digits"],
    "bench": [
        *("bench", "jax/keras", "--no-parity"),  # parity has a case of its own
        *("--generations", "1", "--blocks", "1", "--dataset", "digits"),
    ],
    "parity --model": [
        *("parity", "jax", "tensorflow", "--model", "model.py:build"),
        *("--threads", "1", "--quick"),
    ],
    "textbook": ["textbook", "gradients"],
}
OTHERS = [verb for verb in VERBS if verb not in ("doctor", "train")]


@pytest.fixture
def beside_decoys(project):
    """A project whose folder holds decoys, a model that imports what lies beside it, and data."""
    marker, config = project.root / "imported.txt", project.root / "backends.toml"
    config.write_text(config.read_text().replace("units = 512", "units = 16"))
    for name in NAMES:
        (project.root / name).mkdir()
        (project.root / name / "__init__.py").write_text(DECOY.format(marker=str(marker)))
    (project.root / "model.py").write_text(MODEL)
    (project.root / "layers_of_mine.py").write_text("UNITS = 2\n")
    script = "import numpy as np, sys; np.save(sys.argv[1], np.ones(1))"
    subprocess.run(
        [sys.executable, "-P", "-c", script, str(project.root / "offset.npy")], check=True
    )
    return project, marker


@pytest.mark.parametrize(
    "verb",
    ["doctor", "train", *(pytest.param(each, marks=pytest.mark.long) for each in OTHERS)],
)
def test_no_verb_imports_what_lies_where_it_is_called(beside_decoys, verb):
    project, marker = beside_decoys
    command = [
        sys.executable,
        "-P",
        "-m",
        "harness",
        *VERBS[verb],
    ]  # the harness itself, as its own command starts it
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command,
        cwd=project.root,
        env=variables,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert not marker.exists(), marker.read_text()
    assert done.returncode in ((0, 3) if verb == "bench" or "--model" in verb else (0,)), (
        done.stdout + done.stderr
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert (
        not [file for file in project.root.iterdir() if file.name == "__pycache__"]
        or verb == "parity --model"
    )
