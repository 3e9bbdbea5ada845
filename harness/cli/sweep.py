"""`harness sweep NAME`: a bench session for each cell, on an engine; then the map of them.

Exit 0 where the map says anything sure, 1 where a cell was given up, 3 where nothing is sure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.cli.command import command
from harness.cli.map import plan_of, results_of, short_plan, show_map
from harness.cli.output import say, show
from harness.cli.parsing import parse_seconds
from harness.cli.project import Project, open_project
from harness.cli.sweep_options import SweepOptions
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.experiments.sweep.plan import Cell, CellFile, SweepPlan
    from harness.experiments.sweep.run import Driver


@command(SweepOptions)
def sweep(options: SweepOptions) -> None:
    """Time every arm in each cell of a sweep, on this machine or a cluster; it can go on."""
    project = open_project(options.config, options.results, options.python)
    plan = plan_of(project, options.name)
    results = results_of(project.results, plan.name)
    if options.dry_run:
        _show_plan(plan, results, options)
        return
    driver, interrupted = _run(project, plan, results, options)
    if interrupted or driver.out_of_budget:
        why = "interrupted" if interrupted else "the budget is spent"
        say(f"{why}: cells are to do. Go on: harness sweep {plan.name}", "yellow")
    sure = show_map(project, plan, results, options)
    code = 130 if interrupted else 1 if driver.given_up else 0 if sure else 3
    if code:
        raise typer.Exit(code)


def _show_plan(plan: SweepPlan, results: Path, options: SweepOptions) -> None:
    from harness.experiments.sweep.attempts import find
    from harness.experiments.sweep.forecast import forecast
    from harness.experiments.sweep.plan_document import compose_plan

    files = {"json": options.json, "csv": options.csv, "markdown": options.markdown}
    show(compose_plan(plan, forecast(plan, find(plan, results))), files)


def _run(
    project: Project, plan: SweepPlan, results: Path, options: SweepOptions
) -> tuple[Driver, bool]:
    """Run what is to do of a sweep; return its driver, and whether that was interrupted."""
    from harness.engine.cells import open_engine
    from harness.experiments.sweep.run import Driver
    from harness.experiments.sweep.screen import refine

    budget_s = parse_seconds(options.budget) if options.budget else None
    driver = Driver(results, say, budget_s)

    def run(which: SweepPlan, cells: Sequence[Cell]) -> bool:
        engine = open_engine(options.engine, project.config, options.in_flight)
        driver.run(cells, engine, _ask(project.root, results, which, options))
        return not driver.given_up and not driver.out_of_budget

    try:
        if options.refine:
            refine(plan, short_plan(project, plan), results, run)
        else:
            run(plan, plan.cells)
    except KeyboardInterrupt:
        return driver, True
    return driver, False


def _ask(
    root: Path, results: Path, plan: SweepPlan, options: SweepOptions
) -> Callable[[Cell], CellFile]:
    """Return what makes the file of a cell, with paths that hold wherever it is run."""
    from harness.experiments.sweep.plan import CellFile

    config = options.config or root / "backends.toml"
    if not config.is_file():  # the package's own, which a cell would not find
        hint = "Run harness init, and write a table [sweeps.NAME] there"
        raise ConfigError(f"sweep: expected a backends.toml in {root}; received none. {hint}")
    pythons = (text.partition("=")[::2] for text in options.python or ())
    named = tuple(f"{backend}={Path.cwd() / path}" for backend, path in pythons)

    def ask(cell: Cell) -> CellFile:
        return CellFile(
            config=str(config.absolute()),
            results=str(results.absolute()),
            sweep=plan.name,
            id=cell.id,
            values=cell.values,
            generations=plan.sweep.generations,
            parity=not (options.no_parity or plan.screens),
            python=named,
        )

    return ask
