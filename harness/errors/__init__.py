"""The errors a user can meet, each with its exit code; in `safe`, text of others in what is shown.

HarnessError                 2   something to mend and type again; shown as one sentence
├── ConfigError              2   backends.toml, or an argument, says something impossible
├── DataError                2   the dataset is not there, or is not what its name says
├── EnvironmentMissing       2   a backend's virtual environment is missing, or does not start
├── StoreError               2   the results folder cannot be read or written
├── MachineBusy              2   another measurement holds this machine, and --no-wait was given
├── NotComparable            4   results of another machine, Keras, dataset or spec
└── Refused                      inside a worker: the run cannot be what was asked for; becomes
                                 the reason of a failed record

Anything else that escapes is a defect of this program and shows its traceback. A run that failed is
no exception but a record (`harness.records.record.Record` with status "failed" or "diverged"), and
makes the exit code 1.

What a user, a file or a system said is quoted in a message only in part where it is long, and no
message has a line of more than 300 characters.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LINE = 300  # characters of a message's line
QUOTED, LISTED = 100, 180  # of a value, of the names that were expected
OUT_OF_MEMORY = (  # as frameworks and the system say it, in lower case
    *("memoryerror", "bad_alloc", "out of memory", "resource_exhausted", "oom when allocating"),
    *("can't allocate memory", "cannot allocate memory", "failed to map segment"),
)


class HarnessError(Exception):
    """Base of every error whose message is meant for the user.

    Each line is printable, and at most 300 characters long.
    """

    exit_code = 2

    def __str__(self) -> str:
        """Return the message; of a line that is too long, the longest word loses its middle."""
        return "\n".join(_short_line(printable(line)) for line in super().__str__().split("\n"))


class ConfigError(HarnessError):
    """backends.toml, or an argument, says something impossible."""


class DataError(HarnessError):
    """The dataset is not there, or is not what its name says."""


class EnvironmentMissing(HarnessError):
    """A backend's virtual environment is not there, or its Python does not start."""


class StoreError(HarnessError):
    """The results folder cannot be read or written."""


class MachineBusy(HarnessError):
    """Another measurement holds this machine, and is not to be waited for."""


class NotComparable(HarnessError):
    """Results of another machine, Keras, dataset or spec.

    A number made of both would mean nothing.
    """

    exit_code = 4


class Refused(HarnessError):
    """Inside a worker: the run cannot be what was asked for.

    Becomes the reason of a failed record.
    """

    of_user = False  # whether what the user named can be compared on no backend


def is_out_of_memory(text: str) -> bool:
    """Return whether what a framework or the system said is that there is no memory left."""
    return any(phrase in text.lower() for phrase in OUT_OF_MEMORY)


def printable(text: str) -> str:
    """Return the text with what acts on a terminal as escapes.

    That is what moves its cursor, colours it or turns its lines around.
    """
    return (
        text
        if text.isprintable()
        else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
    )


def clipped(text: str, n_most: int) -> str:
    """Return at most `n_most` characters of a text: its two ends where it is longer.

    The end stays, where a message says what to type.
    """
    if len(text) <= n_most:
        return text
    n_last = (n_most - 1) // 3
    return f"{text[: n_most - 1 - n_last]}…{text[len(text) - n_last :]}"


def _short_line(line: str) -> str:
    """Return a line of at most 300 characters.

    A path or name gives way before the words around it.
    """
    longest = max(line.split(" "), key=len)
    room = len(longest) - (len(line) - LINE)
    return clipped(
        line.replace(longest, clipped(longest, room), 1) if 40 <= room < len(longest) else line,
        LINE,
    )


def shown(value: object) -> str:
    """Return a value as Python writes it, in at most 100 characters."""
    try:
        return clipped(repr(value), QUOTED)
    except (ValueError, RecursionError):  # more than 4,300 digits; tables in tables in tables
        return f"a value that is too large to show ({type(value).__name__})"


def nearest(expected: Iterable[object], received: object) -> str | None:
    """Return the expected name that was probably meant, None where none is near."""
    names = [str(name) for name in expected]
    text = shown(received) if not isinstance(received, str) else received
    longest = max(map(len, names), default=0)
    too_long = len(text) > 2 * longest + 10  # nothing so much longer is near
    return None if too_long else next(iter(difflib.get_close_matches(text, names, n=1)), None)


def choice(expected: Iterable[object], received: object) -> str:
    """Return "expected one of a, b; received 'c'.", and what was probably meant.

    " Did you mean 'b'?" follows where a name is near.
    """
    names = [str(name) for name in expected]
    if not names:
        return f"expected none; received {shown(received)}"
    near = nearest(names, received)
    hint = f" Did you mean {shown(near)}?" if near else ""
    return f"expected one of {clipped(', '.join(names), LISTED)}; received {shown(received)}.{hint}"
