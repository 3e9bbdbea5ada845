"""What a survey of Keras leaves: who was asked, a line for each item, and what scripts printed.

A line says how far the backends' values are apart, never who is wrong: that is judged from it.

History of the format:
1   first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from harness.job.kinds import Count, Said, Sha256, Word
from harness.job.request import Kept
from harness.records.observation import Observation
from harness.records.parity import Figure

Value = Annotated[float, Field(ge=-1e300, le=1e300)] | None
"""A number; None where it is not finite."""
Text = Annotated[str, Field(max_length=10_000)]


class Survey(Observation):
    """Which backends were asked, with which Keras, and what that has."""

    format: Literal[1] = 1
    kind: Literal["survey"] = "survey"
    catalogue: Sha256
    backends: tuple[Word, ...]
    frameworks: tuple[Word, ...]  # of each
    versions: tuple[dict[Word, Word], ...]
    environments: tuple[Sha256 | None, ...]  # digests of all that could be imported
    public: dict[Word, dict[Word, Word]]  # by version of Keras: names, and what each means


class Quantity(NamedTuple):
    """One array, as every backend has it: outputs, gradients, states.

    Where one backend's own array stands out and float64 does not, `place` is where it is furthest
    off, and `values` are the backends' own there, with the float64 one behind them.
    """

    name: Word
    # Between each two backends, in the order of `pairs`: the largest relative difference in
    # float64; 1e300 where only one is finite, None where there is nothing to compare.
    exact: tuple[Figure, ...]
    rounded: tuple[Figure, ...]  # of each backend's own array against its float64 one
    place: Count = 0  # in the flat array, of the largest difference in float64
    values: tuple[Value, ...] = ()  # there, where backends differ
    shapes: tuple[Word, ...] = ()  # where they differ
    dtypes: tuple[Word, ...] = ()  # of their own arrays, where they differ


class Item(Kept):
    """One item of the catalogue, as every backend has computed it."""

    format: Literal[1] = 1
    kind: Literal["item"] = "item"
    name: str
    subject: str
    failures: dict[Word, dict[Word, Said]] = {}  # by what failed: by backend, what it said
    quantities: tuple[Quantity, ...] = ()


class Printed(Kept):
    """What a script of a departure printed in a fresh process of each backend."""

    format: Literal[1] = 1
    kind: Literal["script"] = "script"
    item: str
    quantity: str
    script: Text
    lines: tuple[Said, ...]  # of each backend
    failed: tuple[bool, ...]


Part = Survey | Item | Printed
"""What a survey's file holds, a line each."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A survey as far as it is kept."""

    survey: Survey
    items: tuple[Item, ...]
    scripts: tuple[Printed, ...]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Each two backends, in the order of a quantity's differences."""
        return tuple(combinations(self.survey.backends, 2))


def assemble(parts: Iterator[Any]) -> Surveyed | None:
    """Return the survey of a file's lines, the last one of each item; None where it has no head."""
    heads: list[Survey] = []
    items: dict[str, Item] = {}
    scripts: dict[tuple[str, str], Printed] = {}
    for part in parts:
        match part:
            case Survey():
                heads.append(part)
            case Item():
                items[part.name] = part
            case Printed():
                scripts[part.item, part.quantity] = part
    return Surveyed(heads[0], tuple(items.values()), tuple(scripts.values())) if heads else None
