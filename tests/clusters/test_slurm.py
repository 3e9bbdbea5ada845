"""A sweep on a real SLURM: jobs are cancelled and killed, a node dies; nothing is lost."""

import os
import signal
import subprocess
import time

import psutil
import pytest

from harness.experiments.bench.remaining import unfinished_generations
from harness.records import sessions
from tests.e2e.test_bench import until
from tests.e2e.test_sweeps import (
    TABLE,
    check_counted,
    check_no_overlap,
    found,
    make_small,
)

pytestmark = pytest.mark.long
CELLS = TABLE.replace("[8, 16]", "[8, 9, 10, 11]").replace("generations = 1", "generations = 4")
SWEEP = ("sweep", "small", "--no-parity", "--engine", "slurm")


@pytest.fixture
def small(project):
    return make_small(project, CELLS)


def start(project, slurm, *more):
    return subprocess.Popen(
        project.command(*SWEEP, *more),
        cwd=project.root,
        env=os.environ | slurm.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def cell_of(job):
    """The process of a job's cell, once it runs."""
    for each in psutil.process_iter(["cmdline", "environ"]):
        if (each.info["environ"] or {}).get("SLURM_JOB_ID") == job and "cell" in (
            each.info["cmdline"] or ()
        ):
            return each
    return None


def n_blocks(project):
    return sum(len(bench.blocks) for bench in found(project))


def check_whole(project, driver, n_cells=4):
    said = driver.communicate(timeout=500)[0]
    assert driver.returncode == 3, said
    check_counted(project, n_cells)
    check_no_overlap(found(project))
    return said


def test_two_nodes_run_all_cells_and_nothing_else_is_timed_meanwhile_on_one_machine(small, slurm):
    driver = start(small, slurm)
    until(lambda: n_blocks(small) >= 1)
    size = ("--dataset", "digits", "--generations", "2", "--blocks", "2", "--no-parity")
    bench = small.run("bench", "numpy/naive", *size)  # here, beside two nodes of this machine
    assert bench.returncode == 3, bench.stdout + bench.stderr
    check_whole(small, driver)
    (beside,) = sessions.load_all(small.results).sessions
    check_no_overlap([*found(small), beside])


def test_a_job_that_is_cancelled_and_one_that_is_killed_are_retried(small, slurm):
    driver = start(small, slurm)
    until(lambda: n_blocks(small) >= 1 and len(slurm.jobs()) >= 1)
    first = min(slurm.jobs(), key=int)
    slurm.client("scancel", first)
    until(lambda: first not in slurm.jobs())
    before = n_blocks(small)
    until(lambda: n_blocks(small) > before)
    job = min(slurm.jobs(), key=int)
    until(lambda: cell_of(job))
    cell_of(job).send_signal(signal.SIGKILL)
    said = check_whole(small, driver)
    assert said.count("once more, later") >= 1


def test_a_node_that_dies_gives_its_job_to_the_other(small, slurm):
    driver = start(small, slurm)
    until(lambda: n_blocks(small) >= 1 and slurm.jobs())
    node = slurm.jobs()[min(slurm.jobs(), key=int)]
    slurm.kill_node(node)
    check_whole(small, driver)
    slurm.start_node(node)
    until(lambda: slurm.client("sinfo", "-h", "-o", "%t %D").strip() == "idle 2")


def test_a_driver_that_is_killed_leaves_jobs_that_count(small, slurm):
    driver = start(small, slurm)
    until(lambda: n_blocks(small) >= 1)
    driver.kill()
    driver.communicate()
    until(lambda: not slurm.jobs() and not slurm.client("squeue", "-h").strip(), 300)
    complete = [bench for bench in found(small) if not unfinished_generations(bench)]
    assert complete, "jobs go on without their driver"
    check_whole(small, start(small, slurm))
    assert {each.session.run_id for each in complete} <= {
        each.session.run_id for each in found(small)
    }


def test_the_engine_costs_at_most_35_seconds_a_cell(small, slurm):
    began = time.monotonic()
    check_whole(small, start(small, slurm, "--in-flight", "1"))  # none waits while another is timed
    whole_s = time.monotonic() - began
    timed_s = sum(each.total_s for bench in found(small) for each in bench.sittings)
    cell_s = (whole_s - timed_s) / 4
    print(f"beside its session a cell costs {cell_s:.1f} s on SLURM")
    assert cell_s <= 35
