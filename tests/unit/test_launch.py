"""The environment a worker gets, and what becomes of one that is not as it should be.

Processes are in tests/e2e.
"""

import pytest

from harness.engine import launch
from harness.errors import EnvironmentMissing
from harness.spec.config import Arm, Backend, Requirements

BACKEND = Backend(
    framework="x",
    environment="train-x",
    requirements=Requirements(cpu=("x",), gpu=("x",)),
    variables={"X_LOG": "2"},
    cpu_variables={"X_PLATFORM": "cpu"},
    arms={"keras": Arm(module="keras_fit")},
)


def test_only_allowed_variables_reach_a_worker(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--surprise")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("KERAS_BACKEND", "another")
    monkeypatch.setenv("LANG", "C")
    variables = launch.worker_variables(BACKEND, "auto", "auto")
    assert "XLA_FLAGS" not in variables
    assert "PYTHONPATH" not in variables
    assert variables["KERAS_BACKEND"] == "x"
    assert variables["LANG"] == "C"
    assert variables["X_LOG"] == "2"


def test_threads_set_every_pool_and_auto_sets_none():
    assert not set(launch.POOLS) & set(launch.worker_variables(BACKEND, "auto", "auto"))
    variables = launch.worker_variables(BACKEND, "auto", 3)
    assert {variables[name] for name in launch.POOLS} == {"3"}


def test_the_cpu_is_asked_for_by_hiding_every_gpu():
    variables = launch.worker_variables(BACKEND, "cpu", "auto")
    assert (variables["CUDA_VISIBLE_DEVICES"], variables["X_PLATFORM"]) == ("-1", "cpu")
    assert "X_PLATFORM" not in launch.worker_variables(BACKEND, "gpu", "auto")


def test_a_missing_environment_says_what_to_type(tmp_path):
    with pytest.raises(EnvironmentMissing, match=r"^environment missing\. Run: harness setup x$"):
        launch.interpreter_of("x", BACKEND, tmp_path)


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({}, ".nox"),
        ({"NOXENVDIR": "envs"}, "envs"),
        ({"NOXENVDIR": "envs", "HARNESS_ENVIRONMENTS": "mine"}, "mine"),
        ({"HARNESS_ENVIRONMENTS": "", "NOXENVDIR": ""}, ".nox"),
    ],
)
def test_environments_are_where_nox_was_told_to_make_them(tmp_path, monkeypatch, variables, folder):
    for name in ("NOXENVDIR", "HARNESS_ENVIRONMENTS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    python = tmp_path / folder / "train-x" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text("")
    python.chmod(0o755)
    assert launch.interpreter_of("x", BACKEND, tmp_path).path == python
