"""A table of the columns that the window has room for, and sentences that end where a word does.

A pipe has no width: there the table is whole and a sentence is one line.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as Grid
from rich.text import Text

from harness.safe import one_line, short

ENDLESS = 100_000
NONE = "-"  # where there is no figure
HARD = "\u00a0"  # a space that no line ends at
UNITS = "ms|s|min|h|MiB|GiB|cores?|seeds?|epochs?|points|times"
JOINED = re.compile(rf" (?=%|±)|(?<=±) |(?<=[\d%]) (?=\(\d)|(?<=\d) (?=(?:{UNITS})\b)")
COMMAND = re.compile(r"(?<=: )(?:nox|harness|pip) [^;,]+")
PIPE = "the same command with | cat"  # which prints a table whole


class Column(NamedTuple):
    """A column's name, the side on which its figures stand, and how soon it is left out."""

    name: str
    right: bool = True
    rank: int = 0  # 0: never left out; of the others, those of the highest ranks are left out first


def columns_of(
    names: Iterable[str], left: Iterable[str], order: Sequence[str] = ()
) -> tuple[Column, ...]:
    """Return columns by name.

    Args:
        names: Of all columns, as they stand.
        left: Of those that stand to the left: words.
        order: Of those that may be left out, the most important one first.
    """
    words, ranks = set(left), {name: rank for rank, name in enumerate(order, start=1)}
    return tuple(Column(name, name not in words, ranks.get(name, 0)) for name in names)


@dataclass(frozen=True, slots=True)
class Fitting:
    """Rows as a table; a paragraph a row where the window is too narrow for the columns that are never left out.

    No cell is ever broken or cut. The columns that are left out are named under the table.
    """

    columns: tuple[Column, ...]  # the first names the row
    rows: tuple[tuple[str | Text, ...], ...]
    styles: Mapping[str, str] = field(
        default_factory=dict
    )  # of the second column's cells, where those are verdicts
    whole: str = PIPE  # what to type to see every column

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the columns that fit."""
        room = options.max_width if options.is_terminal else ENDLESS
        wide = options.update(width=ENDLESS)
        shown = [index for index, column in enumerate(self.columns) if column.rank == 0]
        if _width(console, wide, self._grid(shown)) > room:
            yield from (self._paragraph(row, room) for row in self.rows)
            return
        for index in sorted(range(len(self.columns)), key=lambda index: self.columns[index].rank):
            more = sorted({*shown, index})
            if _width(console, wide, self._grid(more)) <= room:
                shown = more
        grid = self._grid(shown)
        yield from console.render(grid, options.update(width=_width(console, wide, grid)))
        left_out = [column.name for index, column in enumerate(self.columns) if index not in shown]
        if left_out:
            yield Sentence(
                f"no room here for: {', '.join(left_out)}. To see all: {self.whole}", "dim"
            )

    def _grid(self, indices: Sequence[int]) -> Grid:
        """Return the table of these columns."""
        grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
        for index in indices:
            justify = "right" if self.columns[index].right else "left"
            name = Text(short(self.columns[index].name))
            grid.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        for row in self.rows:
            grid.add_row(*(self._cell(row, index) for index in indices))
        return grid

    def _cell(self, row: Sequence[str | Text], index: int) -> Text:
        cell = row[index]
        if isinstance(cell, Text):
            return cell
        return Text(short(cell), self.styles.get(cell, "") if index == 1 else "")

    def _paragraph(self, row: Sequence[str | Text], room: int) -> Text:
        """Return a row as a sentence: each figure after its column's name, and never parted from it."""
        name, *cells = (short(str(cell)) for cell in row)
        named = [
            f"{short(column.name)} {cell}"
            for column, cell in zip(self.columns[1:], cells, strict=True)
        ]
        figures = [
            figure for figure, cell in zip(named, cells, strict=True) if cell not in (NONE, "")
        ]
        if self.styles:
            figures = [cells[0], *(figure for figure in figures if figure != named[0])]
        joined = ", ".join(_joined(figure) for figure in figures)
        text = Text(_wrapped(f"{name}: {joined}", room, "  "), no_wrap=True, overflow="ignore")
        text.stylize(self.styles.get(cells[0], ""), len(name) + 2, len(name) + 2 + len(cells[0]))
        return text


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, wrapped between words on a terminal, one line in a pipe.

    On a terminal too, a command that ends it stands in one line, to be copied, where the window has room for it.
    """

    text: str
    style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        text = one_line(self.text)
        if options.is_terminal:
            joined = COMMAND.sub(lambda found: _joined(found[0]), JOINED.sub(HARD, text))
            text = _wrapped(joined, options.max_width)
        yield Text(text, self.style, no_wrap=True, overflow="ignore")


def _width(console: Console, options: ConsoleOptions, grid: Grid) -> int:
    return console.measure(grid, options=options).maximum


def _joined(text: str) -> str:
    """Return text in which no line ends."""
    return text.replace(" ", HARD)


def _wrapped(text: str, room: int, indent: str = "") -> str:
    """Return text in lines that end at a soft space.

    Joined words that are wider than the window fall apart: into figures with their units, and those into words. A word is never broken.
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


def number(value: float | None, digits: int | None = None) -> str:
    """Return a number with three significant digits, or so many after the point; a dash where there is none."""
    if value is None or math.isnan(value):
        return NONE
    return f"{value:.{_digits(value) if digits is None else digits}f}"


def span(low: float, mid: float, high: float, digits: int | None = None, unit: str = "") -> str:
    """Return an estimate and its interval, "0.523 (0.512-0.541)"; the estimate alone where the interval is not known or is a point."""
    shown = _digits(mid) if digits is None else digits
    if math.isnan(low) or low == high:
        return f"{number(mid, shown)}{unit}"
    return f"{number(mid, shown)}{unit} ({number(low, shown)}-{number(high, shown)}{unit})"


def _digits(value: float) -> int:
    """Return how many digits after the point make three significant ones."""
    return 2 if value == 0 or math.isinf(value) else max(0, 2 - math.floor(math.log10(abs(value))))
