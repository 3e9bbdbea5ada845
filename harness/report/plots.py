"""A chart in characters, for a quick look without a browser.

Nothing is said by a colour alone: a verdict has a shape and a word, a square of a heat map a shade
and its number. Where only ASCII can be printed, each character has another one in its place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from harness.errors.safe import short
from harness.report.charts import (
    Axis,
    Chart,
    Estimate,
    Estimates,
    Gaps,
    Heat,
    Picture,
    Square,
    finite,
)
from harness.report.document import Tone
from harness.report.fitting import STYLES, Wrapped
from harness.report.numbers import log_ticks
from harness.statistics.intervals import Interval

WIDEST = 100  # columns: where there is no window, a line is no longer
NAMES = 28  # columns of a row's name
LEAST = 16  # columns of an axis; with fewer there is none
CELL = 8  # columns of a square
MARKS: Mapping[Tone, str] = {
    **dict.fromkeys(("plain", "aside", "warning"), "●"),
    "good": "◀",
    "bad": "▶",
    "equal": "■",
    "strong": "◆",
}
SHADES = " ░▒▓█"
ASCII = str.maketrans("◀▶■●◆─│┊┴░▒▓█…±", "<>=o*-|:+.+%#.~")


@dataclass(frozen=True, slots=True)
class Plot:
    """A chart with its question, its finding and how it is read; a picture of another kind not."""

    chart: Chart

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it in the width that there is."""
        chart, room = self.chart, min(options.max_width, WIDEST)
        narrow = options.update(width=room)
        parts: list[Text | Wrapped] = [Text(), Wrapped(chart.question, "strong")]
        if chart.picture is not None:
            parts += draw(chart.picture, room)
        parts += [Wrapped(chart.finding), Wrapped(chart.reading, "aside")]
        for part in parts:
            shown = _in_ascii(part) if options.ascii_only else part
            yield from console.render(shown, narrow)


def draw(picture: Picture, room: int) -> list[Text]:
    """Return the lines of a picture: of a forest plot, of gaps or of a heat map.

    Args:
        picture: there are no lines of another kind.
        room: columns.
    """
    match picture:
        case Estimates():
            return list(_draw_estimates(picture, room))
        case Gaps():
            return list(_draw_estimates(_as_estimates(picture), room))
        case Heat():
            return list(_draw_heat(picture, room))
    return []


def _in_ascii(part: Text | Wrapped) -> Text | Wrapped:
    """Return a line with an ASCII character in the place of each other one."""
    if isinstance(part, Wrapped):
        return Wrapped(_plain(part.text), part.tone)
    changed = part.copy()
    changed.plain = _plain(part.plain)  # of the same length, so styles stay where they are
    return changed


def _plain(text: str) -> str:
    return text.translate(ASCII).encode("ascii", "replace").decode("ascii")


