"""`harness export`: records for other programs. Needs no backend and no network."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.cli.command import command
from harness.cli.options import ExportOptions
from harness.cli.output import say
from harness.cli.project import open_project
from harness.cli.report_page import Records, load
from harness.errors import EnvironmentMissing, StoreError

MISSING = (
    "harness export: --to {to}: expected {library}, which is not installed. "
    "Type: pip install 'keras-backend-harness[{extra}]', or choose --to csv"
)
Rows = list[Mapping[str, object]]


@command(ExportOptions)
def export(options: ExportOptions) -> None:
    """Write records for other programs: long tables, or the newest session as a service's JSON."""
    results = options.results or open_project(options.config).results
    records = load(results)
    if not (records.sessions or records.runs or records.checks):
        raise StoreError(f"{results}: nothing to export. Run: nox, or nox -s bench")
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        files = FORMATS[options.to](records, results, options.folder)
    except OSError as error:
        raise StoreError(f"{options.folder}: cannot be written ({error.strerror})") from None
    for file, what in files.items():
        say(f"{file}: {what}")


def tables(records: Records) -> dict[str, Rows]:
    """Return the long tables: one row, one fact; a table without a row is left out."""
    from harness.experiments.bench.elsewhere import pairs
    from harness.records import frame, long
    from harness.records.verdicts import verdict_on, verdicts_of

    verdicts = verdicts_of(records.all_checks)
    epochs = [row for bench in records.sessions for row in long.epochs_of_session(bench)]
    made: dict[str, Rows] = {
        "runs": [frame.row(run, verdict_on(run, verdicts)) for run in records.runs],
        "epochs": [*long.epochs_of_runs(records.runs), *epochs],
        "pairs": [row for bench in records.sessions for row in pairs(bench)],
        "parity": list(long.gates(records.checks)),
        "environments": list(long.environments(records.runs, records.sessions, records.checks)),
    }
    return {name: rows for name, rows in made.items() if rows}


def _csv(records: Records, results: Path, folder: Path) -> dict[Path, str]:
    from harness.records.frame import as_csv

    found = {}
    for name, rows in tables(records).items():
        (folder / f"{name}.csv").write_text(as_csv(rows), encoding="utf-8")
        found[folder / f"{name}.csv"] = f"{len(rows)} rows"
    return found


def _parquet(records: Records, results: Path, folder: Path) -> dict[Path, str]:
    try:
        import polars
    except ImportError:
        said = MISSING.format(to="parquet", library="polars", extra="export")
        raise EnvironmentMissing(said) from None
    found = {}
    for name, rows in tables(records).items():
        frame = polars.DataFrame(rows, infer_schema_length=None)
        frame.write_parquet(folder / f"{name}.parquet")
        found[folder / f"{name}.parquet"] = f"{len(rows)} rows"
    return found


def _tensorboard(records: Records, results: Path, folder: Path) -> dict[Path, str]:
    try:
        from harness.report import tensorboard
    except ImportError:
        said = MISSING.format(to="tensorboard", library="tensorboardX", extra="tensorboard")
        raise EnvironmentMissing(said) from None
    written = tensorboard.write(tables(records).get("epochs", []), folder)
    return {file: f"{n} epochs" for file, n in written.items()}


def _github(records: Records, results: Path, folder: Path) -> dict[Path, str]:
    from harness.experiments.bench import elsewhere

    return _session(records, results, folder / "github-action-benchmark.json", elsewhere.for_github)


def _bencher(records: Records, results: Path, folder: Path) -> dict[Path, str]:
    from harness.experiments.bench import elsewhere

    return _session(records, results, folder / "bencher.json", elsewhere.for_bencher)


def _session(
    records: Records, results: Path, file: Path, of: Callable[..., object]
) -> dict[Path, str]:
    """Write the newest session's summary in a form of it."""
    from harness.experiments.bench.judge import summarize

    if not records.sessions:
        raise StoreError(f"{results}: no bench session to export. Run: nox -s bench")
    summary = summarize(records.sessions[0], records.all_checks)
    file.write_text(json.dumps(of(summary), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return {file: f"session {summary.session_id}"}


FORMATS: dict[str, Callable[[Records, Path, Path], dict[Path, str]]] = {
    "csv": _csv,
    "parquet": _parquet,
    "tensorboard": _tensorboard,
    "github": _github,
    "bencher": _bencher,
}
