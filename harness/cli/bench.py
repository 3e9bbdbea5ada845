"""`harness bench`: which backend, by how much, how sure?

Exit 0 where it can say, 1 where an arm was set aside, 3 where nothing is sure.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from harness.cli.answer import Answer
from harness.cli.bench_self_check import check_self
from harness.cli.command import command
from harness.cli.options import BenchOptions, SessionOptions
from harness.cli.output import say
from harness.cli.own_model import open_spec, prepared_model
from harness.cli.parity_quick import check_session
from harness.cli.parsing import is_count, parse_seconds
from harness.cli.project import Project, hold_machine, open_project
from harness.cli.report import prepare_page, write_page
from harness.cli.session import SessionRequest, resume_or_start, run_session
from harness.errors import ConfigError, StoreError, shown

if TYPE_CHECKING:
    from pathlib import Path

    from harness.experiments.bench.forecast import Budget
    from harness.records.bench import Bench

FEWEST = 6  # generations that a 95 % interval needs
SHOW_OR_CHECK = "--show: it measures nothing, and --self-check asks every backend. Choose one"


@command(BenchOptions)
def bench(options: BenchOptions) -> Answer:
    """Time every arm against the others, live processes taking turns: who wins, and how sure."""
    project = open_project(options.config, options.results, options.python, setup=options.setup)
    if options.show and options.self_check:
        raise ConfigError(SHOW_OR_CHECK)
    prepare_page(options.report)
    if options.self_check:
        with hold_machine("bench --self-check", wait=not options.no_wait):
            return check_self(project, options.device)
    if options.show:
        found, interrupted = _newest(project.results), False
    else:
        budget = budget_of(options.budget, project.config.bench.budget_s)
        project, options = open_spec(project, options)
        given = project, options.spec, options.dataset
        with prepared_model(*given, wait=not options.no_wait) as whole:
            found, interrupted = measure(whole, options, budget)
    answer = answer_of(found, project.results, options)
    return replace(answer, exit_code=130 if interrupted else answer.exit_code)


def _newest(results: Path) -> Bench:
    """Return the newest session."""
    from harness.records.sessions import load_all

    known = load_all(results).sessions
    if not known:
        raise StoreError(f"{results}: no bench session to show. Run: nox -s bench")
    return known[0]


def budget_of(asked: str | None, usual_s: float) -> Budget:
    """Return the budget that is asked for, kept as it is; or else the usual one, with FEWEST."""
    from harness.experiments.bench.forecast import Budget

    return Budget(parse_seconds(asked)) if asked else Budget(usual_s, FEWEST)


def measure(
    project: Project, options: SessionOptions, budget: Budget, verb: str = "bench"
) -> tuple[Bench, bool]:
    """Return the measured session that the options ask for, and whether it was interrupted.

    Args:
        project: where.
        options: of the verb.
        budget: as for `harness.experiments.bench.session.run_session`.
        verb: that measures, and goes on.
    """
    from harness.engine.arms import declared_arms, select_arms

    config = project.config
    only = options.only or ()
    every, asked, default = declared_arms(config), options.asked, config.bench.arms
    request = SessionRequest(
        arms=select_arms(every, asked, only, default) if asked or only else (),
        spec=options.spec,
        baseline=options.baseline,
        n_generations=options.generations,
        n_blocks=options.blocks,
        cores=_parse_cores(options.pin),
        threads=options.threads,
        replicas=options.replicas,
        dataset=options.dataset,
        device=options.device,
        aa=options.aa,
    )
    session = resume_or_start(request, project, resume=options.resume)
    check = partial(check_session, project=project)
    return run_session(
        session,
        project,
        budget=budget,
        stop_after=options.stop_after,
        before=(lambda session: None) if options.no_parity else check,
        verb=verb,
        wait=not options.no_wait,
    )


def answer_of(bench: Bench, results: Path, options: SessionOptions, first: str = "") -> Answer:
    """Return what a session says: exit code 1 where an arm was set aside, 3 where nothing is sure.

    Args:
        bench: the session.
        results: that hold it.
        options: where else it is written.
        first: a sentence that comes before its own.
    """
    from harness.cli.report_page import gather
    from harness.experiments.bench import document as report
    from harness.experiments.bench.charts import forest
    from harness.experiments.bench.judge import summarize
    from harness.records import sessions, store
    from harness.records.files import left_out

    for entry in sessions.load(results, bench.session.run_id)[1]:
        say(f"! {left_out(entry)}", "yellow", stderr=True)
    found = summarize(bench, store.load_all(results).checks, own_cost=bench.own_cost)
    document = report.compose(found, bench, first)
    if options.show and (chart := forest(found)):
        document = replace(document, charts=(chart,))
    sure = any(arm.verdict in ("faster", "slower", "same") for arm in found.arms)
    page, run_id = options.report, bench.session.run_id
    return Answer(
        document=document,
        record=bench,
        exit_code=1 if bench.set_aside else 0 if sure else 3,
        files={"json": options.json, "csv": options.csv, "markdown": options.markdown},
        for_summary=True,
        write_page=lambda: write_page(page, results, lambda: gather(results, run_id)),
    )


def _parse_cores(text: str | None) -> tuple[int, ...] | None:
    """Return the cores that --pin names."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(is_count(part) for part in parts):
        raise ConfigError(f"--pin: expected numbers of cores, as 0 or 0,1; received {shown(text)}")
    return tuple(sorted({int(part) for part in parts}))