@dataclass(frozen=True, slots=True)
class _Scale:
    """An axis of so many columns."""

    axis: Axis
    low: float
    high: float
    n_columns: int

    @classmethod
    def of(cls, axis: Axis, values: Iterable[float], n_columns: int) -> _Scale:
        """Return the scale on which all values are seen."""
        is_log = axis.scale == "log"
        known = [value for value in finite(values) if value > 0 or not is_log]
        low, high = min(known, default=1.0), max(known, default=1.0)
        if is_log:
            margin = math.exp(0.03 * max(math.log(high / low), 0.05))
            return cls(axis, low / margin, high * margin, n_columns)
        span = (high - low) or abs(high) or 1.0
        return cls(axis, low - 0.03 * span, high + 0.03 * span, n_columns)

    def column(self, value: float) -> int:
        """Return the column of a value; the first or the last one of what lies beyond."""
        ends = self.low, self.high
        if self.axis.scale == "log":
            value, ends = math.log(max(value, self.low)), (math.log(ends[0]), math.log(ends[1]))
        share = (value - ends[0]) / (ends[1] - ends[0])
        return round(min(1.0, max(0.0, share)) * (self.n_columns - 1))

    def ticks(self) -> list[float]:
        """Return round numbers on it."""
        if self.axis.scale == "log":
            return log_ticks(self.low, self.high, max(2, self.n_columns // 7))
        step = 10.0 ** math.floor(math.log10(self.high - self.low))
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [number * step for number in range(first, last + 1)]


def _draw_estimates(picture: Estimates, room: int) -> Iterator[Text]:
    """Yield a line for each estimate, then the axis; no axis where there is no room for one."""
    names = [short(row.name, NAMES) for row in picture.rows]
    wide = max(map(cell_len, names), default=0)
    words, n_columns = _words(picture.rows, room - wide - 4)
    if not n_columns:
        for name, row in zip(names, picture.rows, strict=True):
            text = f"{MARKS[row.tone]} {name}: {short(row.word)}"
            yield Text(text, STYLES[row.tone])
        return
    ends = [end for row in picture.rows for end in _ends(row)]
    marks = [*(picture.band or ()), *picture.lines, *_known(picture.centre)]
    scale = _Scale.of(picture.axis, [*ends, *marks], n_columns)
    ground = _ground(picture, scale)
    for name, row, word in zip(names, picture.rows, words, strict=True):
        line = Text(f"{set_cell_size(name, wide)}  ")
        line.append("".join(_cells(ground, row, scale)), STYLES[row.tone])
        yield line.append(f"  {word}", STYLES[row.tone])
    yield from _axis(scale, wide + 2)


def _words(rows: Sequence[Estimate], room: int) -> tuple[list[str], int]:
    """Return each estimate's word, without its interval in a narrow window, and the axis's columns.

    There are 0 columns where a word and an axis have no room side by side.
    """
    for words in (
        [short(row.word, 60) for row in rows],
        [short(row.word.partition(" (")[0], 40) for row in rows],
    ):
        n_columns = room - max(map(cell_len, words), default=0)
        if n_columns >= LEAST:
            return words, n_columns
    return words, 0


def _ground(picture: Estimates, scale: _Scale) -> list[str]:
    """Return what lies behind the estimates: the band, limits, and the line of no difference."""
    cells = [" "] * scale.n_columns
    if picture.band:
        low, high = map(scale.column, picture.band)
        cells[low : high + 1] = ["░"] * (high + 1 - low)
    for at in picture.lines:
        cells[scale.column(at)] = "┊"
    for at in _known(picture.centre):
        cells[scale.column(at)] = "│"
    return cells


def _cells(ground: Sequence[str], row: Estimate, scale: _Scale) -> list[str]:
    """Return a row of the axis: the interval as a line, the estimate as its mark."""
    cells, places = list(ground), [scale.column(end) for end in _ends(row)]
    if places:
        cells[min(places) : max(places) + 1] = ["─"] * (max(places) + 1 - min(places))
    if math.isfinite(row.interval.mid):
        cells[scale.column(row.interval.mid)] = MARKS[row.tone]
    return cells


def _axis(scale: _Scale, indent: int) -> Iterator[Text]:
    """Yield the axis: a line with its ticks, their numbers, and what it shows."""
    line, numbers = ["─"] * scale.n_columns, ""
    for tick in scale.ticks():
        column, label = scale.column(tick), f"{tick:.4g}"
        start = max(0, column - len(label) // 2)
        if (not numbers or start > len(numbers)) and start + len(label) <= scale.n_columns + 2:
            numbers = numbers.ljust(start) + label
            line[column] = "┴"
    for text in ("".join(line), numbers, short(scale.axis.title, scale.n_columns)):
        yield Text(" " * indent + text, STYLES["aside"])


def _as_estimates(gaps: Gaps) -> Estimates:
    """Return gaps as estimates: a line from the figure to its limit, the figure as its mark."""
    rows = tuple(
        Estimate(
            each.name,
            Interval(min(each.value, each.limit), each.value, max(each.value, each.limit)),
            f"{each.value:.0e} of {each.limit:.0e}",
            "equal" if each.fits else "bad",
        )
        for each in gaps.rows
    )
    return Estimates(rows, gaps.axis)


def _draw_heat(picture: Heat, room: int) -> Iterator[Text]:
    """Yield the rows, for as many columns at a time as there is room for, then what they are."""
    names = [short(row, max(8, min(NAMES, room - CELL))) for row in picture.rows]
    wide = max(map(cell_len, names), default=0)
    n_beside = max(1, (room - wide) // CELL)
    squares = {(each.row, each.column): each for each in picture.squares}
    numbered = list(enumerate(picture.columns, start=1))
    for first in range(0, len(numbered), n_beside):
        part = numbered[first : first + n_beside]
        head = "".join(f"{number:>{CELL - 1}} " for number, _ in part)
        yield Text(" " * wide + head, STYLES["strong"])
        for name, row in zip(names, picture.rows, strict=True):
            line = Text(set_cell_size(name, wide))
            for _, column in part:
                square = squares.get((row, column))
                line.append(*(_square(picture, square) if square else (" " * CELL, "")))
            yield line
    for number, column in numbered:
        yield Text(f"{number:>3}  {short(column, room - 5)}")
    shades = zip(SHADES, picture.names, strict=True)
    steps = ", ".join(f"{shade.strip() or 'blank'} {name}" for shade, name in shades)
    yield Text(f"{steps}; [ ] the first wrong quantity")


def _square(picture: Heat, square: Square) -> tuple[str, str]:
    """Return a square in characters, with its style: its shade, its number, a ring as brackets."""
    step = sum(square.value >= each for each in picture.steps)
    text = f"{SHADES[step]}{short(square.text, CELL - 3):>{CELL - 3}}"
    tone: Tone = "bad" if step == len(picture.steps) else "plain"
    return (f"[{text}]", f"bold {STYLES['bad']}") if square.ringed else (f" {text} ", STYLES[tone])


def _ends(row: Estimate) -> list[float]:
    return finite([row.interval.low, row.interval.mid, row.interval.high])


def _known(value: float | None) -> list[float]:
    return [] if value is None else [value]
