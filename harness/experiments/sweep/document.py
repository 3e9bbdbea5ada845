"""WinnerMap -> Document: who wins where, how surely, how often identical code differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.experiments.sweep.compare import fewest_clear
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
    words,
)
from harness.report.numbers import number, ratio
from harness.safe import short
from harness.spec.sweeps import Values
from harness.statistics.verdict import LEVEL, MIN_GENERATIONS

NONE_LEADS = "no arm leads surely"
LEGEND = (
    "winner: the arm whose epoch is shorter than that of every other one, by more than the "
    "threshold and than identical code differed by. lead: the epoch of the next arm to the "
    "winner's. together: the arms that cannot be told from the fastest one. Arms of other numbers, "
    "or set aside, cannot win. A cell is a bench session of its own, with fresh processes; harness "
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
        blocks += [Heading(short(machine))] if len(machines) > 1 else []
        blocks += [_grid(axes, cells, mine)] if len(axes) == 2 else []
        blocks.append(facet_table(found, cells, mine))
    blocks += sentences(remarks(found), "warning")
    blocks.append(Paragraph((*rule(found), LEGEND), "aside"))
    rows = tuple(_row(cell, found.axes) for cell in found.cells)
    data = {"map": found, "cells": rows, "not_measured": guesses}
    return Document(tuple(blocks), data=data, rows=rows)


def heading(found: WinnerMap, spec_name: str) -> str:
    """Return what the map is of, and how much of it is measured."""
    return short(f"map of {found.sweep}, {spec_name}: {_count(found)}")


def machines_of(found: WinnerMap) -> list[str]:
    """Return the machines, each of which has a map of its own."""
    return list(dict.fromkeys(cell.machine for cell in found.cells)) or [""]


def remarks(found: WinnerMap) -> tuple[str, ...]:
    """Return what makes it less sure: how often identical code is called different; the rest."""
    return *_twins(found), *map(short, found.remarks)


def _count(found: WinnerMap) -> str:
    n_all = len(found.cells) + len(found.missing)
    return f"{len(found.cells)} of {n_all} cells"


def sentences_of(found: WinnerMap) -> Iterable[str]:
    """Yield who leads in how many cells."""
    wins: dict[str, list[CellVerdict]] = {}
    for cell in found.cells:
        wins.setdefault(cell.found.winner, []).append(cell)
    undecided = wins.pop("", [])
    if not found.cells:
        yield f"Nothing is measured yet. Run: harness sweep {found.sweep}"
        return
    for name, cells in sorted(wins.items(), key=lambda each: -len(each[1])):
        where = "every cell" if len(cells) == len(found.cells) else f"{len(cells)} cells"
        if len(cells) == 1 < len(found.cells):
            where = f"{name_of(cells[0].values)}"
        yield f"{name} leads surely in {where}."
    if undecided:
        n_all = len(found.cells)
        where = "any cell" if len(undecided) == n_all else f"{len(undecided)} of {n_all} cells"
        yield f"{'N' if not wins else 'In the others n'}o arm leads surely: {where}."


def _twins(found: WinnerMap) -> Iterable[str]:
    if found.n_twins:
        times = f"{found.n_twins_differ} of {found.n_twins} cells"
        yield f"A/A: identical code was called different in {times}"


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
        fewest = min((cell.n_generations for cell in found.cells), default=0)
        yield from needed(n, fewest)


def needed(n: int, n_generations: int) -> Iterable[str]:
    """Yield what it takes for any of n comparisons to be sure, where one clear one is too few."""
    fewest = fewest_clear(n, n_generations)
    if n and n_generations < MIN_GENERATIONS:
        yield f"With fewer than {MIN_GENERATIONS} generations a cell nothing is sure."
    elif fewest > 1:
        yield (
            f"With {n_generations} generations a cell nothing is sure unless {fewest} of {n} "
            f"comparisons are as clear as can be; each generation more halves that number."
        )


def facet_table(found: WinnerMap, cells: Sequence[CellVerdict], guesses: Sequence[Guess]) -> Table:
    """Return the cells of a machine, a row each.

    Args:
        found: the map.
        cells: of that machine.
        guesses: what is said of cells that are not measured.
    """
    columns = tuple(Column(short(axis, 40)) for axis in found.axes)
    more = (Column("winner", align="left"), Column("lead"), *words("together"))
    rows = [_cells(cell, found.axes) for cell in cells]
    for values, said in guesses:
        rows.append((*_shown(values, found.axes), Cell(said, "aside"), *[NONE] * 4))
    epochs = (Column("epoch", 2, "s"), Column("generations", 3))
    return Table((*columns, *more, *epochs), tuple(rows))


def _shown(values: Values, axes: Iterable[str]) -> list[str]:
    return [short(values.get(axis, NONE), 40) for axis in axes]


def _cells(cell: CellVerdict, axes: Iterable[str]) -> tuple[str | Cell, ...]:
    """Return a cell's row."""
    winner = Cell(cell.found.winner, "good") if cell.found.winner else Cell(NONE_LEADS, "warning")
    lead = ratio(cell.found.rivals[0].ratio) if cell.found.winner else NONE
    epoch = cell.epoch_s.get(cell.found.first)
    return (
        *_shown(cell.values, axes),
        winner,
        lead,
        ", ".join(cell.found.together) or NONE,
        number(epoch),
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
        winner = cell.found.winner
        said = Cell(winner, "good") if winner else Cell("none surely", "warning")
        known[cell.values.get(down), cell.values.get(across)] = said
    for values, text in guesses:
        known[values[down], values[across]] = Cell(text, "aside")
    heads = (Column(short(f"{down} \\ {across}", 40)), *words(*(short(v, 20) for v in columns)))
    return Table(
        heads,
        tuple(
            (short(row, 40), *(known.get((row, each), NONE) for each in columns)) for row in rows
        ),
    )


def _row(cell: CellVerdict, axes: Iterable[str]) -> dict[str, object]:
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
    }
