"""No surroundings, however hostile, are more than a sentence: no traceback, no hang, no file
elsewhere.
"""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from harness.spec.data import mnist
from tests.attacks import surroundings


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache in which the embedded dataset lies: each case would make it anew."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    mnist.prepare("digits")
    return tmp_path


@settings(
    max_examples=120,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(surroundings.CASES)
def test_hostile_surroundings_are_answered_in_sentences(cache, case):
    with tempfile.TemporaryDirectory() as folder:
        surroundings.check(case, Path(folder), cache)
