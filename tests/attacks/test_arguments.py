"""No argument of any verb, however hostile, is more than a sentence: no traceback, no hang, nothing
started.
"""

import signal

import pytest
from hypothesis import HealthCheck, given, settings

from harness.spec.data import mnist
from tests.attacks import arguments


@pytest.fixture
def project(tmp_path, monkeypatch):
    before = {
        each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    arguments.make_project(tmp_path)
    for name, folder in (
        ("HOME", "home"),
        ("HARNESS_CACHE_DIR", "cache"),
        ("XDG_STATE_HOME", "state"),
        ("TMPDIR", "tmp"),
    ):
        monkeypatch.setenv(name, str(tmp_path / folder))
    for name in ("HARNESS_DATA_DIR", "HARNESS_ENVIRONMENTS", "NOXENVDIR"):  # so that no run starts
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(
        "HARNESS_MNIST_URL", "http://127.0.0.1:9/"
    )  # refused at once: the embedded dataset takes its place
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    mnist.prepare("digits")  # each case would make it anew
    yield tmp_path
    for each, handler in before.items():
        signal.signal(each, handler)


@settings(
    max_examples=400,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(arguments.lines())
def test_hostile_arguments_are_answered_in_sentences(project, capsys, monkeypatch, line):
    arguments.check(line, project, capsys, monkeypatch)
