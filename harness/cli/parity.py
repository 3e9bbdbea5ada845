"""`harness parity`: is it still the same model there? Exit 0 where every arm agrees.

Exit 1 where one departs or fails, 3 where it cannot be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cli import parity_model
from harness.cli.answer import Answer
from harness.cli.command import command
from harness.cli.output import console_of
from harness.cli.parity_options import ParityOptions
from harness.cli.parity_show import code_of, show_newest
from harness.cli.parsing import parse_threads
from harness.cli.project import Project, hold_machine, make_environments, open_project
from harness.cli.proof import prove_gate
from harness.cli.report import prepare_page, write_page
from harness.cli.runs import plan_runs
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.engine.executor import Executor
    from harness.engine.plan import Planned
    from harness.records.parity import Parity

FULL_SEEDS = (0, 1, 2)
SCOPE = {  # fields that say what is checked, and how each is named in a message
    "asked": "the names of arms",
    **{name: f"--{name}" for name in ("spec", "point", "full", "seed", "dataset", "replicas")},
    "only": "--arm",
    "round_trips": "--round-trips",
}
FILES = {name: f"--{name}" for name in ("json", "junit", "markdown")}
EXCLUDES = {
    "show": ("checks nothing", SCOPE | {"quick": "--quick", "missing": "--missing"}),
    "quick": ("chooses the points itself", {name: SCOPE[name] for name in ("point", "full")}),
    "missing": ("takes the arms from the records of results", SCOPE | FILES),
    "replicas": (
        "says what one update computes",
        {"full": "--full", "round_trips": "--round-trips"},
    ),
}


@command(ParityOptions)
def parity(options: ParityOptions) -> Answer:
    """Hold every arm to a float64 referee, update by update: agrees, or departs, and why."""
    if options.proof:
        return prove_gate()
    options = parity_model.with_model(options)
    prepare_page(options.report)
    if options.show:
        _check_options(options)
        return show_newest(options)
    if options.model or options.batch:
        return parity_model.check_model(options)
    if options.data:
        hint = "has a meaning with a model of your own only. Leave it out"
        raise ConfigError(f"--data: {hint}")
    _check_options(options)
    project = open_project(options.config, options.results, options.python, setup=options.setup)
    if options.missing:
        return _check_missing(project, options)
    make_environments(project, options)
    return _check_arms(project, options)


def _check_options(options: ParityOptions) -> None:
    """Raise ConfigError where --show, --quick or --missing contradicts another option."""
    for option, (what, others) in EXCLUDES.items():
        for name, other in others.items():
            if getattr(options, option) and getattr(options, name):
                raise ConfigError(f"--{option}: it {what}. Leave out {other}")
    if options.missing and not options.quick:
        expected = "--missing: expected --quick beside it"
        raise ConfigError(f"{expected}. Type: harness parity --quick --missing")


def _check_missing(project: Project, options: ParityOptions) -> Answer:
    """Check the arms that have trained and have no verdict, each shown when it is known."""
    from harness.cli.parity_quick import check_missing
    from harness.report.document import Document

    with hold_machine("parity", wait=not options.no_wait):
        found = check_missing(project, parse_threads(options.threads), options.time_limit)
    code = int(any(parity.verdict != "agrees" for parity in found))
    return Answer(document=Document(()), record=tuple(found), exit_code=code)


def _check_arms(project: Project, options: ParityOptions) -> Answer:
    """Check the arms that the arguments ask for, keep the record, and return what was found."""
    from harness.cli.report_page import gather_check
    from harness.experiments.parity.document import compose
    from harness.records import store

    usual = FULL_SEEDS if options.full else project.config.protocol.seeds[:1]
    seeds = tuple(options.seed or usual)
    _refuse_own_model(project, options)
    planned = plan_runs(project, options, seeds, time_limit_s=options.time_limit)
    found = _compare_with_referee(planned, project.executor, options)
    results = project.results
    return Answer(
        document=compose(found),
        record=found,
        exit_code=code_of(found),
        files={name: getattr(options, name) for name in FILES},
        for_summary=True,
        kept=store.add(results, found),
        write_page=lambda: write_page(
            options.report, results, lambda: gather_check(results, found.run_id)
        ),
    )


def _compare_with_referee(
    planned: tuple[Planned, ...], executor: Executor, options: ParityOptions
) -> Parity:
    """Compare the arms of the first seed with the referee, and do what else is asked for."""
    from harness.experiments.parity.check import check, quick_points
    from harness.experiments.parity.free_run import with_free_runs
    from harness.experiments.parity.round_trip import savers, with_round_trips
    from harness.report.progress import steps_line

    first = tuple(each for each in planned if each.request.seed == planned[0].request.seed)
    points = quick_points(first) if options.quick else tuple(options.point or ())
    if options.round_trips:
        savers(first)  # or a refusal, before the minutes that the rest takes
    with hold_machine("parity", wait=not options.no_wait), steps_line(console_of()) as step:
        found = check(first, executor, points, step)
        if options.round_trips:
            found = with_round_trips(found, first, executor, step)
        return with_free_runs(found, planned, executor, step) if options.full else found


def _refuse_own_model(project: Project, options: ParityOptions) -> None:
    """Raise ConfigError where the spec is a model of the user's own, which has a check of its own.

    The referee of this one computes stacks of Dense layers.
    """
    from harness.spec.model import check_command, own_model

    name, spec = project.config.spec(options.spec)
    if own_model(spec):
        raise ConfigError(f"[specs.{name}]: is a model of your own. Type: {check_command(spec)}")
