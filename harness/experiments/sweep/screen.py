"""Screening: short sessions that never count say where the full ones are to be."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.experiments.bench.paired import valid_turns
from harness.experiments.bench.remarks import is_virtual
from harness.experiments.sweep.attempts import Found, find
from harness.experiments.sweep.plan import Cell, SweepPlan
from harness.experiments.sweep.refine import (
    Place,
    Screened,
    full_cells,
    grid_of,
    screen_next,
)
from harness.records.bench import Bench

GENERATIONS = 2  # of a screening session
Run = Callable[[SweepPlan, Sequence[Cell]], bool]
"""Runs cells of a plan; says whether all that could be done is done, and others may follow."""


def refine(full: SweepPlan, short: SweepPlan, results: Path, run: Run) -> None:
    """Screen cells until every border is known, then measure those along the borders in full.

    Args:
        full: the sweep.
        short: the same with sessions of `GENERATIONS`.
        results: the sweep's.
        run: as `Run`; nothing follows where it says so, or where a cell could not be screened.
    """
    grid, places = grid_of(full.sweep.axes)
    by_place = dict(zip(places, range(len(places)), strict=True))
    while True:
        known = _known(places, short, find(short, results))
        wanted = screen_next(grid, known)
        if not wanted:
            break
        if not run(short, [short.cells[by_place[place]] for place in wanted]):
            return
    run(full, [full.cells[by_place[place]] for place in full_cells(grid, known)])


def _known(places: Sequence[Place], short: SweepPlan, found: Found) -> dict[Place, Screened]:
    known = screened(short, found)
    return {
        place: known[cell.id]
        for place, cell in zip(places, short.cells, strict=True)
        if cell.id in known
    }


def screened(short: SweepPlan, found: Found) -> dict[str, Screened]:
    """Return what screening says of each cell that was screened, by its id."""
    done = {cell.id: found.complete(cell.id) for cell in short.cells}
    return {cell: _screened(each[0]) for cell, each in done.items() if each}


def _screened(bench: Bench) -> Screened:
    if is_virtual(bench):
        return Screened("", 0.0)
    count, session = valid_turns(bench), bench.session
    names = [each.name for each in session.originals]
    steady = {name: [*count.steady_s(name).values()] for name in names}
    medians = {name: statistics.median(each) for name, each in steady.items() if each}
    if not medians:
        return Screened("", 0.0)
    first, *others = sorted(medians, key=lambda name: medians[name])
    lead = math.log(medians[others[0]] / medians[first]) if others else math.inf
    return Screened(first, lead)
