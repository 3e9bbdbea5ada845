"""A table in the form that the window has room for, and sentences that end where a word does.

A pipe has no width: there the table is whole and a sentence is one line.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as Grid
from rich.text import Text

from harness.safe import one_line, short

ENDLESS = 100_000
MOST = 3  # tables one below the other; then a paragraph a row is easier to read
NONE = "-"  # where there is no figure
HARD = "\u00a0"  # a space that no line ends at
JOINED = re.compile(r" (?=%|±)|(?<=±) |(?<=[\d%]) (?=\(\d)|(?<=\d) (?=(?:ms|s|min|h|MiB|GiB)\b)")


class Column(NamedTuple):
    """A column's name, and the side on which its figures stand."""

    name: str
    right: bool = True


@dataclass(frozen=True, slots=True)
class Fitting:
    """Rows as one table; where that is too wide, as several, one below the other; else a paragraph a row. No figure is left out or cut."""

    columns: tuple[Column, ...]  # the first names the row, and stands in every table; the second is what is said of it
    rows: tuple[tuple[str, ...], ...]
    styles: Mapping[str, str] = field(default_factory=dict)  # of the second column's cells

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the first form that fits."""
        room = options.max_width if options.is_terminal else ENDLESS
        wide = options.update(width=ENDLESS)
        parts: list[list[int]] = [[]]
        for index in range(1, len(self.columns)):
            if parts[-1] and console.measure(self._grid([*parts[-1], index]), options=wide).maximum > room:
                parts.append([])
            parts[-1].append(index)
        grids = [self._grid(part) for part in parts]
        widths = [console.measure(grid, options=wide).maximum for grid in grids]
        if len(grids) > MOST or max(widths) > room:
            yield from (self._paragraph(row, room) for row in self.rows)
            return
        for grid, width in zip(grids, widths, strict=True):
            yield from console.render(grid, options.update(width=width))

    def _grid(self, indices: Sequence[int]) -> Grid:
        """Return the table of the first column and these."""
        grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
        for index in (0, *indices):
            grid.add_column(Text(short(self.columns[index].name)), justify="right" if self.columns[index].right else "left", no_wrap=True)
        for row in self.rows:
            grid.add_row(*(Text(short(row[index]), self.styles.get(row[1], "") if index == 1 else "") for index in (0, *indices)))
        return grid

    def _paragraph(self, row: tuple[str, ...], room: int) -> Text:
        """Return a row as a sentence: each figure after its column's name, and never parted from it."""
        row = tuple(map(short, row))
        pairs = zip(self.columns[2:], row[2:], strict=True)
        figures = [f"{row[0]}: {row[1]}", *(f"{short(column.name)} {cell}" for column, cell in pairs if cell != NONE)]
        whole = ", ".join(figure.replace(" ", HARD) if len(figure) < room - 2 else figure for figure in figures)
        text = Text(_wrapped(whole, room, "  "), no_wrap=True, overflow="ignore")
        text.stylize(self.styles.get(row[1], ""), len(row[0]) + 2, len(row[0]) + 2 + len(row[1]))
        return text


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, wrapped between words on a terminal, one line in a pipe."""

    text: str
    style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        line = one_line(self.text)
        text = _wrapped(JOINED.sub(HARD, line), options.max_width) if options.is_terminal else line
        yield Text(text, self.style, no_wrap=True, overflow="ignore")


def _wrapped(text: str, room: int, indent: str = "") -> str:
    """Return text in lines that end at a soft space."""
    return textwrap.fill(text, max(room, 20), subsequent_indent=indent, break_on_hyphens=False).replace(HARD, " ")


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
