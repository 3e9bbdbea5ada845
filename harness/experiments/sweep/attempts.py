"""Which sessions of a results folder are attempts at which cell, and which of them counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.experiments.bench.remaining import unfinished_generations
from harness.experiments.sweep.plan import SweepPlan
from harness.job.machine import describe_host
from harness.records import files, sessions, store
from harness.records.bench import Bench, Session


@dataclass(frozen=True, slots=True)
class Found:
    """The attempts at the cells of a sweep."""

    attempts: Mapping[str, list[Bench]]  # by the cell's id, in their order
    others: Mapping[str, int]  # how many of each cell that the sweep does not have, by its id

    def complete(self, cell: str) -> list[Bench]:
        """Return the complete attempts at a cell; the first of them counts."""
        return complete(self.attempts.get(cell, ()))


def find(plan: SweepPlan, results: Path) -> Found:
    """Return all attempts at the cells of a sweep, as far as they are measured."""
    plans = heads(results)
    mine = {
        cell.id: load_attempts(results, plans.pop(cell.id))
        for cell in plan.cells
        if cell.id in plans
    }
    return Found(mine, {cell: len(several) for cell, several in plans.items()})


def heads(results: Path) -> dict[str, list[Session]]:
    """Return the plans of all attempts by their cell's id; of each file only a line is read."""
    found: dict[str, list[Session]] = defaultdict(list)
    for name in files.names_in(results / sessions.ROOM):
        if not name.endswith(store.SUFFIX):
            continue
        lines = store.scan(results / sessions.ROOM / name, store.ROOMS[sessions.ROOM])
        plan, _ = next(iter(lines), (None, 0))
        if isinstance(plan, Session) and plan.cell:
            found[plan.cell.id].append(plan)
    return {cell: sorted(several, key=order) for cell, several in found.items()}


def order(session: Session) -> tuple[int, str, str]:
    """Return what attempts at a cell are ordered by: their number, then when they began."""
    number = session.cell.attempt if session.cell else 0
    return number, session.started_at, session.run_id


def load_attempts(results: Path, plans: Iterable[Session]) -> list[Bench]:
    """Return the attempts of these plans, as far as they are measured, in that order."""
    found = (sessions.load(results, plan.run_id)[0] for plan in plans)
    return [bench for bench in found if isinstance(bench, Bench)]


def complete(attempts: Iterable[Bench]) -> list[Bench]:
    """Return the attempts that lack nothing."""
    return [bench for bench in attempts if not unfinished_generations(bench)]


def done_cells(results: Path, cells: Collection[str]) -> set[str]:
    """Return those of the cells that have a complete session."""
    plans = heads(results)
    return {
        cell for cell in cells if cell in plans and complete(load_attempts(results, plans[cell]))
    }


def unfinished_here(attempts: Iterable[Bench]) -> list[Bench]:
    """Return the attempts that may go on here, the newest first: a session has one machine."""
    host = describe_host()
    mine = [
        bench
        for bench in attempts
        if unfinished_generations(bench) and bench.session.host.same_as(host)
    ]
    return mine[::-1]
