"""`harness map NAME`: who wins where, from the sessions of a sweep. Needs no backend.

Exit 0 where an arm leads surely in some cell, 3 where none does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.cli.command import command
from harness.cli.output import append_summary, show, write_files
from harness.cli.project import Project, open_project
from harness.cli.report import check_libraries
from harness.cli.sweep_options import MapFiles, MapOptions

if TYPE_CHECKING:
    from harness.experiments.sweep.plan import SweepPlan


@command(MapOptions)
def map(options: MapOptions) -> None:  # noqa: A001 - the verb's name
    """Show who wins where: the winner of each cell of a sweep, its lead, and how sure that is."""
    project = open_project(options.config, options.results)
    plan = plan_of(project, options.name)
    if not show_map(project, plan, results_of(project.results, plan.name), options):
        raise typer.Exit(3)


def plan_of(project: Project, name: str | None) -> SweepPlan:
    """Return the plan of the sweep that is asked for; by default of the first."""
    from harness.experiments.sweep.plan import plan_sweep

    config = project.config
    return plan_sweep(project.root, config, name or next(iter(config.sweeps), ""))


def short_plan(project: Project, plan: SweepPlan) -> SweepPlan:
    """Return the plan of a sweep's screening sessions."""
    from harness.experiments.sweep.plan import plan_sweep
    from harness.experiments.sweep.screen import GENERATIONS

    return plan_sweep(project.root, project.config, plan.name, GENERATIONS)


def results_of(results: Path, name: str) -> Path:
    """Return the results folder of a sweep: its sessions are not those of `harness bench`."""
    from harness.experiments.sweep.plan import FOLDER

    return results / FOLDER / name


def show_map(project: Project, plan: SweepPlan, results: Path, options: MapFiles) -> bool:
    """Print a map and write it where asked; return whether an arm leads surely anywhere.

    Args:
        project: that has the sweep.
        plan: of the sweep.
        results: its own.
        options: where else the map goes, and how strict it is.
    """
    from harness.experiments.sweep.attempts import find
    from harness.experiments.sweep.document import compose
    from harness.experiments.sweep.forecast import forecast, guesses
    from harness.experiments.sweep.gather import gather
    from harness.experiments.sweep.screen import screened

    attempts, short = find(plan, results), short_plan(project, plan)
    found = gather(plan, attempts, short, results, strict=options.strict)
    known = screened(short, find(short, results)) if attempts.others else {}
    firsts = {cell.name: known[cell.id].first for cell in short.cells if cell.id in known}
    guessed = guesses(plan, forecast(plan, attempts), firsts)
    document = compose(found, plan.sweep.spec, guessed)
    show(document, {"json": options.json, "csv": options.csv, "markdown": options.markdown})
    append_summary(document)
    if options.page:
        check_libraries("harness map --page")
        from harness.experiments.sweep.charts import page
        from harness.report import html

        whole = page(found, plan.sweep.spec, guessed, document.data)
        write_files({"--page": (options.page, html.render(whole))})
    return any(cell.found.winner for cell in found.cells)
