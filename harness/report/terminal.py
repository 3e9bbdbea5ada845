"""A document on a terminal, or in a pipe: the one place, with progress, that draws with rich."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.text import Text

from harness.errors.safe import one_line
from harness.report.document import Block, Code, Document, Figure, Heading, Paragraph, Sentence
from harness.report.drawing import draw
from harness.report.fitting import Fitting, Wrapped
from harness.report.plots import Plot

WIDTH = 150  # of a pipe, which has none


class Pipe(Console):
    """A console that leaves it to its caller what a reader that has gone away means."""

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError, as any other file does."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def open_console(*, stderr: bool = False) -> Pipe:
    """Return where to print. A pipe has no width: a table gets room there, not 80 columns.

    A terminal that says it has no column (COLUMNS=0) has no width either: rich would print nothing.
    """
    console = Pipe(stderr=stderr)
    has_width = console.is_terminal and console.width > 0
    return console if has_width else Pipe(stderr=stderr, width=WIDTH)


def show(document: Document, console: Console) -> None:
    """Draw a document."""
    parts = (part for block in document.blocks for part in _parts(block))
    console.print(Group(*parts, *map(Plot, document.charts)), crop=False)


def render(document: Document) -> str:
    """Return what a pipe would show: a file has no width either."""
    text = io.StringIO()
    plain = {"force_terminal": False, "force_jupyter": False, "no_color": True}
    show(document, Console(file=text, width=WIDTH, **plain))  # type: ignore[arg-type]
    return text.getvalue()


def _parts(block: Block) -> Iterable[RenderableType]:
    match block:
        case Heading(text):
            yield Wrapped(text, "strong")
        case Sentence(text, tone):
            yield Wrapped(text, tone)
        case Paragraph(sentences, tone, apart):
            lines: list[RenderableType] = [Wrapped(text, tone) for text in sentences]
            yield from [Text(), *lines, Text()] if apart else lines
        case Code(text):
            yield Text("\n".join(f"    {one_line(line)}" for line in text.split("\n")))
        case Figure():
            yield Text(draw(block), no_wrap=True, overflow="ignore")
        case _:
            yield Fitting(block)
