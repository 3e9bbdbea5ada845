"""WinnerMap -> Document: who wins where, how surely, how often identical code differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.errors.safe import short
from harness.experiments.sweep.compare import Compared, fewest_clear
from harness.experiments.sweep.forecast import Guess
from harness.experiments.sweep.judge import CellVerdict, WinnerMap
from harness.experiments.sweep.plan import name_of
from harness.report.document import (
    NONE,
    Block,
    Cell,
    Column,
    Document,
    Heading,
    Paragraph,
    Table,
    sentences,
    some,
    words,
)
from harness.report.numbers import number, ratio
from harness.spec.sweeps import Values
from harness.statistics.verdict import LEVEL, MIN_GENERATIONS

NONE_LEADS = "no arm leads surely"
LEGEND = (
    "winner: the arm whose epoch is shorter than that of every other one, by more than the "
    "threshold and than identical code differed by. lead: the epoch of the next arm to the "
    "winner's, with its interval. together: where none leads surely, the arms that cannot be told "
    "from the fastest one. epoch: the fastest arm's. Arms of other numbers, or set aside, cannot "
    "win. A cell is a bench session of its own, with fresh processes; harness "
    "bench --show --results FOLDER shows the newest. predicted: by a model of the cost fitted to "
    "the other cells, screened: by a short session (--refine); neither is a verdict."
)


def compose(found: WinnerMap, spec_name: str, guesses: Sequence[Guess] = ()) -> Document:
    """Return the map: in words, as a grid where two axes vary, and as a table of cells.

    Args:
        found: what the complete sessions say.
        spec_name: of the sweep.
        guesses: what is said of the cells that have none.
    """
    blocks: list[Block] = [
        Heading(heading(found, spec_name)),
        Paragraph(tuple(sentences_of(found)), "strong"),
    ]
    machines = machines_of(found)
    axes = {axis: values for axis, values in found.axes.items() if len(values) > 1}
    for machine in machines:
        cells = [cell for cell in found.cells if cell.machine == machine]
        mine = guesses if len(machines) == 1 else ()
        blocks += sentences(conditions(cells))
        blocks += [_grid(axes, cells, mine)] if len(axes) == 2 else []
        blocks.append(facet_table(found, cells, mine))
    blocks += sentences(remarks(found), "warning")
    blocks.append(Paragraph((*rule(found), LEGEND), "aside"))
    arms = sorted({arm for cell in found.cells for arm in cell.epoch_s})
    rows = tuple(_row(cell, found.axes, arms) for cell in found.cells)
    data = {"map": found, "cells": rows, "not_measured": guesses}
    return Document(tuple(blocks), data=data, rows=rows)


def heading(found: WinnerMap, spec_name: str) -> str:
    """Return what the map is of, and how much of it is measured."""
    n_all = len(found.cells) + len(found.missing)
    return short(f"map of {found.sweep}, {spec_name}: {len(found.cells)} of {n_all} cells measured")


def conditions(cells: Sequence[CellVerdict]) -> Iterable[str]:
    """Yield on which machine the cells of a facet were measured, and what an epoch is there."""
    for machine, data, n_train in dict.fromkeys((c.machine, c.data, c.n_train) for c in cells):
        yield short(f"Measured on {machine}; an epoch is {n_train} samples of {data}.")


def machines_of(found: WinnerMap) -> list[str]:
    """Return the machines, each of which has a map of its own."""
    return list(dict.fromkeys(cell.machine for cell in found.cells)) or [""]


def remarks(found: WinnerMap) -> tuple[str, ...]:
    """Return what makes it less sure: how often identical code is called different; the rest."""
    return *_twins(found), *_too_short(found), *map(short, found.remarks)


def _too_short(found: WinnerMap) -> Iterable[str]:
    few = [name_of(cell.values) for cell in found.cells if cell.n_generations < MIN_GENERATIONS]
    if few:
        said = f"fewer than {MIN_GENERATIONS} generations count, so nothing is sure there"
        yield f"{some(few, between='; ')}: {said}"


def sentences_of(found: WinnerMap) -> Iterable[str]:
    """Yield who leads in how many cells."""
    wins: dict[str, list[CellVerdict]] = {}
    for cell in found.cells:
        wins.setdefault(cell.found.winner, []).append(cell)
    undecided, n_all = wins.pop("", []), len(found.cells)
    every = "every cell that is measured" if found.missing else "every cell"
    if not found.cells:
        yield f"Nothing is measured yet. Run: harness sweep {found.sweep}"
        return
    for name, cells in sorted(wins.items(), key=lambda each: -len(each[1])):
        where = every if len(cells) == n_all else f"{len(cells)} of {n_all} cells"
        if len(cells) == 1 < n_all:
            where = f"{name_of(cells[0].values)}"
        yield f"{name} leads surely in {where}."
    if undecided:
        where = "any cell" if len(undecided) == n_all else f"{len(undecided)} of {n_all} cells"
        yield f"{'N' if not wins else 'In the others n'}o arm leads surely: {where}."


def _twins(found: WinnerMap) -> Iterable[str]:
    if found.n_twins:
        cells = f"{found.n_twins} {'cell' if found.n_twins == 1 else 'cells'}"
        yield f"A/A: identical code was called different in {found.n_twins_differ} of {cells}"


def rule(found: WinnerMap) -> Iterable[str]:
    """Yield what "sure" means on this map."""
    n = found.n_comparisons
    if found.strict:
        least = max(6, 1 + max(1, round(20 * n)).bit_length())
        yield (
            f"Of {n} comparisons none is called sure in error, with 95 % confidence (Holm); for "
            f"that each session needs {least} generations or more."
        )
    else:
        yield (
            f"Of what is called sure among {n} comparisons at most 5 % is expected to be no "
            f"difference (Benjamini and Hochberg; held to {LEVEL:.0%})."
        )
        several = (cell.n_generations for cell in found.cells)
        yield from needed(n, min((g for g in several if g >= MIN_GENERATIONS), default=0))


def needed(n: int, n_generations: int) -> Iterable[str]:
    """Yield what it takes for any of n comparisons to be sure, where one clear one is too few."""
    fewest = fewest_clear(n, n_generations)
    if n and n_generations < MIN_GENERATIONS:
        yield f"With fewer than {MIN_GENERATIONS} generations a cell nothing is sure."
    elif fewest > 1:
        yield (
            f"With {n_generations} generations a cell no p-value is below "
            f"1/{2 ** (n_generations - 1)}, so nothing is sure unless {fewest} of {n} comparisons "
            f"are as clear as that; each generation more halves that number."
        )


def facet_table(found: WinnerMap, cells: Sequence[CellVerdict], guesses: Sequence[Guess]) -> Table:
    """Return the cells of a machine, a row each.

    Args:
        found: the map.
        cells: of that machine.
        guesses: what is said of cells that are not measured.
    """
    columns = tuple(Column(short(axis, 40)) for axis in found.axes)
    more = (Column("winner", align="left"), Column("lead"), *words("next"))
    rows = [_cells(cell, found.axes) for cell in cells]
    for values, said in guesses:
        rows.append((*_shown(values, found.axes), Cell(said, "aside"), *[NONE] * 4))
    epochs = (Column("epoch", 2, "s"), Column("generations", 3))
    return Table((*columns, *more, *epochs), tuple(rows))


def _shown(values: Values, axes: Iterable[str]) -> list[str]:
    return [short(values.get(axis, NONE), 40) for axis in axes]


def _cells(cell: CellVerdict, axes: Iterable[str]) -> tuple[str | Cell, ...]:
    """Return a cell's row."""
    found, winner, lead = cell.found, Cell(NONE_LEADS, "warning"), NONE
    following = f"together: {some(found.together)}" if found.together else NONE
    if found.winner:
        winner, nearest = Cell(found.winner, "good"), found.rivals[0]
        lead, following = ratio(nearest.ratio), nearest.name
    return (
        *_shown(cell.values, axes),
        winner,
        lead,
        following,
        number(cell.epoch_s.get(found.first)),
        str(cell.n_generations),
    )


