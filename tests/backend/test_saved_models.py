"""Files that Keras saved on one backend, loaded on another."""

import json
import subprocess

import pytest

from harness.engine import launch
from tests.backend.conftest import CONFIG, ROOT


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """What comes of each file on JAX, that PyTorch saved."""
    folder, said = tmp_path_factory.mktemp("saved"), ""
    for name, verb in (("torch", "save"), ("jax", "load")):
        backend = CONFIG.backends[name]
        python = launch.interpreter_of(name, backend, ROOT).path
        command = [str(python), "-m", "tests.backend.saved", verb, folder]
        variables = launch.worker_variables(backend, "cpu", "auto")
        done = subprocess.run(
            command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True
        )
        said = done.stdout
    return json.loads(said)


def test_a_model_is_loaded_with_its_optimizer_on_another_backend(loaded):
    assert loaded["plain"] == [True, "keras.src.optimizers.adam"]
    assert loaded["uncompiled"] == [False, ""]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("custom", "custom.keras: expected Keras's own layers and functions; received the class "),
        ("loss", "received the function 'difference'. Load or build it in a function, and name "),
        ("code", "code.keras: it holds Python code (Lambda), and code in a saved file is not run"),
        ("broken", "broken.keras: cannot be loaded: ValueError: File not found"),
    ],
)
def test_what_a_file_alone_cannot_say_is_one_sentence_with_what_to_type(name, said, loaded):
    assert said in loaded[name]
