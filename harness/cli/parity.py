"""`harness parity`: is it still the same model there? Exit 0 where every arm agrees, 1 where one departs or fails."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import parity_model
from harness.cli.options import (
    ConfigOption,
    DatasetOption,
    DeviceOption,
    NoWaitOption,
    ResultsOption,
    alone_on_machine,
    configured,
    console_of,
    dataset_of,
    say,
    summarised,
    written,
)
from harness.errors import ConfigError

FULL_SEEDS = (0, 1, 2)
WHAT = (
    "backends",
    "spec",
    "arm",
    "point",
    "full",
    "seed",
    "round_trips",
    "dataset",
)  # options that say what is checked
NAMED = {"backends": "the names of backends"}

if TYPE_CHECKING:
    from harness.engine.plan import Planned
    from harness.records.parity import Parity
    from harness.spec.config import Config


def _proved(asked: bool) -> None:
    """Show that planted defects are caught and null changes are not; exit 1 where it is otherwise."""
    if not asked:
        return
    from harness.experiments.proof import document as report
    from harness.experiments.proof.prove import prove
    from harness.report.progress import steps_line

    console = console_of()
    with steps_line(console) as say:
        found = prove(say)
    console.print(report.terminal(found), crop=False)
    raise typer.Exit(0 if found.holds else 1)


ProofOption = Annotated[
    bool,
    typer.Option(
        "--proof",
        callback=_proved,
        is_eager=True,
        help="Only show, on NumPy, that the gate can fail: planted defects.",
    ),
]


def parity(
    context: typer.Context,
    backends: Annotated[
        list[str] | None, typer.Argument(help="As in backends.toml; all where none is named.")
    ] = None,
    spec: Annotated[
        str | None, typer.Option(help="As in backends.toml; its first where none is named.")
    ] = None,
    arm: Annotated[
        list[str] | None, typer.Option(help="Only this implementation; may be repeated.")
    ] = None,
    point: Annotated[
        list[str] | None,
        typer.Option(help="Only this one, as init, adversarial, resync-469; may be repeated."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Your own: FILE:FUNCTION, which returns a compiled keras.Model."),
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(
            help="FILE:FUNCTION, which returns (x, y) for it; by default drawn from the seed."
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Only the first state, an adversarial one, two along the way and the short batch.",
        ),
    ] = False,
    missing: Annotated[
        bool,
        typer.Option(
            "--missing", help="With --quick: only arms that have trained here and have no verdict."
        ),
    ] = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Also train every arm to the end, for each seed, and compare what came of it.",
        ),
    ] = False,
    seed: Annotated[
        list[int] | None,
        typer.Option(
            help="Of weights and order; the updates are those of the first. With --full 0, 1, 2."
        ),
    ] = None,
    threads: Annotated[
        str | None, typer.Option(help="auto, or the number of cores for every backend.")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="Seconds for one backend's worker.")
    ] = None,
    round_trips: Annotated[
        bool,
        typer.Option("--round-trips", help="Also save under each backend and load under each."),
    ] = False,
    proof: ProofOption = False,
    json: Annotated[Path | None, typer.Option(help="Also write the whole record there.")] = None,
    junit: Annotated[
        Path | None,
        typer.Option(help="Also write JUnit XML there, a test case an arm and a round trip."),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write the tables there, as for a CI's summary.")
    ] = None,
    dataset: DatasetOption = None,
    device: DeviceOption = "auto",
    no_wait: NoWaitOption = False,
    results: ResultsOption = None,
    config: ConfigOption = None,
) -> None:
    """Hold every arm to a float64 referee, update by update: agrees, or where it departs, by how much and why."""
    if model or batch:
        parity_model.checked(context.params)
        return
    _check_form(context.params)
    root, whole = configured(config)
    results = results or root / "results"
    if missing:
        with alone_on_machine("parity", wait=not no_wait):
            _check_missing(whole, root, results, context.params)
        return
    from harness.records import store

    planned = _planned(whole, results, context.params)
    found = _held(planned, root, context.params)
    file = store.add(results, found)
    _shown(found, file, json, junit, markdown)
    if found.verdict != "agrees":
        raise typer.Exit(3 if found.verdict in ("chaotic", "inconclusive") else 1)


def _planned(config: Config, results: Path, given: Mapping[str, Any]) -> tuple[Planned, ...]:
    """Return what is to be held to the referee, as the arguments of `harness parity` say, once results can be kept."""
    from harness.engine.plan import plan
    from harness.records import store
    from harness.spec.config import override_protocol

    spec_name, spec = config.spec(given["spec"])
    chosen = config.choose_backends(given["backends"] or ())
    seeds = tuple(given["seed"] or ()) or (
        FULL_SEEDS if given["full"] else config.protocol.seeds[:1]
    )
    protocol = override_protocol(config.protocol, seeds=seeds, epochs=spec.epochs, **_limits(given))
    store.ready(results)
    prepared = dataset_of(given["dataset"] or spec.dataset)
    names = tuple(given["arm"] or ())
    return plan(
        spec_name, spec, chosen, protocol, prepared, device=given["device"], implementations=names
    )


def _limits(given: Mapping[str, Any]) -> dict[str, Any]:
    threads = given["threads"]
    return {
        "threads": int(threads) if threads and threads.isdecimal() else threads,
        "time_limit_s": given["time_limit"],
    }


def _check_form(given: Mapping[str, Any]) -> None:
    """Raise ConfigError where --quick or --missing stands beside an option that says otherwise what is to be checked."""
    others = {"quick": ("point", "full"), "missing": (*WHAT, "json", "junit", "markdown")}
    for option, several in others.items():
        for name in several:
            if given[option] and given[name]:
                said = {
                    "quick": "chooses the points itself",
                    "missing": "takes the arms from the records of results",
                }[option]
                raise ConfigError(
                    f"--{option}: it {said}. Leave out {NAMED.get(name, '--' + name.replace('_', '-'))}"
                )
    if given["missing"] and not given["quick"]:
        raise ConfigError(
            "--missing: expected --quick beside it. Type: harness parity --quick --missing"
        )


def _check_missing(config: Config, root: Path, results: Path, given: Mapping[str, Any]) -> None:
    """Check the arms that have trained and have no verdict; exit 1 where one departs or fails."""
    from harness.cli.parity_quick import check_missing

    if any(
        parity.verdict != "agrees"
        for parity in check_missing(config, root, results, _limits(given))
    ):
        raise typer.Exit(1)


def _held(planned: tuple[Planned, ...], root: Path, given: Mapping[str, Any]) -> Parity:
    """Hold the arms of the first seed to the referee, and do what else is asked for, showing what is being done."""
    from harness.engine import host
    from harness.experiments.parity.check import check, quick_points
    from harness.experiments.parity.free_run import with_free_runs
    from harness.experiments.parity.round_trip import savers, with_round_trips
    from harness.report.progress import steps_line

    first = tuple(each for each in planned if each.request.seed == planned[0].request.seed)
    points = quick_points(first) if given["quick"] else tuple(given["point"] or ())
    if given["round_trips"]:
        savers(first)  # or a refusal, before the minutes that the rest takes
    with alone_on_machine("parity", wait=not given["no_wait"]), steps_line(console_of()) as say:
        found = check(first, root, host.describe_host(host.detect_hardware()), points, say)
        if given["round_trips"]:
            found = with_round_trips(found, first, root, say)
        return with_free_runs(found, planned, root, say) if given["full"] else found


def _shown(
    found: Parity, file: Path, json: Path | None, junit: Path | None, markdown: Path | None
) -> None:
    """Print what was found, and write it where a CI wants it."""
    from harness.experiments.parity import document as report

    console_of().print(report.terminal(found), crop=False)
    say(f"record: {file}", "dim")
    text = report.markdown(found)
    texts = {
        "--json": (json, found.model_dump_json(indent=1)),
        "--junit": (junit, report.junit(found)),
        "--markdown": (markdown, text),
    }
    written(texts)
    summarised(text)
