"""The front door, as far as it needs no process of its own; the verbs are tested end to end in tests/e2e."""

import os
import signal

import pytest

from harness import cli


def test_an_interrupt_while_a_record_is_written_waits_until_it_is_written():
    written = []

    def write_through_an_interrupt():
        with cli._uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            written.append("whole")

    with pytest.raises(KeyboardInterrupt):
        write_through_an_interrupt()
    assert written == ["whole"]


def test_a_table_in_a_pipe_is_not_squeezed_into_80_columns(capsys):
    cli._console().print("x" * 120)
    assert capsys.readouterr().out == "x" * 120 + "\n"
