"""`harness train`: a fresh process and a record for each run. Exit 1 where a run failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from harness.cli.answer import Answer
from harness.cli.command import command
from harness.cli.options import TrainOptions
from harness.cli.output import console_of, say
from harness.cli.own_model import open_spec, prepared_model
from harness.cli.project import Project, hold_machine, load_records, open_project
from harness.cli.runs import plan_runs
from harness.cli.signals import delay_interrupts

if TYPE_CHECKING:
    from harness.engine.plan import Planned
    from harness.job.answers import Event
    from harness.job.asked import Job, Measure
    from harness.records.record import Record
    from harness.records.store import Loaded
    from harness.report.document import Document


@command(TrainOptions)
def train(options: TrainOptions) -> Answer:
    """Train the spec under each backend: a fresh process and a record for each run.

    Then print the table and what it answers.
    """
    from harness.report.document import Document

    project = open_project(options.config, options.results, options.python, setup=options.setup)
    project, options = open_spec(project, options)
    seeds = tuple(options.seed) if options.seed else None
    with prepared_model(
        project, options.spec, options.dataset, wait=not options.no_wait
    ) as project:
        planned = plan_runs(project, options, seeds, options.epochs, options.time_limit)
        try:
            with hold_machine("train", wait=not options.no_wait):
                records = _run_all(planned, project)
        except KeyboardInterrupt:
            load_records(project.results)  # results.csv has what was finished
            raise
    loaded = load_records(project.results)
    return Answer(
        document=Document(()) if options.rows else _compose_tables(records, loaded),
        record=tuple(records),
        exit_code=int(any(record.status != "ok" for record in records)),
    )


def _compose_tables(records: list[Record], loaded: Loaded) -> Document:
    """Return the tables of these runs; one that had to be kept elsewhere is no less a result."""
    from harness.experiments.train import document, judge

    new = {record.run_id: record for record in records}
    known = {record.run_id: record for record in loaded.records}
    tables = judge.compare((known | new).values(), only=frozenset(new), parities=loaded.checks)
    return document.compose(tables)


def _run_all(planned: tuple[Planned, ...], project: Project) -> list[Record]:
    """Run what is planned, keeping each record as soon as it is there."""
    from harness.experiments.train.progress import line, mark
    from harness.experiments.train.run import run_all
    from harness.records import store
    from harness.report.progress import run_bar

    records: list[Record] = []

    def hear(job: Job[Any], event: Event) -> None:
        request = cast("Measure", job).request
        title = f"{request.arm.name}, seed {request.seed}"
        show_event(f"[{len(records) + 1}/{len(planned)}] {title}", request.epochs, mark(event))

    with run_bar(console_of()) as show_event:
        for record in run_all(planned, project.executor, hear):
            records.append(record)
            with delay_interrupts():
                file = store.add(project.results, record)
            say(f"[{len(records)}/{len(planned)}] {line(record)}")
            if project.results not in file.parents:
                where = f"{project.results}: cannot be written any more"
                say(f"! {where}; the record is kept in {file}", "red")
    return records
