"""What the verbs print and write: the console, lines, files and the summary of a CI."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness import __version__
from harness.errors.safe import for_terminal

if TYPE_CHECKING:
    from harness.cli.answer import Answer
    from harness.report.document import Document
    from harness.report.terminal import Pipe


def console_of(stderr: bool = False) -> Pipe:
    """Return where to print."""
    from harness.report.terminal import open_console

    return open_console(stderr=stderr)


def say(text: str, style: str = "", *, stderr: bool = False) -> None:
    """Print lines as they are: nothing is markup or moves the cursor, and no line is broken.

    Args:
        text: one line or several.
        style: rich's name of a colour or weight.
        stderr: print there, not to stdout.
    """
    console_of(stderr).print(
        for_terminal(text), style=style, markup=False, highlight=False, soft_wrap=True
    )


def show(document: Document, files: Mapping[str, Path | None] | None = None) -> None:
    """Print a document, and write it wherever an option names a file.

    Args:
        document: what to show.
        files: by the option's name, which is a format's.

    Raises:
        StoreError: a file cannot be written; names the option.
    """
    from harness.report import terminal

    terminal.show(document, console_of())
    _write_document(document, files)


def _write_document(document: Document, files: Mapping[str, Path | None] | None) -> None:
    from harness.report.renderers import render

    chosen = {name: file for name, file in (files or {}).items() if file}
    write_files({f"--{name}": (file, render(document, name)) for name, file in chosen.items()})


def show_answer(answer: Answer) -> None:
    """Print what a verb found, write it where asked, and exit with what it means.

    Raises:
        StoreError: a file cannot be written; names the option.
    """
    if answer.document.blocks:
        show(answer.document)
    write_answer(answer)
    if answer.kept:
        say(f"record: {answer.kept}", "dim")
    if answer.exit_code:
        raise typer.Exit(answer.exit_code)


def write_answer(answer: Answer) -> None:
    """Write what a verb found wherever an option names a file, and into a CI's summary.

    Raises:
        StoreError: a file cannot be written; names the option.
    """
    _write_document(answer.document, answer.files)
    if answer.for_summary:
        append_summary(answer.document)
    answer.write_page()


def write_files(contents: Mapping[str, tuple[Path | None, str | bytes]]) -> None:
    """Write each text, or bytes, to its file, where its option names one.

    Raises:
        StoreError: a file cannot be written; names the option.
    """
    from harness.errors import StoreError

    for option, (file, content) in contents.items():
        if file:
            try:
                file.write_bytes(content if isinstance(content, bytes) else content.encode())
            except OSError as error:
                raise StoreError(
                    f"{option}: {file}: cannot be written ({error.strerror})"
                ) from None


def append_summary(document: Document) -> None:
    """Append a document to what GitHub shows of a workflow's step, where this runs in one.

    A summary that cannot be written is said on stderr, and fails nothing: the text is printed too.
    """
    from harness.report.renderers import render

    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if not file:
        return
    try:
        with Path(file).open("a", encoding="utf-8") as summary:
            summary.write(f"{render(document, 'markdown').rstrip()}\n\n")
    except OSError as error:
        where = f"GITHUB_STEP_SUMMARY: {file}: cannot be written ({error.strerror})"
        say(f"! {where}; the summary is left out", "yellow", stderr=True)


def print_version() -> None:
    """Print the version, and exit."""
    print(f"harness {__version__}")
    raise typer.Exit
