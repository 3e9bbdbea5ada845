"""A table of the columns that the window has room for, and sentences that end where a word does.

A pipe has no width: there the table is whole and a sentence is one line.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as Grid
from rich.text import Text

from harness.errors.safe import one_line, short
from harness.report.document import NONE, Cell, Table, Tone

ENDLESS = 100_000
HARD = "\u00a0"  # a space that no line ends at
UNITS = "ms|s|min|h|MiB|GiB|cores?|seeds?|epochs?|points|times"
JOINED = re.compile(rf" (?=%|±)|(?<=±) |(?<=[\d%]) (?=\(\d)|(?<=\d) (?=(?:{UNITS})\b)")
COMMAND = re.compile(r"(?<=: )(?:nox|harness|pip) [^;,]+")
STYLES: Mapping[Tone, str] = {
    "plain": "",
    "strong": "bold",
    "aside": "dim",
    "good": "green",
    "bad": "red",
    "warning": "yellow",
    "equal": "cyan",
}


@dataclass(frozen=True, slots=True)
class Fitting:
    """A table; a paragraph a row where the window is too narrow for the columns that must be there.

    No cell is ever broken or cut. The columns that are left out are named under the table.
    """

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the columns that fit."""
        columns = self.table.columns
        room = options.max_width if options.is_terminal else ENDLESS
        wide = options.update(width=ENDLESS)
        shown = [index for index, column in enumerate(columns) if column.rank == 0]
        if _width(console, wide, self._grid(shown)) > room:
            yield from (self._paragraph(row, room) for row in self.table.rows)
            return
        for index in sorted(range(len(columns)), key=lambda index: columns[index].rank):
            more = sorted({*shown, index})
            if _width(console, wide, self._grid(more)) <= room:
                shown = more
        grid = self._grid(shown)
        yield from console.render(grid, options.update(width=_width(console, wide, grid)))
        left_out = [column.title for index, column in enumerate(columns) if index not in shown]
        if left_out:
            note = f"no room here for: {', '.join(left_out)}. To see all: {self.table.see_all}"
            yield Wrapped(note, "aside")

    def _grid(self, indices: Sequence[int]) -> Grid:
        """Return the table of these columns."""
        grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
        for index in indices:
            column = self.table.columns[index]
            grid.add_column(Text(short(column.title)), justify=column.align, no_wrap=True)
        for row in self.table.rows:
            grid.add_row(*(_cell(row[index]) for index in indices))
        return grid

    def _paragraph(self, row: Sequence[str | Cell], room: int) -> Text:
        """Return a row as a sentence: each figure behind its column's name, the verdict first."""
        name, *cells = map(_cell, row)
        verdict, figures = Text(), []
        for column, cell in zip(self.table.columns[1:], cells, strict=True):
            if column.name == "verdict":
                verdict = cell
            elif cell.plain not in (NONE, ""):
                figures.append(f"{short(column.title)} {cell.plain}")
        told = [verdict.plain, *figures] if verdict else figures
        line = f"{name.plain}: {', '.join(map(_joined, told))}"
        text = Text(_wrapped(line, room, "  "), no_wrap=True, overflow="ignore")
        start = len(name.plain) + 2
        text.stylize(verdict.style, start, start + len(verdict))
        return text


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A sentence, wrapped between words on a terminal, one line in a pipe.

    On a terminal too, a command that ends it stands in one line, to be copied, where the window has
    room for it.
    """

    text: str
    tone: Tone = "plain"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        text = one_line(self.text)
        if options.is_terminal:
            joined = COMMAND.sub(lambda found: _joined(found[0]), JOINED.sub(HARD, text))
            text = _wrapped(joined, options.max_width)
        yield Text(text, STYLES[self.tone], no_wrap=True, overflow="ignore")


def _cell(cell: str | Cell) -> Text:
    text, tone = (cell, "plain") if isinstance(cell, str) else cell
    return Text(short(text), STYLES[tone])  # type: ignore[index]


def _width(console: Console, options: ConsoleOptions, grid: Grid) -> int:
    return console.measure(grid, options=options).maximum


def _joined(text: str) -> str:
    """Return text in which no line ends."""
    return text.replace(" ", HARD)


def _wrapped(text: str, room: int, indent: str = "") -> str:
    """Return text in lines that end at a soft space.

    Joined words that are wider than the window fall apart: into figures with their units, and those
    into words. A word is never broken.
    """
    for fall_apart in (
        lambda words: JOINED.sub(HARD, words.replace(HARD, " ")),
        lambda words: words.replace(HARD, " "),
    ):
        text = " ".join(
            words if len(words) <= room - len(indent) else fall_apart(words)
            for words in text.split(" ")
        )
    lines = textwrap.wrap(
        text, room, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )
    return "\n".join(lines).replace(HARD, " ")
