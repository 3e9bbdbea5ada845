"""Work that is done in a child of this process, which is left as it was before.

A child has what this process has imported, so that a framework is imported once for two programs
that must not see each other.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from harness.errors import Refused

A = TypeVar("A")
DRIVERS = ("/dev/nvidiactl", "/dev/kfd")  # an import may open them, and no child can go on there
HIDDEN = "-1"


def can_fork() -> bool:
    """Return whether a child of this process can compute: on Linux, where no GPU is to be seen."""
    is_hidden = os.environ.get("CUDA_VISIBLE_DEVICES") == HIDDEN
    return sys.platform == "linux" and (is_hidden or not any(map(os.path.exists, DRIVERS)))


def run_in_child(work: Callable[[], A]) -> A:
    """Return what a function returns, which a child of this process calls.

    Where the child ends otherwise (killed, out of memory), this process ends as it did.

    Args:
        work: called once; what it returns can be pickled.

    Raises:
        Refused: raised by it.
        OSError: raised by it.
    """
    receiver, sender = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        os.close(receiver)
        _answer(work, sender)
    os.close(sender)
    with open(receiver, "rb") as pipe:
        said = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        os.kill(os.getpid(), -code)
    if code:
        os._exit(code)
    found: Any = pickle.loads(said)  # noqa: S301 - of this program's own child
    if isinstance(found, Refused | OSError):
        raise found
    result: A = found
    return result


def _answer(work: Callable[[], Any], sender: int) -> NoReturn:
    """Write what a function returns or raises, and end this process."""
    code = 1
    try:
        die_with_parent()
        try:
            found = work()
        except (Refused, OSError) as error:
            found = error
        with open(sender, "wb") as pipe:
            pickle.dump(found, pipe)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def die_with_parent() -> None:
    """Have the system end this process when its parent is killed.

    Elsewhere than on Linux, the next event finds the pipe closed.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
