"""The memory that an update frees stays with the process, in every arm of PyTorch's."""

import platform
import subprocess

import pytest

from harness.engine import launch
from tests.backend.conftest import CONFIG, ROOT


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what glibc does, and no other")
@pytest.mark.parametrize("arm", ["stack", "lean", "compiled"])
def test_an_epoch_after_the_first_asks_the_system_for_few_pages(arm, tmp_path):
    backend = CONFIG.backends["torch"]
    python = launch.interpreter_of("torch", backend, ROOT).path
    done = subprocess.run(
        [python, "-m", "tests.backend.page_faults", arm],
        cwd=ROOT,
        env=launch.worker_variables(backend, "cpu", "auto") | {"KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # An eager loop whose memory goes back to the system asks for some 700 pages an update.
    assert float(done.stdout.split()[-1]) < 50
