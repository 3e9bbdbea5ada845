"""`harness parity`: is it still the same model there? Exit 0 where every arm agrees.

Exit 1 where one departs or fails, 3 where it cannot be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from harness.cli import parity_model
from harness.cli.options import (
    ArmOption,
    BackendsArgument,
    BatchOption,
    ConfigOption,
    DatasetOption,
    DeviceOption,
    FullOption,
    MissingOption,
    ModelOption,
    NoWaitOption,
    ParityJsonOption,
    ParityJunitOption,
    ParitySeedOption,
    PointOption,
    ProofOption,
    QuickOption,
    ResultsOption,
    RoundTripsOption,
    SpecOption,
    TablesOption,
    ThreadsOption,
    WorkerLimitOption,
    parse_threads,
)
from harness.cli.output import append_summary, console_of, say, show
from harness.cli.project import Project, Selection, hold_machine, open_project, plan_runs
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.engine.executor import Executor
    from harness.engine.plan import Planned
    from harness.records.parity import Parity

FULL_SEEDS = (0, 1, 2)
# Options that say what is checked.
SCOPE = ("backends", "spec", "arm", "point", "full", "seed", "round_trips", "dataset")
EXCLUDES = {
    "quick": ("chooses the points itself", ("point", "full")),
    "missing": (
        "takes the arms from the records of results",
        (*SCOPE, "json", "junit", "markdown"),
    ),
}
NAMED = {"backends": "the names of backends"}


def parity(
    context: typer.Context,
    backends: BackendsArgument = None,
    spec: SpecOption = None,
    arm: ArmOption = None,
    point: PointOption = None,
    model: ModelOption = None,
    batch: BatchOption = None,
    quick: QuickOption = False,
    missing: MissingOption = False,
    full: FullOption = False,
    seed: ParitySeedOption = None,
    threads: ThreadsOption = None,
    time_limit: WorkerLimitOption = None,
    round_trips: RoundTripsOption = False,
    proof: ProofOption = False,
    json: ParityJsonOption = None,
    junit: ParityJunitOption = None,
    markdown: TablesOption = None,
    dataset: DatasetOption = None,
    device: DeviceOption = "auto",
    no_wait: NoWaitOption = False,
    results: ResultsOption = None,
    config: ConfigOption = None,
) -> None:
    """Hold every arm to a float64 referee, update by update: agrees, or departs, and why."""
    given = parity_model.with_model(context.params)
    if given["model"] or batch:
        parity_model.check_model(given)
        return
    _check_options(given)
    project = open_project(config, results)
    if missing:
        _check_missing(project, context.params)
        return
    found = _check_arms(project, context.params)
    if found.verdict != "agrees":
        raise typer.Exit(3 if found.verdict in ("chaotic", "inconclusive") else 1)


def _check_options(given: Mapping[str, Any]) -> None:
    """Raise ConfigError where --quick or --missing contradicts another option."""
    for option, (what, others) in EXCLUDES.items():
        for name in others:
            if given[option] and given[name]:
                other = NAMED.get(name, "--" + name.replace("_", "-"))
                raise ConfigError(f"--{option}: it {what}. Leave out {other}")
    if given["missing"] and not given["quick"]:
        expected = "--missing: expected --quick beside it"
        raise ConfigError(f"{expected}. Type: harness parity --quick --missing")


def _limits(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"threads": parse_threads(given["threads"]), "time_limit_s": given["time_limit"]}


def _check_missing(project: Project, given: Mapping[str, Any]) -> None:
    """Check the arms that have trained and have no verdict; exit 1 where one departs or fails."""
    from harness.cli.parity_quick import check_missing

    with hold_machine("parity", wait=not given["no_wait"]):
        found = check_missing(project, _limits(given))
    if any(parity.verdict != "agrees" for parity in found):
        raise typer.Exit(1)


def _check_arms(project: Project, given: Mapping[str, Any]) -> Parity:
    """Check the arms that the arguments ask for, keep the record, and show what was found."""
    from harness.experiments.parity.document import compose
    from harness.records import store

    usual = FULL_SEEDS if given["full"] else project.config.protocol.seeds[:1]
    selection = Selection(
        given["spec"], given["backends"], given["arm"], given["dataset"], given["device"]
    )
    seeds = tuple(given["seed"] or usual)
    planned = plan_runs(project, selection, seeds=seeds, **_limits(given))
    found = _compare_with_referee(planned, project.executor, given)
    file = store.add(project.results, found)
    document = compose(found)
    show(document, {name: given[name] for name in ("json", "junit", "markdown")})
    say(f"record: {file}", "dim")
    append_summary(document)
    return found


def _compare_with_referee(
    planned: tuple[Planned, ...], executor: Executor, given: Mapping[str, Any]
) -> Parity:
    """Compare the arms of the first seed with the referee, and do what else is asked for."""
    from harness.experiments.parity.check import check, quick_points
    from harness.experiments.parity.free_run import with_free_runs
    from harness.experiments.parity.round_trip import savers, with_round_trips
    from harness.report.progress import steps_line

    first = tuple(each for each in planned if each.request.seed == planned[0].request.seed)
    points = quick_points(first) if given["quick"] else tuple(given["point"] or ())
    if given["round_trips"]:
        savers(first)  # or a refusal, before the minutes that the rest takes
    with hold_machine("parity", wait=not given["no_wait"]), steps_line(console_of()) as step:
        found = check(first, executor, points, step)
        if given["round_trips"]:
            found = with_round_trips(found, first, executor, step)
        return with_free_runs(found, planned, executor, step) if given["full"] else found
