"""What all unit tests share."""

import gc
import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _by_itself():
    """What is to be typed is the harness's own command, also where nox runs the tests."""
    os.environ.pop("NOX_CURRENT_SESSION", None)


@pytest.fixture(scope="module", autouse=True)
def _frozen():
    """What pytest, imports and earlier modules have made is not looked through whenever
    `worker.clock.timed` collects.
    """
    gc.freeze()
