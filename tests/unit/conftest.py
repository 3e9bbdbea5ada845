"""What all unit tests share."""

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def _frozen():
    """What pytest, imports and earlier modules have made is not looked through whenever `worker.clock.timed` collects."""
    gc.freeze()