def _grid(
    axes: Mapping[str, Sequence[object]],
    cells: Sequence[CellVerdict],
    guesses: Sequence[Guess],
) -> Table:
    """Return the winners, a row for each value of one axis and a column for each of the other."""
    (down, rows), (across, columns) = axes.items()
    known: dict[tuple[object, object], Cell] = {}
    for cell in cells:
        known[cell.values.get(down), cell.values.get(across)] = _square(cell.found)
    for values, text in guesses:
        known[values[down], values[across]] = Cell(text, "aside")
    heads = (Column(short(f"{down} \\ {across}", 40)), *words(*(short(v, 20) for v in columns)))
    return Table(
        heads,
        tuple(
            (short(row, 40), *(known.get((row, each), NONE) for each in columns)) for row in rows
        ),
    )


def _square(found: Compared) -> Cell:
    """Return who leads in a cell of the grid, or who may."""
    if found.winner:
        return Cell(found.winner, "good")
    few = 2 if len(found.together) == 2 else 0
    several = " or ".join(found.together[:few]) or f"one of {len(found.together)} arms"
    return Cell(several if found.together else "none surely", "warning")


def _row(cell: CellVerdict, axes: Iterable[str], arms: Iterable[str]) -> dict[str, object]:
    """Return a cell under names that all have, for programs."""
    nearest = cell.found.rivals[0] if cell.found.rivals else None
    interval = nearest.ratio if nearest else None
    return {
        **{axis: cell.values.get(axis) for axis in axes},
        "winner": cell.found.winner,
        "first": cell.found.first,
        "together": " ".join(cell.found.together),
        "next": nearest.name if nearest else "",
        "lead": interval.mid if interval else None,
        "lead_low": interval.low if interval else None,
        "lead_high": interval.high if interval else None,
        "p_map": nearest.p_map if nearest else None,
        "why_not_sure": nearest.reason if nearest else "no other arm can be judged",
        "epoch_s": cell.epoch_s.get(cell.found.first),
        "identical_code_differs": cell.found.twins_differ,
        "n_generations": cell.n_generations,
        "session": cell.session,
        "machine": cell.machine,
        "data": cell.data,
        "n_train": cell.n_train,
        **{f"epoch_s of {arm}": cell.epoch_s.get(arm) for arm in arms},
    }
