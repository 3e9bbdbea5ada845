"""WinnerMap -> a page: a figure for each machine and each value of further axes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from harness.errors.safe import short
from harness.experiments.sweep.document import (
    LEGEND,
    facet_table,
    heading,
    machines_of,
    remarks,
    rule,
    sentences_of,
)
from harness.experiments.sweep.forecast import Guess
from harness.experiments.sweep.judge import CellVerdict, WinnerMap
from harness.report.charts import Chart, Page, Winners, Won
from harness.report.numbers import number
from harness.spec.sweeps import Values

READING = (
    "The number is the lead. Hatched: not measured, but predicted or screened, which is no "
    "verdict. "
)


def page(found: WinnerMap, spec_name: str, guesses: Sequence[Guess], data: object) -> Page:
    """Return the page of a map.

    Args:
        found: what the sessions say.
        spec_name: of the sweep.
        guesses: what is said of cells that are not measured.
        data: all of it, for programs.
    """
    charts: list[Chart] = []
    for machine in machines_of(found):
        cells = [cell for cell in found.cells if cell.machine == machine]
        mine = guesses if len(machines_of(found)) == 1 else ()
        charts += [
            Chart(
                f"map-{len(charts) + 1 + number}",
                short(", ".join(["Who wins where?", *where, machine])),
                " ".join(sentences_of(found)),
                READING + LEGEND,
                facet_table(found, cells, mine),
                picture,
            )
            for number, (where, picture) in enumerate(_pictures(found, cells, mine))
        ]
    said = " ".join(sentences_of(found))
    notes = (*remarks(found), *rule(found))
    left = (f"{len(found.missing)} cells are not measured",) if found.missing else ()
    return Page(heading(found, spec_name), said, (), tuple(charts), notes, left, data)


def _pictures(
    found: WinnerMap, cells: Sequence[CellVerdict], guesses: Sequence[Guess]
) -> Iterator[tuple[list[str], Winners]]:
    """Yield a picture of the last two axes for each combination of the others' values."""
    axes = sorted(found.axes.items(), key=lambda axis: len(axis[1]) > 1)  # those that vary are last
    none: tuple[str, tuple[object, ...]] = ("", ("",))
    *others, down, across = [none] * (2 - len(axes)) + axes
    won = [(cell.values, cell.found.winner, False, _lead(cell)) for cell in cells]
    won += [(values, said.rpartition(": ")[2], True, "") for values, said in guesses]
    for chosen in itertools.product(*(values for _, values in others)):
        here = dict(zip((name for name, _ in others), chosen, strict=True))
        squares = tuple(
            Won(_text(values, down[0]), _text(values, across[0]), winner, guessed, lead)
            for values, winner, guessed, lead in won
            if here.items() <= values.items()
        )
        where = [f"{name} {value}" for name, value in here.items()]
        rows, columns = (tuple(map(str, values)) for _, values in (down, across))
        yield where, Winners(rows, columns, (down[0], across[0]), squares)


def _lead(cell: CellVerdict) -> str:
    """Return the next arm's epoch to the winner's, "" where none leads surely."""
    nearest = cell.found.rivals[0].ratio if cell.found.winner else None
    return f"{number(nearest.mid)} x" if nearest else ""


def _text(values: Values, axis: str) -> str:
    return str(values.get(axis, ""))
