"""A small part of tests/attacks: hostile configurations, arguments and surroundings are no more
than sentences.
"""

import signal

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from harness.spec.data import mnist
from tests.attacks import arguments, configurations, surroundings

QUICK = {
    "deadline": None,
    "database": None,
    "derandomize": True,
    "phases": [Phase.generate],
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    arguments.make_project(tmp_path)
    for name, folder in (
        ("HOME", "home"),
        ("HARNESS_CACHE_DIR", "cache"),
        ("XDG_STATE_HOME", "state"),
        ("TMPDIR", "tmp"),
    ):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    monkeypatch.setenv("HARNESS_MNIST_URL", "http://127.0.0.1:9/")
    before = {
        each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    mnist.prepare("digits")
    yield tmp_path
    for each, handler in before.items():
        signal.signal(each, handler)


@settings(max_examples=60, **QUICK)
@given(configurations.CONFIGURATIONS)
def test_a_hostile_configuration_is_read_or_refused_in_sentences(tmp_path, content):
    configurations.check(content, tmp_path)


@settings(max_examples=20, **QUICK)
@given(arguments.lines())
def test_hostile_arguments_are_answered_in_sentences(project, capsys, monkeypatch, line):
    arguments.check(line, project, capsys, monkeypatch)


@settings(max_examples=3, **QUICK)
@given(surroundings.CASES)
def test_hostile_surroundings_are_answered_in_sentences(tmp_path_factory, case):
    surroundings.check(case, tmp_path_factory.mktemp("case"), tmp_path_factory.mktemp("cache"))
