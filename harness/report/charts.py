"""A page of charts, as values: what each finds, how it is read, its numbers; nothing is drawn here.

A chart's picture is one of a few kinds. Each holds plain numbers, and says nothing of colours or
sizes: `harness.report.figures` draws it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from harness.report.document import NONE, Column, Table, Tone, listed, words
from harness.statistics.intervals import Interval


class Axis(NamedTuple):
    """What an axis shows, with its unit, and whether equal steps are equal ratios."""

    title: str
    scale: Literal["linear", "log"] = "linear"


class Estimate(NamedTuple):
    """A row of a forest plot: an estimate with its interval, and what it comes to, in a word."""

    name: str
    interval: Interval  # the ends are nan where they are not known
    word: str = ""
    tone: Tone = "plain"  # which mark it gets


@dataclass(frozen=True, slots=True)
class Estimates:
    """A row for each estimate with its interval."""

    rows: tuple[Estimate, ...]
    axis: Axis
    band: tuple[float, float] | None = None  # a range of no consequence
    lines: tuple[float, ...] = ()  # limits
    centre: float | None = None  # where there is no difference; None: bars from 0


class Part(NamedTuple):
    """A part of a bar."""

    name: str  # the bar's
    part: str
    value: float


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar for each name, of parts that follow one another, or lie side by side."""

    parts: tuple[Part, ...]
    axis: Axis
    stacked: bool


class Point(NamedTuple):
    """A point of a curve, with the range of what went into it."""

    series: str
    x: float
    y: float
    low: float = math.nan
    high: float = math.nan
    counts: bool = True  # else it is drawn hollow


class Mark(NamedTuple):
    """A place on a chart that has a text of its own."""

    x: float
    y: float
    text: str


class Reach(NamedTuple):
    """From where to where on the x axis a series is first."""

    series: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Curves:
    """Series of points, with lines between them where they are joined."""

    points: tuple[Point, ...]
    x: Axis
    y: Axis
    joined: bool = True
    marks: tuple[Mark, ...] = ()
    first: tuple[Reach, ...] = ()  # a ribbon below the chart
    limits: tuple[Point, ...] = ()  # a line of its own: what a series may reach

    @property
    def has_points(self) -> bool:
        """Whether each point has a mark: not on a curve that is computed."""
        return not self.first


class Square(NamedTuple):
    """A square of a heat map."""

    row: str
    column: str
    value: float
    text: str
    ringed: bool = False


@dataclass(frozen=True, slots=True)
class Heat:
    """A square for each row and column, in a colour for each of a few steps of its value."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    squares: tuple[Square, ...]
    steps: tuple[float, ...]  # where a next colour begins
    names: tuple[str, ...]  # of the colours


class Won(NamedTuple):
    """A cell of a map of winners."""

    row: str
    column: str
    name: str  # who wins; "" where nobody does surely
    guessed: bool = False  # not measured: it is hatched
    lead: str = ""  # by how much, below the name


@dataclass(frozen=True, slots=True)
class Winners:
    """A square for each cell, in the colour of who wins there."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    axes: tuple[str, str]  # what rows and columns are
    cells: tuple[Won, ...]


class Gap(NamedTuple):
    """A figure with the limit that it is held to."""

    name: str
    value: float
    limit: float
    fits: bool


@dataclass(frozen=True, slots=True)
class Gaps:
    """A row for each figure and its limit, on a logarithmic axis."""

    rows: tuple[Gap, ...]
    axis: Axis


Picture = Estimates | Bars | Curves | Heat | Winners | Gaps


@dataclass(frozen=True, slots=True)
class Chart:
    """A question with its answer: in a sentence, a picture and a table."""

    name: str  # of its place on the page, and of its file: "forest"
    question: str
    finding: str  # one sentence, made of the numbers
    reading: str  # one sentence, or two: how to read the picture
    table: Table
    picture: Picture | None = None  # None: the table is all


class Tile(NamedTuple):
    """A question of the page's head with its answer in a few words."""

    question: str
    answer: str
    more: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Page:
    """What records say, in the order in which one asks."""

    title: str
    headline: str  # the verdict's sentence
    tiles: tuple[Tile, ...]
    charts: tuple[Chart, ...]
    remarks: tuple[str, ...] = ()  # what makes it less sure
    left_out: tuple[str, ...] = ()  # what there are no records of
    data: object = None  # all of it, for programs


def finite(values: Iterable[float]) -> list[float]:
    """Return those values that are numbers."""
    return [value for value in values if math.isfinite(value)]


def tabulate(
    points: Iterable[Point], column: Callable[[float], Column], shown: Callable[[float], str]
) -> Table:
    """Return points as a table, with a row for each series and a column for each place.

    Args:
        points: in any order.
        column: of a place on the x axis.
        shown: a value, as text.
    """
    rows: dict[str, dict[float, str]] = {}
    for point in points:
        rows.setdefault(point.series, {})[point.x] = shown(point.y)
    places = sorted(set().union(*rows.values()))
    cells = ((name, *(row.get(place, NONE) for place in places)) for name, row in rows.items())
    return Table((*words("arm"), *map(column, places)), tuple(cells))


def counted(words_: Iterable[str]) -> str:
    """Return how many there are of each word: "2 are faster and 1 is slower"."""
    counts = Counter(words_)
    return listed(f"{n} {'is' if n == 1 else 'are'} {word}" for word, n in counts.items())
