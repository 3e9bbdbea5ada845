"""The front door: verbs, and nothing else. With its siblings cli_*, all that prints or exits, or hands a console to what draws on it.

Modules are imported inside the verbs, so that `harness --help` answers at once.
"""

from __future__ import annotations

import gc
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness import __version__
from harness.cli import bench, gate, lessons, parity, surroundings
from harness.cli.options import (
    WIDTH,
    ConfigOption,
    DatasetOption,
    DeviceOption,
    NoWaitOption,
    ResultsOption,
    alone_on_machine,
    configured,
    console_of,
    dataset_of,
    polite_signals,
    say,
    threads_of,
    uninterrupted,
)
from harness.errors import ConfigMissing, HarnessError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness.engine.plan import Planned
    from harness.records.record import Record
    from harness.records.store import Loaded

app = typer.Typer(
    cls=surroundings.Front,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command line: 0 fine, 1 a run failed, 2 usage or configuration, 130 interrupted."""
    surroundings.prepare()
    for polite in polite_signals():
        signal.signal(polite, signal.default_int_handler)  # each ends the children as Ctrl-C does
    with surroundings.sentences():
        app()


def _version(asked: bool) -> None:
    if asked:
        print(f"harness {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it and exit.")
]


@app.callback()
def options(version: VersionOption = False) -> None:
    """Which backend should train my Keras model, and is it still the same model there?"""
    _remove_leftovers()


def _remove_leftovers() -> None:
    """Remove what runs that were killed have left; where that cannot be done, a verb says what is wrong with the folder."""
    from harness.scratch import remove_leftovers
    from harness.spec.data.mnist import cache_folder

    with suppress(HarnessError, OSError):
        cache = cache_folder()
        remove_leftovers([Path(tempfile.gettempdir()), cache / "datasets", cache / "draws"])


def doctor(config: ConfigOption = None) -> None:
    """Show this machine's hardware, what each backend sees of it, and what to type where they differ."""
    from harness.engine import ask, host
    from harness.experiments.doctor.document import checkup

    root, whole = configured(config)
    hardware = host.detect_hardware()
    seen = {
        name: ask.inspect_backend(name, backend, root) for name, backend in whole.backends.items()
    }
    console_of().print(
        checkup(host.describe_host(hardware), hardware, seen, whole.backends), crop=False
    )
    if any("refused" in answer for answer in seen.values()):
        raise typer.Exit(1)


def train(
    backends: Annotated[
        list[str] | None, typer.Argument(help="As in backends.toml; all where none is named.")
    ] = None,
    spec: Annotated[
        str | None, typer.Option(help="As in backends.toml; its first where none is named.")
    ] = None,
    arm: Annotated[
        list[str] | None, typer.Option(help="Only this implementation; may be repeated.")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="Instead of the protocol's seeds; may be repeated.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the protocol's.")] = None,
    threads: Annotated[
        str | None, typer.Option(help="auto, or the number of cores for every backend.")
    ] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds for one run.")] = None,
    rows: Annotated[
        bool,
        typer.Option("--rows", help="Print a line a run only: harness compare prints the table."),
    ] = False,
    dataset: DatasetOption = None,
    device: DeviceOption = "auto",
    no_wait: NoWaitOption = False,
    results: ResultsOption = None,
    config: ConfigOption = None,
) -> None:
    """Train the spec under each backend: a fresh process and a record for each run, then the table and what it answers."""
    from harness.engine.plan import plan
    from harness.experiments.train import document, judge
    from harness.records import store
    from harness.spec.config import override_protocol

    root, whole = configured(config)
    spec_name, wanted = whole.spec(spec)
    chosen = whole.choose_backends(backends or ())
    protocol = override_protocol(
        whole.protocol,
        seeds=tuple(seed) if seed else None,
        epochs=epochs if epochs is not None else wanted.epochs,
        threads=threads_of(threads),
        time_limit_s=time_limit,
    )
    results = results or root / "results"
    store.ready(results)
    prepared = dataset_of(dataset or wanted.dataset)
    planned = plan(
        spec_name,
        wanted,
        chosen,
        protocol,
        prepared,
        device=device,
        implementations=tuple(arm or ()),
    )
    with alone_on_machine("train", wait=not no_wait):
        records = _run_all(planned, root, results)
    ran = {
        record.run_id: record for record in records
    }  # one that had to be kept elsewhere is no less a result
    loaded = _loaded(results)
    if not rows:
        known = {record.run_id: record for record in loaded.records}
        tables = judge.compare(
            (known | ran).values(), only=frozenset(ran), parities=loaded.parities
        )
        console_of().print(document.terminal(tables), crop=False)
    if any(record.status != "ok" for record in records):
        raise typer.Exit(1)


