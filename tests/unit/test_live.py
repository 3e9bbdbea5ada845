"""How a live worker is started, by a stand-in for the process: what it is given, and what becomes of one that cannot start."""

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.engine import live as module
from harness.engine.live import Gone, start_live_worker
from harness.errors import EnvironmentMissing
from harness.spec import config

WHOLE = config.load(Path(__file__).resolve().parents[2] / "backends.toml")


def planned(backend):
    request = SimpleNamespace(backend=backend, device="cpu", threads="auto", time_limit_s=5.0)
    return SimpleNamespace(request=request, backend=WHOLE.backends[backend])


@pytest.fixture
def given(monkeypatch):
    """What a process would be started with; it never says anything."""
    seen = {}

    @contextmanager
    def started(python, task, variables, stdin):
        seen.update(task=task, variables=variables)
        raise EnvironmentMissing("its Python does not start (no such file)")
        yield

    monkeypatch.setattr(module, "start_worker", started)
    monkeypatch.setattr(module.ask, "python_of", lambda *rest: Path("python"))
    monkeypatch.setattr(module.ask, "job", lambda planned: {"task": "measure"})
    return seen


@pytest.mark.parametrize(
    ("backend", "name", "value"),
    [
        ("tensorflow", "TF_FORCE_GPU_ALLOW_GROWTH", "true"),
        ("jax", "XLA_PYTHON_CLIENT_PREALLOCATE", "false"),
    ],
)
def test_beside_other_live_processes_none_takes_a_gpu_s_whole_memory(given, backend, name, value):
    with (
        pytest.raises(Gone, match="environment broken"),
        start_live_worker(planned(backend), Path(), {"PYTHONHASHSEED": "7"}, (1,)),
    ):
        pass
    assert given["variables"][name] == value
    assert given["variables"]["PYTHONHASHSEED"] == "7", (
        "a process's own surroundings go before what all have"
    )
    assert given["task"] == {"task": "live", "cores": (1,)}
