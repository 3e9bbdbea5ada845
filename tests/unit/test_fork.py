"""Work in a child: its answer, its refusal, and how its end is this process's."""

import os
import signal
import subprocess
import sys

import pytest

from harness.errors import Refused
from harness.worker.fork import run_in_child

SCRIPT = """
import os, signal, sys
from harness.worker.fork import run_in_child
run_in_child(lambda: {})
print("went on")
"""


def test_the_answer_is_the_childs_and_this_process_is_as_before():
    changed = []

    def work():
        changed.append(1)
        return os.getpid(), os.getppid()

    child, parent = run_in_child(work)
    assert parent == os.getpid() != child
    assert not changed


def test_a_refusal_is_raised_here_with_what_it_holds():
    def work():
        error = Refused("layer 3: no float64")
        error.of_user = True
        raise error

    with pytest.raises(Refused, match=r"^layer 3: no float64$") as caught:
        run_in_child(work)
    assert caught.value.of_user


def test_a_full_disk_is_raised_here_with_its_file():
    def work():
        raise OSError(28, "No space left on device", "/somewhere/a.npz")

    with pytest.raises(OSError, match="No space left") as caught:
        run_in_child(work)
    assert (caught.value.errno, caught.value.filename) == (28, "/somewhere/a.npz")


@pytest.mark.parametrize(
    ("work", "code", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
        ("os.abort()", -signal.SIGABRT, ""),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("sys.exit(3)", 1, "SystemExit: 3"),
    ],
)
def test_where_the_child_has_no_answer_this_process_ends_as_it_did(work, code, said):
    command = [sys.executable, "-c", SCRIPT.format(work)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""
