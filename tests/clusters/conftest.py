"""What tests of clusters share with those of one machine: projects, and a cache of their own."""

import pytest

from tests.clusters.slurm import Slurm
from tests.e2e.conftest import _cache, make_project, project  # noqa: F401 - fixtures


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A SLURM cluster of two nodes, idle."""
    cluster = Slurm(tmp_path_factory.mktemp("slurm"))
    yield cluster
    cluster.stop()
