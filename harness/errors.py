"""The errors a user can meet, each with its exit code.

HarnessError                 2   something to mend and type again; shown as one sentence, without a traceback
├── ConfigError              2   backends.toml, or an argument, says something impossible
├── DataError                2   the dataset is not there, or is not what its name says
├── EnvironmentMissing       2   a backend's virtual environment is not there, or its Python does not start
├── StoreError               2   the results folder cannot be read or written
├── MachineBusy              2   another measurement holds this machine, and --no-wait was given
├── NotComparable            4   results of another machine, Keras, dataset or spec
└── Refused                      inside a worker: the run cannot be what was asked for; becomes the reason of a failed record

Anything else that escapes is a defect of this program and shows its traceback. A run that failed is no exception
but a record (`harness.records.record.Record` with status "failed" or "diverged"), and makes the exit code 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HarnessError(Exception):
    """Base of every error whose message is meant for the user."""

    exit_code = 2


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
    """Results of another machine, Keras, dataset or spec: a number made of both would mean nothing."""

    exit_code = 4


class Refused(HarnessError):
    """Inside a worker: the run cannot be what was asked for; becomes the reason of a failed record."""


def nearest(expected: Iterable[object], received: object) -> str | None:
    """Return the expected name that was probably meant, None where none is near."""
    return next(iter(difflib.get_close_matches(str(received), [str(name) for name in expected], n=1)), None)


def choice(expected: Iterable[object], received: object) -> str:
    """Return "expected one of a, b; received 'c'. Did you mean 'b'?", the second sentence where a name is near."""
    names = [str(name) for name in expected]
    if not names:
        return f"expected none; received {received!r}"
    near = nearest(names, received)
    hint = f" Did you mean {near!r}?" if near else ""
    return f"expected one of {', '.join(names)}; received {received!r}.{hint}"
