"""A sweep on a real Ray cluster of two nodes, one of which is removed while it measures a cell."""

import os
import subprocess

import psutil
import pytest

from tests.clusters.test_slurm import CELLS, check_whole
from tests.e2e.conftest import workers
from tests.e2e.test_bench import until
from tests.e2e.test_sweeps import add_sweep, found

pytestmark = pytest.mark.long
SWEEP = ("sweep", "small", "--no-parity", "--engine", "ray")


@pytest.fixture
def cluster():
    """A head that measures nothing, and two nodes that can."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes = [made.add_node(num_cpus=1, resources={"harness": 1}) for _ in range(2)]
    made.wait_for_nodes()
    yield made, nodes
    made.shutdown()


def start(project, cluster):
    return subprocess.Popen(
        project.command(*SWEEP),
        cwd=project.root,
        env=os.environ | {"RAY_ADDRESS": cluster[0].address},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def cells_below(node):
    """The cells that a node's processes run."""
    several = (each for processes in node.all_processes.values() for each in processes)
    children = (psutil.Process(each.process.pid).children(recursive=True) for each in several)
    return [child for each in children for child in each if "cell" in child.cmdline()]


def test_two_nodes_run_all_cells_and_their_records_come_back(project, cluster):
    add_sweep(project, CELLS)
    check_whole(project, start(project, cluster))
    assert {bench.session.cell.attempt for bench in found(project)} == {1}


def test_a_node_that_is_removed_in_a_cell_loses_none(project, cluster):
    add_sweep(project, CELLS)
    driver = start(project, cluster)
    made, nodes = cluster
    until(lambda: any(map(cells_below, nodes)), 200)
    (busy, *_) = [node for node in nodes if cells_below(node)]
    until(lambda: any(workers(cell) for cell in cells_below(busy)))
    victims = [
        each for cell in cells_below(busy) for each in (cell, *cell.children(recursive=True))
    ]
    made.remove_node(busy, allow_graceful=False)
    for each in victims:
        if each.is_running():
            each.kill()  # what a machine that is gone would end with it
    check_whole(project, driver)
