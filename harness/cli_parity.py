"""`harness parity`: is it still the same model there? Exit 0 where every arm agrees, 1 where one departs or fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness import cli_model
from harness.cli_shared import (
    ConfigOption,
    DatasetOption,
    DeviceOption,
    ResultsOption,
    configured,
    console_of,
    dataset_of,
    summarised,
    threads_of,
    written,
)

FULL_SEEDS = (0, 1, 2)
N_EPOCHS = 5  # of the course that resync points lie on: 2,345 updates of MNIST

if TYPE_CHECKING:
    from harness.launch.plan import Planned
    from harness.records.parity import Parity


def _proved(asked: bool) -> None:
    """Show that planted defects are caught and null changes are not; exit 1 where it is otherwise."""
    if not asked:
        return
    from harness.judge.proof.prove import prove
    from harness.report import proof as report
    from harness.report.progress import steps_line

    console = console_of()
    with steps_line(console) as say:
        found = prove(say)
    console.print(report.terminal(found), crop=False)
    raise typer.Exit(0 if found.holds else 1)


ProofOption = Annotated[
    bool, typer.Option("--proof", callback=_proved, is_eager=True, help="Only show, on NumPy, that the gate can fail: planted defects.")
]


def parity(
    context: typer.Context,
    backends: Annotated[list[str] | None, typer.Argument(help="As in backends.toml; all where none is named.")] = None,
    spec: Annotated[str | None, typer.Option(help="As in backends.toml; its first where none is named.")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="Only this implementation; may be repeated.")] = None,
    point: Annotated[list[str] | None, typer.Option(help="Only this one, as init, adversarial, resync-469; may be repeated.")] = None,
    model: Annotated[str | None, typer.Option(help="Your own: FILE:FUNCTION, which returns a compiled keras.Model.")] = None,
    batch: Annotated[str | None, typer.Option(help="FILE:FUNCTION, which returns (x, y) for it; by default drawn from the seed.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Also train every arm to the end, for each seed, and compare what came of it.")
    ] = False,
    seed: Annotated[
        list[int] | None, typer.Option(help="Of weights and order; the updates are those of the first. With --full 0, 1, 2.")
    ] = None,
    threads: Annotated[str | None, typer.Option(help="auto, or the number of cores for every backend.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds for one backend's worker.")] = None,
    round_trips: Annotated[bool, typer.Option("--round-trips", help="Also save under each backend and load under each.")] = False,
    proof: ProofOption = False,
    json: Annotated[Path | None, typer.Option(help="Also write the whole record there.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Also write JUnit XML there, a test case an arm and a round trip.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write the tables there, as for a CI's summary.")] = None,
    dataset: DatasetOption = None,
    device: DeviceOption = "auto",
    results: ResultsOption = None,
    config: ConfigOption = None,
) -> None:
    """Hold every arm to a float64 referee, update by update: agrees, or where it departs, by how much and why."""
    if model or batch:
        cli_model.checked(context.params)
        return
    from harness.launch.plan import plan
    from harness.records import store
    from harness.spec.config import overridden

    root, whole = configured(config)
    spec_name, wanted = whole.spec(spec)
    chosen = whole.chosen_backends(backends or ())
    seeds = tuple(seed) if seed else FULL_SEEDS if full else whole.protocol.seeds[:1]
    protocol = overridden(whole.protocol, seeds=seeds, threads=threads_of(threads), time_limit_s=time_limit, epochs=N_EPOCHS)
    results = results or root / "results"
    store.ready(results)
    prepared = dataset_of(dataset or wanted.dataset)
    planned = plan(spec_name, wanted, chosen, protocol, prepared, device=device, implementations=tuple(arm or ()))
    found = _held(planned, root, tuple(point or ()), round_trips=round_trips, full=full)
    file = store.add(results, found)
    _shown(found, file, json, junit, markdown)
    if found.verdict != "agrees":
        raise typer.Exit(3 if found.verdict in ("chaotic", "inconclusive") else 1)


def _held(planned: tuple[Planned, ...], root: Path, points: tuple[str, ...], *, round_trips: bool, full: bool) -> Parity:
    """Hold the arms of the first seed to the referee, and do what else is asked for, showing what is being done."""
    from harness.judge.parity.check import check
    from harness.judge.parity.free_run import with_free_runs
    from harness.judge.parity.round_trip import savers, with_round_trips
    from harness.launch import devices
    from harness.report.progress import steps_line

    first = tuple(each for each in planned if each.request.seed == planned[0].request.seed)
    if round_trips:
        savers(first)  # or a refusal, before the minutes that the rest takes
    with steps_line(console_of()) as say:
        found = check(first, root, devices.host(devices.look()), points, say)
        if round_trips:
            found = with_round_trips(found, first, root, say)
        return with_free_runs(found, planned, root, say) if full else found


def _shown(found: Parity, file: Path, json: Path | None, junit: Path | None, markdown: Path | None) -> None:
    """Print what was found, and write it where a CI wants it."""
    from harness.report import parity as report

    console = console_of()
    console.print(report.terminal(found), crop=False)
    console.print(f"record: {file}", style="dim", markup=False, highlight=False, soft_wrap=True)
    text = report.markdown(found)
    texts = {"--json": (json, found.model_dump_json(indent=1)), "--junit": (junit, report.junit(found)), "--markdown": (markdown, text)}
    written(texts)
    summarised(text)