def compare(
    baseline: Annotated[
        str | None,
        typer.Option(
            help="The arm whose epoch time is 1.00: backend/implementation, or a backend."
        ),
    ] = None,
    format: Annotated[
        Literal["terminal", "markdown", "csv", "json"], typer.Option(help="How to print.")
    ] = "terminal",
    output: Annotated[Path | None, typer.Option(help="Write there instead of printing.")] = None,
    newest: Annotated[
        bool,
        typer.Option("--newest", help="Only the table of the newest run, and what it answers."),
    ] = False,
    results: ResultsOption = None,
    config: ConfigOption = None,
) -> None:
    """Print the table of all records, one row an arm, and which backend they say; needs no backend and no network."""
    from harness.errors import StoreError
    from harness.experiments.train import document, judge

    folder = results or configured(config)[0] / "results"
    loaded = _loaded(folder)
    if not loaded.records:
        said = "".join(
            f"\
{document.left_out(entry)}"
            for entry in loaded.rejected
        )
        raise StoreError(f"{folder}: no record to compare. Run: nox, or harness train{said}")
    tables = judge.compare(loaded.records, baseline, parities=loaded.parities)[
        : 1 if newest else None
    ]
    if format == "terminal" and output is None:
        console_of().print(document.terminal(tables, loaded.rejected), crop=False)
        return
    text = {
        "terminal": lambda: _as_text(document.terminal(tables, loaded.rejected)),
        "markdown": lambda: document.markdown(tables, loaded.rejected),
        "csv": lambda: document.csv(tables),
        "json": lambda: document.as_json(tables, loaded.rejected),
    }[format]()
    if output is None:
        print(text, end="" if text.endswith("\n") else "\n")
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"--output: {output}: cannot be written ({error.strerror})") from None


def data(
    dataset: DatasetOption = None,
    sample: Annotated[int, typer.Option(help="The training sample to show as a picture.")] = 4,
    png: Annotated[
        Path | None,
        typer.Option(help="Also write a sheet of samples, ten of each class, as a PNG."),
    ] = None,
    results: ResultsOption = None,
    config: ConfigOption = None,
) -> None:
    """Look at the dataset: arrays, classes, slices, batches, pictures, and what the runs so far take them for."""
    from harness.lessons.dataset import first_predictions, overview, write_sheet
    from harness.records import store
    from harness.spec.data.arrays import load_dataset
    from harness.spec.project import find

    with suppress(ConfigMissing):  # the dataset can be looked at from anywhere
        results = results or (config or find(Path.cwd())).parent / "results"
    prepared = dataset_of(dataset or "auto")
    parts = load_dataset(prepared.folder)
    predicted = first_predictions(
        store.load_all(results).records if results else (), prepared.sha256
    )
    console_of().print(overview(parts, sample, prepared.name, predicted), crop=False)
    if png:
        write_sheet(parts, png)
        say(f"written: {png}")


def requirements(backend: str, device: DeviceOption = "auto", config: ConfigOption = None) -> None:
    """Print what a backend's environment needs on this machine, one requirement a line under "# cpu" or "# gpu"; nox asks this."""
    from harness.engine import host

    chosen = configured(config)[1].choose_backends([backend])[backend]
    kind = host.choose_build(device, host.detect_hardware())
    print("\n".join([f"# {kind}", *getattr(chosen.requirements, kind)]))


def _run_all(planned: tuple[Planned, ...], root: Path, results: Path) -> list[Record]:
    """Run what is planned, one after another, keeping each record as soon as it is there."""
    from harness.engine import ask, host
    from harness.records import store
    from harness.report.progress import line, run_bar

    console = console_of()
    hardware = host.detect_hardware()
    records = []
    for number, each in enumerate(planned, start=1):
        title = f"[{number}/{len(planned)}] {each.request.backend}/{each.request.implementation}, seed {each.request.seed}"
        with run_bar(console, title, each.request.epochs) as show:
            record = ask.run(each, root, host.describe_host(hardware), show)
        records.append(record)
        with uninterrupted():
            file = store.add(results, record)
        say(f"[{number}/{len(planned)}] {line(record)}")
        if results not in file.parents:
            say(f"! {results}: cannot be written any more; the record is kept in {file}", "red")
        else:
            _loaded(results)
    return records


def _loaded(results: Path) -> Loaded:
    """Return all records, with results.csv brought up to date where that can be done."""
    from harness.errors import StoreError
    from harness.records import store

    was_on = gc.isenabled()
    gc.disable()  # what is read stays: to look through it takes a fifth of the time of 10,000 records
    try:
        return store.project(results)
    except StoreError as error:
        say(f"! {error}", "yellow", stderr=True)
        return store.load_all(results)
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def _as_text(shown: RenderableType) -> str:
    """Return what a pipe would show: a file has no width either."""
    import io

    from rich.console import Console

    text = io.StringIO()
    Console(file=text, width=WIDTH, force_terminal=False, no_color=True).print(shown, crop=False)
    return text.getvalue()


for verb in (
    train,
    compare,
    parity.parity,
    bench.bench,
    gate.gate,
    doctor,
    data,
):  # as --help lists them: a user's day
    app.command()(verb)
app.add_typer(lessons.app, name="textbook")
app.command(hidden=True)(requirements)
