"""What the front door stands on: arguments that say something, a working folder, open descriptors, an output that takes what is printed.

Where one is missing, the user reads a sentence with the cause, or the command works without it.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

import typer
from typer.core import TyperGroup

from harness.errors import LINE, ConfigError, HarnessError, clipped, printable, shown

UsageError = cast(
    "type[typer.BadParameter]", typer.BadParameter.__base__
)  # of every fault that typer itself finds in arguments
READER_GONE = 141  # 128 and SIGPIPE, as a shell has it of any program whose reader went away


class Front(TyperGroup):
    """The group of all verbs: refuses arguments that say nothing, and quotes those that say too much in part."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Return what is left of the arguments, after a look at all of them, those of the verb too."""
        check_arguments(args)
        with _briefly():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        try:
            with _briefly():
                return super().invoke(ctx)
        except BrokenPipeError:
            _silence()
            raise typer.Exit(READER_GONE) from None


def check_arguments(arguments: Sequence[str]) -> None:
    """Return if no argument is blank or holds NUL: as a name it would mean the default, as a folder the working folder.

    Raises:
        ConfigError: one is; names the option.
    """
    before = "an argument"
    for argument in arguments:
        option, equals, value = (
            argument.partition("=") if argument.startswith("--") else ("", "", argument)
        )
        if (equals or not option) and (not value.strip() or "\0" in value):
            raise ConfigError(f"{option or before}: expected a value; received {shown(value)}")
        before = argument if argument.startswith("-") and not equals else "an argument"


@contextmanager
def _briefly() -> Iterator[None]:
    """Have a fault in the arguments said in one line of at most 300 characters."""
    try:
        yield
    except UsageError as error:
        error.message = clipped(
            printable(" ".join(error.message.split())),
            LINE - len("Error: Invalid value for '--time-limit': "),
        )
        raise


def prepare() -> None:
    """Prepare this process: no descriptor of a file may pass for a stream that was closed, and every letter can be printed."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if not os.path.isabs(os.environ.get("HOME", "/")):  # noqa: PTH117
        del os.environ[
            "HOME"
        ]  # empty or relative, it is none: files would go to / or to the working folder
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def sentences() -> Iterator[None]:
    """Turn what ends a verb into a sentence on stderr and an exit code.

    Raises:
        SystemExit: with the code of the error; 2 where the system refused something, 141 where the output's reader is gone.
    """
    try:
        try:
            check_working_folder()
            yield
        finally:
            if sys.stdout:
                sys.stdout.flush()  # a disk that is full is said here, not by Python when all is over
    except HarnessError as error:
        _end(str(error), error.exit_code)
    except BrokenPipeError:
        _end("", READER_GONE)
    except OSError as error:  # a full disk, a folder that went away, too many files: the system's words, and where
        where = (
            f"{error.filename}: cannot be used"
            if error.filename
            else "the output, or a file: cannot be written"
        )
        _end(str(HarnessError(f"{where} ({error.strerror or error})")), 2)


def check_working_folder() -> None:
    """Return if the folder that this process is in is still there.

    Raises:
        ConfigError: it is not.
    """
    try:
        os.getcwd()  # noqa: PTH109 - Path.cwd would import more than --help needs
    except OSError as error:
        raise ConfigError(
            f"the working folder: cannot be read ({error.strerror}). Go to another one, as: cd ~"
        ) from None


def _end(said: str, code: int) -> None:
    """Exit with a sentence. Streams that take no more are given up first, or Python would complain of them at its end."""
    from harness.cli.options import say

    with suppress(OSError):
        if said:
            say(said, "red", stderr=True)
    _silence()
    sys.exit(code)


def _silence() -> None:
    """Send what is left in the buffers of streams that cannot be written nowhere."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
