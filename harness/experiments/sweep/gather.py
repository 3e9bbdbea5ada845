"""A sweep's results folder -> its map: the complete sessions of its cells, and what is left out."""

from __future__ import annotations

from pathlib import Path

from harness.experiments.bench.remarks import VIRTUAL
from harness.experiments.sweep.attempts import Found
from harness.experiments.sweep.judge import WinnerMap, judge_cells
from harness.experiments.sweep.plan import SweepPlan
from harness.records import store
from harness.records.bench import Bench

OTHERS = "of cells that the sweep does not have, or had before its spec or its arms changed"


def gather(
    plan: SweepPlan, found: Found, short: SweepPlan, results: Path, *, strict: bool = False
) -> WinnerMap:
    """Return the map of a sweep, as far as it is measured.

    Args:
        plan: the sweep as backends.toml has it now.
        found: the attempts at its cells.
        short: the plan of its screening sessions.
        results: the sweep's.
        strict: as for `judge_cells`.
    """
    counted, missing, remarks = [], [], []
    for cell in plan.cells:
        done = found.complete(cell.id)
        counted += done[:1]
        remarks += [_not_counted(cell.name, done[0], other) for other in done[1:]]
        if not done:
            missing.append(cell.values)
    screening = {cell.id for cell in short.cells}
    if n_others := sum(n for cell, n in found.others.items() if cell not in screening):
        remarks.append(f"{n_others} sessions are left out: {OTHERS}")
    checks = store.load_all(results).checks
    cells, n_comparisons = judge_cells(counted, checks, strict=strict)
    if n_virtual := sum(VIRTUAL in cell.left_out.values() for cell in cells):
        remarks.append(f"no arm can lead in {n_virtual} of {len(cells)} cells: {VIRTUAL}")
    return WinnerMap(
        sweep=plan.name,
        axes=dict(plan.sweep.axes),
        cells=cells,
        missing=tuple(missing),
        n_comparisons=n_comparisons,
        strict=strict,
        remarks=tuple(remarks),
    )


def _not_counted(name: str, counts: Bench, other: Bench) -> str:
    second, first = other.session.run_id, counts.session.run_id
    return f"{name}: session {second} is a second complete one; {first} counts"
