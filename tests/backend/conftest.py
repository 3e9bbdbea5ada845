"""One backend a time, in its own environment, against the float64 referee.

What needs a framework runs there, in one process a backend (`python -m tests.backend.probe`), and
hands arrays back; what is asserted, is asserted here. A backend whose environment is missing fails
its tests.
"""

import json
import subprocess
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from harness.engine import launch
from harness.spec import config
from tests.backend import cases

ROOT = Path(__file__).resolve().parents[2]
CONFIG = config.load(ROOT / "backends.toml")
BACKENDS = tuple(tomllib.loads((ROOT / "backends.toml").read_text())["backends"])
ARMS = [
    (name, implementation)
    for name, backend in CONFIG.backends.items()
    for implementation in backend.arms
]


@pytest.fixture(scope="session")
def probed(tmp_path_factory):
    """Return a function: backend -> the arrays that its probe handed back, by name. Each backend is
    asked once, two of them at a time.
    """
    with ThreadPoolExecutor(2) as pool:
        asked = {name: pool.submit(probe, name, tmp_path_factory.mktemp(name)) for name in BACKENDS}
    return lambda name: asked[name].result()


def probe(name, folder):
    """Return the arrays that a backend's probe hands back, which works in that folder."""
    backend = CONFIG.backends[name]
    arms = {
        key: {"module": arm.module, "options": arm.options} for key, arm in backend.arms.items()
    }
    specs = {key: spec.model_dump(mode="json") for key, spec in cases.SPECS.items()}
    (folder / "job.json").write_text(json.dumps({"arms": arms, "specs": specs}))
    np.savez(folder / "inputs.npz", **cases.inputs())
    variables = launch.worker_variables(backend, "cpu", "auto")
    python = str(launch.interpreter_of(name, backend, ROOT).path)
    done = subprocess.run(
        [python, "-m", "tests.backend.probe", str(folder)],
        cwd=ROOT,
        env=variables | {"KERAS_HOME": str(folder / "keras")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with np.load(folder / "outputs.npz") as archive:
        return dict(archive)
