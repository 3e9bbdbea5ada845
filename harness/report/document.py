"""What an experiment says, as values: headings, sentences, tables, figures; no format.

Text of others (names, reasons, versions) goes through `harness.errors.safe.short` on its way in;
what a format takes for a command is made harmless by that format's renderer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from harness.report.charts import Chart

Tone = Literal["plain", "strong", "aside", "good", "bad", "warning", "equal"]
"""What a text means to its reader; a renderer that has colours shows it."""
NONE = "-"  # where there is no figure


@dataclass(frozen=True, slots=True)
class Heading:
    """What all that follows is about, in one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence in a line of its own; a list's item in a format that has lists."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences that belong together, set apart by an empty line where the format has any."""

    sentences: tuple[str, ...]
    tone: Tone = "plain"
    apart: bool = False  # by empty lines on a terminal too


class Column(NamedTuple):
    """A table's column: its name, its unit, and how soon it is left out of a narrow window."""

    name: str
    rank: int = 0  # 0: never left out; of the others, those of the highest ranks are left out first
    unit: str = ""
    align: Literal["left", "right"] = "right"

    @property
    def title(self) -> str:
        """The name with the unit."""
        return f"{self.name} {self.unit}" if self.unit else self.name


class Cell(NamedTuple):
    """A table's cell that means something to its reader."""

    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; the first column names the row, and one called "verdict" judges it."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    see_all: str = "the same command with | cat"  # what to type to see every column


@dataclass(frozen=True, slots=True)
class Figure:
    """The numbers of a picture.

    A "line" has a row of x and a row of y; an "image" a row of values from 0 to 255 for each row of
    pixels.
    """

    kind: Literal["line", "image"]
    numbers: tuple[tuple[float, ...], ...]
    marks: Mapping[float, str] = field(default_factory=dict)  # of a line: a character at an x


@dataclass(frozen=True, slots=True)
class Code:
    """Lines that can be run, shown as they are."""

    text: str


Outcome = Literal["", "failure", "error", "skipped"]  # of a test case; "" where it passed


@dataclass(frozen=True, slots=True)
class Case:
    """A test case, as a CI shows it."""

    name: str
    outcome: Outcome = ""
    message: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """The test cases of one check."""

    experiment: str
    subject: str  # what is tested
    started_at: str
    cases: tuple[Case, ...]
    total_s: float | None = None


Block = Heading | Sentence | Paragraph | Table | Figure | Code


@dataclass(frozen=True, slots=True)
class Document:
    """What an experiment says to a person, and the same findings for programs."""

    blocks: tuple[Block, ...]
    data: object = None  # all findings, for JSON
    rows: tuple[Mapping[str, object], ...] = ()  # a row an arm, for CSV
    suite: Suite | None = None  # for JUnit
    charts: tuple[Chart, ...] = ()  # drawn under all else on a terminal


def words(*names: str) -> tuple[Column, ...]:
    """Return columns of words, which stand to the left and are never left out."""
    return tuple(Column(name, align="left") for name in names)


def sentences(texts: Iterable[str], tone: Tone = "plain") -> tuple[Sentence, ...]:
    """Return each text as a sentence."""
    return tuple(Sentence(text, tone) for text in texts)


def some(names: Iterable[str], n_most: int = 3, between: str = ", ") -> str:
    """Return the first of several names, and how many more there are: "a, b, c and 2 more".

    Args:
        names: any number of them.
        n_most: that are named.
        between: two names.
    """
    several = list(names)
    more = f" and {len(several) - n_most} more" if len(several) > n_most else ""
    return between.join(several[:n_most]) + more


def listed(names: Iterable[str]) -> str:
    """Return names as a sentence lists them: "a, b and c"."""
    *first, last = names
    return " and ".join([*([", ".join(first)] if first else []), last])
