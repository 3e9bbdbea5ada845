"""What a worker measures of its own limits, and that its clock waits: in each backend's
environment, on the CPU. No speed is asserted.
"""

import json
import math
import subprocess

import pytest

from harness.engine import launch
from harness.engine.executor import make_executor, perform
from harness.job.answers import Rates
from harness.job.asked import SelfCheck
from tests.backend.conftest import BACKENDS, CONFIG, ROOT

ASYNCHRONOUS_ON_A_CPU = {"jax"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Return a function: backend -> what its probe measured. Each backend is asked once."""
    known = {}

    def of(name):
        if name not in known:
            folder, backend = tmp_path_factory.mktemp(name), CONFIG.backends[name]
            variables = launch.worker_variables(backend, "cpu", "auto") | {
                "KERAS_HOME": str(folder)
            }
            command = [
                str(launch.interpreter_of(name, backend, ROOT).path),
                "-m",
                "tests.backend.limits_probe",
                name,
                str(folder / "found.json"),
            ]
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=variables,
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            known[name] = json.loads((folder / "found.json").read_text())
        return known[name]

    return of


@pytest.mark.parametrize("backend", BACKENDS)
def test_rates_are_a_record_s_positive_and_finite(measured, backend):
    rates = measured(backend)["rates"]
    assert Rates(**rates).n_dispatches == 469
    assert all(math.isfinite(figure) and figure > 0 for figure in rates.values())


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_measured_as_a_product_is_one_in_every_form_and_way(measured, backend):
    errors = measured(backend)["products"]
    assert len(errors) >= 3
    assert max(errors) < 1e-6


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_compiler_takes_the_work_out_of_its_loop(measured, backend):
    ratios = measured(backend)["longer"]
    assert {"product", "sweep", "smallest"} <= {name for name, _ in ratios}
    for (
        name,
        ratio,
    ) in (
        ratios
    ):  # of 32 times as many rounds; a product that was taken out needs the same time for them
        assert (ratio < 5) == (name == "hoisted"), (name, ratio)


@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_on_a_cpu_is_the_process_s_own_and_no_allocator_s(measured, backend):
    memory = measured(backend)["memory"]
    assert list(memory) == ["peak RSS"]
    assert memory["peak RSS"] > 10_000_000


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_clock_is_read_when_the_work_is_done(measured, backend):
    found = measured(backend)["wait"]
    assert found["holds"], found
    assert found["asynchronous"] == (backend in ASYNCHRONOUS_ON_A_CPU), found


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_wait_that_does_not_wait_is_seen_wherever_there_is_something_to_wait_for(
    measured, backend
):
    found = measured(backend)["no wait"]
    assert found["asynchronous"] == (backend in ASYNCHRONOUS_ON_A_CPU), found
    assert found["holds"] != found["asynchronous"], found
    if found["asynchronous"]:
        assert found["left_s"] > found["timed_s"]


def test_a_worker_does_the_check_as_a_job():
    executor = make_executor(ROOT, CONFIG.backends)
    assert perform(executor, SelfCheck(backend="numpy")).answer.holds is True
