"""The front door, as far as it needs no process of its own; the verbs are tested end to end in
tests/e2e.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from harness.cli import output, signals


@pytest.fixture
def _as_in_a_shell():
    """SIGINT raises KeyboardInterrupt, also where CI started pytest with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_as_in_a_shell")
def test_an_interrupt_while_a_record_is_written_waits_until_it_is_written():
    idle = threading.Event()
    other = threading.Thread(
        target=idle.wait
    )  # the kernel may hand the signal to it, as to a thread of NumPy's pool
    other.start()
    written = []

    def write_through_an_interrupt():
        with signals.delay_interrupts():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.02)
            written.append("whole")

    try:
        with pytest.raises(KeyboardInterrupt):
            write_through_an_interrupt()
    finally:
        idle.set()
        other.join()
    assert written == ["whole"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert signal.SIGHUP not in signals.stop_signals()
        with signals.delay_interrupts():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_table_in_a_pipe_is_not_squeezed_into_80_columns(capsys, monkeypatch):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    output.console_of().print("x" * 120)
    assert capsys.readouterr().out == "x" * 120 + "\n"


def test_a_terminal_that_says_it_has_no_column_gets_the_whole_sentence(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "0")
    output.say("a sentence")
    assert "a sentence\n" in capsys.readouterr().out


def test_help_lists_the_verbs_in_the_order_of_a_user_s_day():
    command = [sys.executable, "-m", "harness", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    verbs = re.findall(r"^  ([a-z]+) ", shown.partition("Commands:\n")[2], flags=re.MULTILINE)
    assert verbs == [
        "init",
        "setup",
        "choose",
        "train",
        "compare",
        "parity",
        "survey",
        "bench",
        "sweep",
        "map",
        "gate",
        "report",
        "export",
        "doctor",
        "data",
        "cell",
        "textbook",
    ]
