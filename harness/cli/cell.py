"""`harness cell FILE`: one cell of a sweep, as an engine runs it.

Exit 0 where its session is complete, 1 where it is not, 130 where it was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.cli.command import command
from harness.cli.output import say
from harness.cli.own_model import prepared_model
from harness.cli.parity_quick import check_session
from harness.cli.project import Project, open_project
from harness.cli.session import SessionRequest, run_session, start_session
from harness.cli.sweep_options import CellOptions
from harness.errors import ConfigError, NotComparable

if TYPE_CHECKING:
    from harness.experiments.sweep.plan import Cell, CellFile, SweepPlan
    from harness.records.bench import Bench

PATIENCE_S = 900.0  # with another process that measures the same cell; then this one does too


@command(CellOptions)
def cell(options: CellOptions) -> None:
    """Run one cell of a sweep, as an engine does: its session goes on where it stopped."""
    from harness.experiments.bench.remaining import unfinished_generations
    from harness.experiments.sweep import plan as sweeps
    from harness.experiments.sweep.attempts import complete, heads, load_attempts

    asked = sweeps.read_cell(options.file)
    project = open_project(Path(asked.config), Path(asked.results), asked.python)
    given = project.root, project.config, asked.sweep
    plan = sweeps.plan_sweep(*given, asked.generations, [asked.values])
    (found,) = plan.cells
    if found.id != asked.id:
        changed = f"[sweeps.{plan.name}], its spec or its arms have changed since"
        raise ConfigError(f"{options.file}: {changed}. Run harness sweep again")
    with _hold_cell(options.file):
        attempts = load_attempts(project.results, heads(project.results).get(found.id, ()))
        if whole := complete(attempts):
            say(f"{found.name}: complete already, session {whole[0].session.run_id}")
            return
        project = replace(project, config=plan.config_of(found))
        with prepared_model(project, plan.sweep.spec) as ready:
            bench, interrupted = _measure(ready, plan, found, attempts, asked)
    code = 130 if interrupted else 1 if unfinished_generations(bench) else 0
    if code:
        raise typer.Exit(code)


def _measure(
    project: Project, plan: SweepPlan, cell: Cell, attempts: list[Bench], asked: CellFile
) -> tuple[Bench, bool]:
    """Return the cell's session: one that began on this machine and can go on, or a new one."""
    from harness.experiments.sweep.attempts import unfinished_here

    check = partial(check_session, project=project) if asked.parity else lambda session: None
    for bench in unfinished_here(attempts):
        try:
            say(f"going on with session {bench.session.run_id}")
            return run_session(bench, project, before=check, verb="cell")
        except NotComparable as error:
            say(f"! {error}", "yellow")
    numbers = [each.session.cell.attempt for each in attempts if each.session.cell]
    fresh = start_session(_request(plan, cell, 1 + max(numbers, default=0)), project)
    return run_session(fresh, project, before=check, verb="cell")


def _request(plan: SweepPlan, cell: Cell, attempt: int) -> SessionRequest:
    """Return what the cell's session is asked to be."""
    from harness.records.bench import OfCell
    from harness.spec.model import own_model

    sweep, dataset = plan.sweep, None
    if not own_model(cell.spec):
        few = f"-{sweep.samples}" if sweep.samples else ""
        dataset = f"{sweep.dataset or cell.spec.dataset}{few}"
    return SessionRequest(
        arms=plan.arms,
        spec=sweep.spec,
        baseline=sweep.baseline,
        n_generations=sweep.generations,
        n_blocks=sweep.blocks,
        dataset=dataset,
        device=sweep.device,
        cell=OfCell(sweep=plan.name, id=cell.id, values=cell.values, attempt=attempt),
    )


@contextmanager
def _hold_cell(file: Path) -> Iterator[None]:
    """Hold a cell: a driver that was killed may have left a process that still measures it."""
    from filelock import FileLock, Timeout

    lock = FileLock(file.with_name(f".{file.stem}.lock"))
    try:
        lock.acquire(timeout=PATIENCE_S, poll_interval=1.0)
    except (Timeout, OSError):
        say("! another process measures this cell, or no lock can be kept; this one does too")
    try:
        yield
    finally:
        lock.release()
