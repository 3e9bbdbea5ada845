"""`harness train`: a fresh process and a record for each run. Exit 1 where a run failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from harness.cli.options import (
    ArmOption,
    BackendsArgument,
    ConfigOption,
    DatasetOption,
    DeviceOption,
    EpochsOption,
    NoWaitOption,
    ResultsOption,
    RowsOption,
    RunLimitOption,
    SpecOption,
    ThreadsOption,
    TrainSeedOption,
    parse_threads,
)
from harness.cli.output import console_of, say, show
from harness.cli.project import (
    Project,
    Selection,
    hold_machine,
    load_records,
    open_project,
    plan_runs,
)
from harness.cli.signals import delay_interrupts

if TYPE_CHECKING:
    from harness.engine.plan import Planned
    from harness.records.record import Record
    from harness.records.store import Loaded


def train(
    backends: BackendsArgument = None,
    spec: SpecOption = None,
    arm: ArmOption = None,
    seed: TrainSeedOption = None,
    epochs: EpochsOption = None,
    threads: ThreadsOption = None,
    time_limit: RunLimitOption = None,
    rows: RowsOption = False,
    dataset: DatasetOption = None,
    device: DeviceOption = "auto",
    no_wait: NoWaitOption = False,
    results: ResultsOption = None,
    config: ConfigOption = None,
) -> None:
    """Train the spec under each backend: a fresh process and a record for each run.

    Then print the table and what it answers.
    """
    project = open_project(config, results)
    planned = plan_runs(
        project,
        Selection(spec, backends, arm, dataset, device),
        seeds=tuple(seed) if seed else None,
        epochs=epochs,
        threads=parse_threads(threads),
        time_limit_s=time_limit,
    )
    try:
        with hold_machine("train", wait=not no_wait):
            records = _run_all(planned, project)
    except KeyboardInterrupt:
        load_records(project.results)  # results.csv has what was finished
        raise
    loaded = load_records(project.results)
    if not rows:
        _print_tables(records, loaded)
    if any(record.status != "ok" for record in records):
        raise typer.Exit(1)


def _print_tables(records: list[Record], loaded: Loaded) -> None:
    """Print the tables of these runs; one that had to be kept elsewhere is no less a result."""
    from harness.experiments.train import document, judge

    new = {record.run_id: record for record in records}
    known = {record.run_id: record for record in loaded.records}
    tables = judge.compare((known | new).values(), only=frozenset(new), parities=loaded.parities)
    show(document.compose(tables))


def _run_all(planned: tuple[Planned, ...], project: Project) -> list[Record]:
    """Run what is planned, one after another, keeping each record as soon as it is there."""
    from harness.engine import ask, host
    from harness.records import store
    from harness.report.progress import line, run_bar

    console = console_of()
    hardware = host.detect_hardware()
    records = []
    for number, each in enumerate(planned, start=1):
        request, count = each.request, f"[{number}/{len(planned)}]"
        title = f"{count} {request.arm.name}, seed {request.seed}"
        with run_bar(console, title, request.epochs) as show:
            record = ask.run(each, project.root, host.describe_host(hardware), show)
        records.append(record)
        with delay_interrupts():
            file = store.add(project.results, record)
        say(f"{count} {line(record)}")
        if project.results not in file.parents:
            where = f"{project.results}: cannot be written any more"
            say(f"! {where}; the record is kept in {file}", "red")
    return records
