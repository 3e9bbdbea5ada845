"""`harness bench`: which backend, by how much, how sure?

Exit 0 where it can say, 1 where an arm was set aside, 3 where nothing is sure.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from harness.cli.bench_self_check import check_self
from harness.cli.options import (
    AaOption,
    ArmsOption,
    BenchBaselineOption,
    BenchJsonOption,
    BlocksOption,
    BudgetOption,
    ConfigOption,
    CsvOption,
    DatasetOption,
    DeviceOption,
    GenerationsOption,
    NoParityOption,
    NoWaitOption,
    PinOption,
    PythonOption,
    ResultsOption,
    ResumeOption,
    SelfCheckOption,
    SetupOption,
    ShowOption,
    SpecOption,
    StopAfterOption,
    TableOption,
    ThreadsOption,
    is_count,
)
from harness.cli.output import append_summary, say, show
from harness.cli.parity_quick import check_session
from harness.cli.project import Project, hold_machine, open_project
from harness.cli.session import SessionRequest, resume_or_start, run_session
from harness.errors import ConfigError, StoreError, shown

if TYPE_CHECKING:
    from harness.records.bench import Bench

SHOW_OR_CHECK = "--show: it measures nothing, and --self-check asks every backend. Choose one"


def bench(
    context: typer.Context,
    arms: ArmsOption = None,
    spec: SpecOption = None,
    baseline: BenchBaselineOption = None,
    generations: GenerationsOption = None,
    blocks: BlocksOption = None,
    budget: BudgetOption = None,
    resume: ResumeOption = False,
    stop_after: StopAfterOption = None,
    aa: AaOption = None,
    pin: PinOption = None,
    no_parity: NoParityOption = False,
    show: ShowOption = False,
    self_check: SelfCheckOption = False,
    json: BenchJsonOption = None,
    csv: CsvOption = None,
    markdown: TableOption = None,
    threads: ThreadsOption = None,
    dataset: DatasetOption = None,
    device: DeviceOption = "auto",
    python: PythonOption = None,
    setup: SetupOption = False,
    no_wait: NoWaitOption = False,
    results: ResultsOption = None,
    config: ConfigOption = None,
) -> None:
    """Time every arm against the others, live processes taking turns: who wins, and how sure."""
    project, given = open_project(config, results, python, setup=setup), context.params
    if show and self_check:
        raise ConfigError(SHOW_OR_CHECK)
    if self_check:
        with hold_machine("bench --self-check", wait=not no_wait):
            check_self(project, device)
        return
    found, interrupted = (_newest(project.results), False) if show else _measure(project, given)
    sure = _show(found, project.results, given)
    code = 130 if interrupted else 1 if found.set_aside else 0 if sure else 3
    if code:
        raise typer.Exit(code)


def _newest(results: Path) -> Bench:
    """Return the newest session."""
    from harness.records.sessions import load_all

    known = load_all(results).sessions
    if not known:
        raise StoreError(f"{results}: no bench session to show. Run: nox -s bench")
    return known[0]


def _measure(project: Project, given: Mapping[str, Any]) -> tuple[Bench, bool]:
    """Return the measured session that the arguments ask for, and whether it was interrupted."""
    budget = given["budget"]
    budget_s = _parse_seconds(budget) if budget else project.config.bench.budget_s
    request = SessionRequest(
        arms=given["arms"],
        spec=given["spec"],
        baseline=given["baseline"],
        n_generations=given["generations"],
        n_blocks=given["blocks"],
        cores=_parse_cores(given["pin"]),
        threads=given["threads"],
        dataset=given["dataset"],
        device=given["device"],
        aa=given["aa"],
    )
    session = resume_or_start(request, project, resume=given["resume"])
    check = partial(check_session, project=project)
    return run_session(
        session,
        project,
        budget_s=budget_s,
        stop_after=given["stop_after"],
        before=(lambda session: None) if given["no_parity"] else check,
        wait=not given["no_wait"],
    )


def _show(bench: Bench, results: Path, given: Mapping[str, Any]) -> bool:
    """Print what a session says, write it where asked; return whether it says anything sure."""
    from harness.experiments.bench import document as report
    from harness.experiments.bench.judge import summarize
    from harness.records import sessions, store
    from harness.report.remarks import left_out

    for entry in sessions.load(results, bench.session.run_id)[1]:
        say(f"! {left_out(entry)}", "yellow", stderr=True)
    found = summarize(bench, store.load_all(results).parities, own_cost=bench.own_cost)
    document = report.compose(found, bench)
    show(document, {name: given[name] for name in ("json", "csv", "markdown")})
    append_summary(document)
    return any(arm.verdict in ("faster", "slower", "same") for arm in found.arms)


def _parse_cores(text: str | None) -> tuple[int, ...] | None:
    """Return the cores that --pin names."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(is_count(part) for part in parts):
        raise ConfigError(f"--pin: expected numbers of cores, as 0 or 0,1; received {shown(text)}")
    return tuple(sorted({int(part) for part in parts}))


def _parse_seconds(text: str) -> float:
    """Return the seconds that 90s, 10m or 1h say."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], text[-1]) if text and text[-1] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 1e6:
        expected = "seconds, minutes or hours, as 90s, 10m or 1h"
        raise ConfigError(f"--budget: expected {expected}; received {shown(text)}")
    return seconds
