"""One measurement at a time on a machine, tried with real processes."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from harness.engine import exclusive
from harness.errors import MachineBusy
from tests.unit.test_plan import ROOT

HOLD = """
import sys, time
from harness.engine.exclusive import hold_machine
def say(sentence):
    print("said", sentence, flush=True)
with hold_machine(sys.argv[1], say):
    print("from", repr(time.monotonic()), flush=True)
    time.sleep(float(sys.argv[2]))
    until = time.monotonic()
print("until", repr(until), flush=True)
"""


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(exclusive, "POLL_S", 0.05)
    return tmp_path / "state" / "keras-backend-harness"


def start(verb, seconds):
    pipes = {"stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", HOLD, verb, str(seconds)], cwd=ROOT, **pipes)


def told(process):
    """What a process said, by the first word of its lines."""
    lines = process.communicate(timeout=60)[0].splitlines()
    return [line.partition(" ")[::2] for line in lines]


def held_by(verb, seconds=60):
    """A process that holds the machine by now."""
    process = start(verb, seconds)
    assert process.stdout.readline().startswith("from")
    return process


def end(process, how=signal.SIGKILL):
    process.send_signal(how)
    process.communicate(timeout=60)


def test_what_several_processes_measure_at_once_does_not_overlap():
    several = [start(f"verb{number}", 0.3) for number in range(4)]
    spans, waited = [], 0
    for process in several:
        said = told(process)
        times = {word: float(value) for word, value in said if word != "said"}
        spans.append((times["from"], times["until"]))
        waited += any(word == "said" for word, _ in said)
    spans.sort()
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(spans))
    assert waited == 3


def test_who_waits_says_for_what_since_when_and_goes_on_once_that_has_ended():
    holder = held_by("bench")
    second = start("train", 0.0)
    line = second.stdout.readline()
    assert f"harness bench, process {holder.pid}, since 20" in line
    assert second.poll() is None
    end(holder, signal.SIGTERM)
    assert told(second)[0][0] == "from"
    assert second.returncode == 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_holder_that_is_killed_holds_nothing(how):
    end(held_by("bench"), how)
    with exclusive.hold_machine("train", pytest.fail, wait=False):
        pass


def test_who_does_not_wait_is_refused_at_once_with_the_holder_s_name():
    holder = held_by("gate")
    try:
        began = time.monotonic()
        said = rf"harness gate, process {holder.pid}, since .*--no-wait"
        with (
            pytest.raises(MachineBusy, match=said) as refused,
            exclusive.hold_machine("train", pytest.fail, wait=False),
        ):
            pytest.fail("it does not hold the machine")
        assert time.monotonic() - began < 2.0
        assert refused.value.exit_code == 2
    finally:
        end(holder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 5000,
        b'{"verb": "x", "pid": "y", "since": 1}',
        b'{"verb": "\\u001b[31m", "pid": 1, "since": "\\u202e"}',
    ],
)
def test_whatever_lies_beside_the_lock_the_refusal_is_one_printable_sentence(state, content):
    holder = held_by("bench")
    try:
        (file,) = state.glob("*.json")
        file.write_bytes(content)
        with (
            pytest.raises(MachineBusy) as refused,
            exclusive.hold_machine("train", pytest.fail, wait=False),
        ):
            pytest.fail("it does not hold the machine")
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) <= 300
    finally:
        end(holder)


def test_where_no_lock_can_be_kept_that_is_said_and_the_measurement_goes_on(state):
    state.parent.write_text("in the way")
    said = []
    with exclusive.hold_machine("train", said.append):
        pass
    assert len(said) == 1
    assert "no lock can be kept there" in said[0]


def test_machines_that_share_a_home_folder_do_not_wait_for_each_other(monkeypatch):
    holder = held_by("bench")
    try:
        monkeypatch.setattr(exclusive, "boot", lambda: "another machine's")
        with exclusive.hold_machine("train", pytest.fail, wait=False):
            pass
    finally:
        end(holder)


def test_an_error_while_measuring_comes_out_and_the_machine_is_free(state):
    with pytest.raises(OSError, match="mine"), exclusive.hold_machine("train", pytest.fail):
        raise OSError("mine")
    with exclusive.hold_machine("train", pytest.fail, wait=False):
        (file,) = state.glob("*.json")
        assert json.loads(file.read_text())["pid"] == os.getpid()
