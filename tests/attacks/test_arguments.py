"""No argument of any verb, however hostile, is more than a sentence: no traceback, no hang, nothing started."""

import signal

import pytest
from hypothesis import HealthCheck, given, settings

from tests.attacks import arguments


@pytest.fixture
def project(tmp_path, monkeypatch):
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    arguments.make_project(tmp_path)
    for name, folder in (("HOME", "home"), ("HARNESS_CACHE_DIR", "cache"), ("XDG_STATE_HOME", "state"), ("TMPDIR", "tmp")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    yield tmp_path
    for each, handler in before.items():
        signal.signal(each, handler)


@settings(max_examples=700, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arguments.lines())
def test_hostile_arguments_are_answered_in_sentences(project, capsys, monkeypatch, line):
    arguments.check(line, project, capsys, monkeypatch)
