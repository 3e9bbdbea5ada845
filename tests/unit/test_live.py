"""How a live worker is started, by a stand-in for the process: what it is given, and what becomes
of one that cannot start.
"""

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.engine import local
from harness.engine.live import Gone
from harness.engine.process import DoesNotStart
from harness.environments.find import Interpreter
from harness.job.asked import Live
from harness.spec import config

WHOLE = config.load(Path(__file__).resolve().parents[2] / "backends.toml")


def job(backend):
    return Live(
        backend=backend,
        device="cpu",
        request=SimpleNamespace(module="keras_fit"),
        dataset=Path(),
        weights=None,
        order=None,
        cores=(1,),
    )


@pytest.fixture
def given(monkeypatch):
    """What a process would be started with; it never says anything."""
    seen = {}

    @contextmanager
    def started(python, job, variables, stdin):
        seen.update(job=job, variables=variables)
        raise DoesNotStart("its Python does not start (no such file)")
        yield

    monkeypatch.setattr(local, "start_worker", started)
    monkeypatch.setattr(local, "interpreter_of", lambda *rest: Interpreter(Path("python"), "nox"))
    return seen


@pytest.mark.parametrize(
    ("backend", "name", "value"),
    [
        ("tensorflow", "TF_FORCE_GPU_ALLOW_GROWTH", "true"),
        ("jax", "XLA_PYTHON_CLIENT_PREALLOCATE", "false"),
    ],
)
def test_beside_other_live_processes_none_takes_a_gpu_s_whole_memory(given, backend, name, value):
    executor = local.LocalExecutor(Path(), WHOLE.backends)
    with (
        pytest.raises(Gone, match="environment broken"),
        executor.hold(job(backend), {"PYTHONHASHSEED": "7"}),
    ):
        pass
    assert given["variables"][name] == value
    assert given["variables"]["PYTHONHASHSEED"] == "7", (
        "a process's own surroundings go before what all have"
    )
    assert (given["job"].cores, given["job"].framework) == ((1,), backend)
