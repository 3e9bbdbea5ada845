"""What the front door needs: sound arguments, a working folder, open descriptors, a live output.

Where one is missing, the user reads a sentence with the cause, or the command works without it.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any, cast

import typer
from typer.core import TyperGroup

from harness.errors import LINE, ConfigError, HarnessError, clipped, printable, shown

# Of every fault that typer itself finds in arguments.
UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__base__)
AUTO = "auto"  # --report without a file
READER_GONE = 141  # 128 and SIGPIPE, as a shell has it of any program whose reader went away


class VerbGroup(TyperGroup):
    """The group of all verbs: refuses empty arguments, and quotes long ones only in part."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Return what is left of the arguments, once all are checked, those of the verb too."""
        check_arguments(args)
        args = name_report(args)
        with _shorten_usage_errors():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        try:
            with _shorten_usage_errors():
                return super().invoke(ctx)
        except BrokenPipeError:
            _discard_output()
            raise typer.Exit(READER_GONE) from None


def check_arguments(arguments: Sequence[str]) -> None:
    """Return if no argument is blank or holds NUL.

    As a name it would mean the default, as a folder the working folder.

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


def name_report(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with a value for each --report that has none.

    A file behind it ends in .html: an arm, a backend or a model never does.
    """
    found = []
    for argument, following in pairwise((*arguments, "")):
        has_file = following.lower().endswith((".html", ".htm"))
        alone = argument == "--report" and not has_file
        found.append(f"--report={AUTO}" if alone else argument)
    return found


@contextmanager
def _shorten_usage_errors() -> Iterator[None]:
    """Report a fault in the arguments in one line of at most 300 characters."""
    try:
        yield
    except UsageError as error:
        room = LINE - len("Error: Invalid value for '--time-limit': ")
        error.message = clipped(printable(" ".join(error.message.split())), room)
        raise


def prepare() -> None:
    """Prepare this process: no file may pass for a closed stream; every letter can be printed."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if not os.path.isabs(os.environ.get("HOME", "/")):  # noqa: PTH117
        # Empty or relative, it is none: files would go to / or to the working folder.
        del os.environ["HOME"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn what ends a verb into a sentence on stderr and an exit code.

    Raises:
        SystemExit: with the code of the error; 2 where the system refused something, 141 where the
            output's reader is gone.
    """
    try:
        try:
            check_working_folder()
            yield
        finally:
            if sys.stdout:
                sys.stdout.flush()  # a full disk is reported here, not by Python at its end
    except HarnessError as error:
        _exit_with(str(error), error.exit_code)
    except BrokenPipeError:
        _exit_with("", READER_GONE)
    except OSError as error:  # a full disk, a folder that went away, too many files
        where = "the output, or a file: cannot be written"
        if error.filename:
            where = f"{error.filename}: cannot be used"
        _exit_with(str(HarnessError(f"{where} ({error.strerror or error})")), 2)


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


def _exit_with(sentence: str, code: int) -> None:
    """Exit with a sentence; give up streams that take no more, of which Python would complain."""
    from harness.cli.output import say

    with suppress(OSError):
        if sentence:
            say(sentence, "red", stderr=True)
    _discard_output()
    sys.exit(code)


def _discard_output() -> None:
    """Discard what is left in the buffers of streams that cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
