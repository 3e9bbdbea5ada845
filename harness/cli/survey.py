"""`harness survey`: each thing of the installed Keras on every backend, against float64.

Exit 0 where nothing differs without a known reason, 1 where something does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from harness.cli.command import command
from harness.cli.output import console_of, say, show
from harness.cli.project import Project, hold_machine, open_project
from harness.cli.survey_options import SurveyOptions

if TYPE_CHECKING:
    from harness.experiments.survey.plan import SurveyPlan
    from harness.records.survey import Surveyed


@command(SurveyOptions)
def survey(options: SurveyOptions) -> None:
    """Compute each layer, loss, optimizer and operation of Keras on every backend; it can go on."""
    from harness.experiments.survey.document import compose
    from harness.experiments.survey.judge import judge
    from harness.experiments.survey.plan import plan_survey

    project = open_project(options.config, options.results)
    if options.show:
        found = _newest(project)
    else:
        plan = plan_survey(
            project.config.backends,
            options.asked,
            options.only or (),
            quick=options.quick,
            device=options.device,
        )
        found = _compute(project, plan, again=options.again, wait=not options.no_wait)
    verdict = judge(found)
    files = {name: getattr(options, name) for name in ("markdown", "json", "junit")}
    show(compose(verdict), files)
    if verdict.unknown:
        raise typer.Exit(1)


def _newest(project: Project) -> Surveyed:
    from harness.errors import StoreError
    from harness.records import store

    found, rejected = store.load_surveys(project.results)
    for each in rejected:
        say(f"! {each.file}: {each.reason}", "yellow", stderr=True)
    if not found:
        raise StoreError(f"{project.results}: there is no survey. Run: harness survey")
    return found[0]


def _compute(project: Project, plan: SurveyPlan, *, again: bool, wait: bool) -> Surveyed:
    """Return the survey that goes on, with what was missing."""
    from harness.experiments.survey.confirm import confirm
    from harness.experiments.survey.run import Surveyor, find_or_start, missing_items
    from harness.records import store
    from harness.records.survey import Surveyed
    from harness.report.progress import steps_line

    store.ready(project.results, "survey")
    executor, folder = project.executor, project.results
    with hold_machine("survey", wait=wait), steps_line(console_of()) as report:
        found = find_or_start(plan, executor, folder, report, again=again)
        surveyor = Surveyor(plan, executor, folder, found.survey.run_id, report)
        new = surveyor.compute(missing_items(plan, found))
        found = Surveyed(found.survey, (*found.items, *new), found.scripts)
        found = confirm(plan, executor, folder, found, report)
    say(f"record: {folder / 'survey' / found.survey.run_id}{store.SUFFIX}", "dim")
    return found
