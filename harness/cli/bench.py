"""`harness bench`: which backend, by how much, how sure? Exit 0 where it can say, 1 where an arm was set aside, 3 where nothing is sure."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli.options import (
    ConfigOption,
    DatasetOption,
    DeviceOption,
    NoWaitOption,
    ResultsOption,
    alone_on_machine,
    configured,
    console_of,
    is_count,
    say,
    summarised,
    written,
)
from harness.cli.parity_quick import check_session
from harness.cli.session import Wanted, begun, sat
from harness.errors import ConfigError, StoreError, shown

if TYPE_CHECKING:
    from harness.records.bench import Bench
    from harness.spec.config import Config, Device


ArmsOption = Annotated[
    list[str] | None,
    typer.Option(
        help="An arm (jax/compiled), a backend or an implementation; several with commas, or repeated. By default [bench] arms."
    ),
]
BaselineOption = Annotated[
    str | None,
    typer.Option(
        help="The arm whose epoch is 1.00, and whose code runs twice; by default that of [bench]."
    ),
]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        help="After the first, no generation begins that would end later: 10m, 90s, 1h; by default that of [bench]."
    ),
]
AaOption = Annotated[
    Literal["baseline", "each"] | None,
    typer.Option(
        "--aa",
        help="Whose code runs twice: the baseline's, or also an arm of each other backend, for its own A/A floor.",
    ),
]
SelfCheckOption = Annotated[
    bool,
    typer.Option(
        "--self-check",
        help="Train nothing: check what the figures stand on, the newest session's noise among it.",
    ),
]


def bench(
    arms: ArmsOption = None,
    spec: Annotated[
        str | None, typer.Option(help="As in backends.toml; its first where none is named.")
    ] = None,
    baseline: BaselineOption = None,
    generations: Annotated[
        int | None,
        typer.Option(min=1, max=99, help="Fresh sets of processes; a 95 % interval needs 6."),
    ] = None,
    blocks: Annotated[
        int | None,
        typer.Option(min=1, max=99, help="Turns of each process, after its first epoch."),
    ] = None,
    budget: BudgetOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the newest session that is not complete.")
    ] = False,
    stop_after: Annotated[
        int | None, typer.Option(min=1, help="End after so many generations; --resume goes on.")
    ] = None,
    aa: AaOption = None,
    pin: Annotated[
        str | None, typer.Option(help="Keep every worker to these cores, as 0,1.")
    ] = None,
    no_parity: Annotated[
        bool,
        typer.Option(
            "--no-parity", help="Do not check first whether arms without a verdict agree."
        ),
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Measure nothing: only show the newest session.")
    ] = False,
    self_check: SelfCheckOption = False,
    json: Annotated[Path | None, typer.Option(help="Also write everything there.")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Also write the table there, a row an arm.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write the table there, as for a CI's summary.")
    ] = None,
    threads: Annotated[
        str | None, typer.Option(help="auto, or the number of cores for every backend.")
    ] = None,
    dataset: DatasetOption = None,
    device: DeviceOption = "auto",
    no_wait: NoWaitOption = False,
    results: ResultsOption = None,
    config: ConfigOption = None,
) -> None:
    """Time every arm against the others, live processes taking turns: the table, who wins for how many epochs, and how sure."""
    from harness.records import bench_store

    root, whole = configured(config)
    results = results or root / "results"
    if show and self_check:
        raise ConfigError(
            "--show: it measures nothing, and --self-check asks every backend. Choose one"
        )
    if self_check:
        with alone_on_machine("bench --self-check", wait=not no_wait):
            _checked(whole, root, results, device)
        return
    if show:
        known = bench_store.sessions(results)
        if not known:
            raise StoreError(f"{results}: no bench session to show. Run: nox -s bench")
        found, interrupted = known[0], False
    else:
        budget_s = _seconds(budget) if budget else whole.bench.budget_s
        wanted = Wanted(
            arms, spec, baseline, generations, blocks, _cores(pin), threads, dataset, device, aa
        )
        began = begun(wanted, whole, root, results, resume=resume)
        first = (
            (lambda session: None)
            if no_parity
            else partial(check_session, config=whole, root=root, results=results)
        )
        found, interrupted = sat(
            began, whole, root, results, budget_s, stop_after, first, wait=not no_wait
        )
    settled = _shown(found, results, json, csv, markdown)
    code = 130 if interrupted else 1 if found.set_aside else 0 if settled else 3
    if code:
        raise typer.Exit(code)


def _checked(whole: Config, root: Path, results: Path, device: Device) -> None:
    """Check what a bench stands on; exit 1 where something fails, 3 where something cannot be told."""
    from harness.engine import ask
    from harness.experiments.bench import self_check as checks
    from harness.experiments.bench import self_check_document as report
    from harness.records import bench_store
    from harness.report.progress import steps_line

    known = bench_store.sessions(results)
    answers = {}
    with steps_line(console_of()) as say:
        for name, backend in whole.backends.items():
            say(f"{name}: does its clock wait?")
            answers[name] = ask.run_task(
                {"task": "self check"},
                name,
                backend,
                root,
                device=device,
                limit_s=whole.protocol.time_limit_s,
            )
        found = checks.clock_checks(answers)
        if known:
            say("errors and power of its verdicts, simulated")
            found += [*checks.session_checks(known[0]), *checks.error_rate_checks(known[0])]
    console_of().print(report.terminal(found, known[0].session.run_id if known else ""), crop=False)
    if not known:
        raise StoreError(
            f"{results}: no bench session whose noise could be looked at. Run: nox -s bench"
        )
    if not all(check.holds for check in found):
        raise typer.Exit(1 if any(check.holds is False for check in found) else 3)


def _shown(
    bench: Bench, results: Path, json: Path | None, csv: Path | None, markdown: Path | None
) -> bool:
    """Print what a session says, write it where it is wanted, and return whether it says anything sure."""
    from harness.experiments.bench import document as report
    from harness.experiments.bench import export
    from harness.experiments.bench.judge import summarize
    from harness.experiments.train.document import left_out
    from harness.records import bench_store, store

    for entry in bench_store.left_out(bench_store.folder_of(results, bench.session)):
        say(f"! {left_out(entry)}", "yellow", stderr=True)
    found = summarize(bench, store.load_all(results).parities, own_cost=bench.own_cost)
    console_of().print(report.terminal(found, bench), crop=False)
    text = report.markdown(found, bench)
    written(
        {
            "--json": (json, export.as_json(found, bench)),
            "--csv": (csv, export.csv(found, bench)),
            "--markdown": (markdown, text),
        }
    )
    summarised(text)
    return any(arm.verdict in ("faster", "slower", "same") for arm in found.arms)


def _cores(text: str | None) -> tuple[int, ...] | None:
    """Return the cores that --pin names."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(is_count(part) for part in parts):
        raise ConfigError(f"--pin: expected numbers of cores, as 0 or 0,1; received {shown(text)}")
    return tuple(sorted({int(part) for part in parts}))


def _seconds(text: str) -> float:
    """Return the seconds that 90s, 10m or 1h say."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], text[-1]) if text and text[-1] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 1e6:
        raise ConfigError(
            f"--budget: expected seconds, minutes or hours, as 90s, 10m or 1h; received {shown(text)}"
        )
    return seconds
