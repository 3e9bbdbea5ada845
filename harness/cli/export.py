"""`harness export`: records for other programs. Needs no backend and no network."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.command import command
from harness.cli.export_arms import arm_runs
from harness.cli.options import ExportOptions
from harness.cli.output import say
from harness.cli.project import open_project
from harness.errors import EnvironmentMissing, StoreError
from harness.report.arm_run import plain

if TYPE_CHECKING:
    from harness.cli.report_page import Records

MISSING = (
    "harness export: --to {to}: expected {library}, which is not installed. "
    "Type: pip install 'keras-backend-harness[{extra}]', or choose --to csv"
)
Rows = list[Mapping[str, object]]
Written = Mapping[Path, str]
"""What was written: files or folders, and what each holds."""


@command(ExportOptions)
def export(options: ExportOptions) -> None:
    """Write records for other programs: long tables, a tracker's runs, or a service's JSON."""
    from harness.cli.report_page import load

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


def _csv(records: Records, results: Path, folder: Path) -> Written:
    from harness.errors.safe import as_csv

    found = {}
    for name, rows in tables(records).items():
        (folder / f"{name}.csv").write_text(as_csv(rows), encoding="utf-8")
        found[folder / f"{name}.csv"] = f"{len(rows)} rows"
    return found


def _parquet(records: Records, results: Path, folder: Path) -> Written:
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


def _tensorboard(records: Records, results: Path, folder: Path) -> Written:
    written: Written = _writer("tensorboard", "tensorboardX").write(arm_runs(records), folder)
    return written


def _mlflow(records: Records, results: Path, folder: Path) -> Written:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing is sent by itself
    writer = _writer("mlflow", "mlflow-skinny")

    def page(session_id: str, place: Path) -> Path | None:
        from harness.cli.report_page import gather

        try:
            from harness.report import html
        except ImportError:
            return None
        file = place / f"{plain(session_id)}.html"
        file.write_text(html.render(gather(results, session_id)), encoding="utf-8")
        return file

    written: Written = writer.write(arm_runs(records), folder, page)
    return written


def _wandb(records: Records, results: Path, folder: Path) -> Written:
    written: Written = _writer("wandb", "wandb").write(arm_runs(records), folder)
    return written


def _trackio(records: Records, results: Path, folder: Path) -> Written:
    place = folder / "trackio"
    os.environ |= {"TRACKIO_DIR": str(place.absolute()), "HF_HUB_OFFLINE": "1"}
    for elsewhere in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"):  # nothing is sent by itself
        os.environ.pop(elsewhere, None)
    written: Written = _writer("trackio", "trackio").write(arm_runs(records), place)
    return written


def _writer(name: str, library: str) -> Any:
    """Return the module of `harness.report` that writes for a tracker; its extra has its name."""
    try:
        return import_module(f"harness.report.{name}")
    except ImportError:
        raise EnvironmentMissing(MISSING.format(to=name, library=library, extra=name)) from None


def _github(records: Records, results: Path, folder: Path) -> Written:
    from harness.experiments.bench import elsewhere

    return _session(records, results, folder / "github-action-benchmark.json", elsewhere.for_github)


def _bencher(records: Records, results: Path, folder: Path) -> Written:
    from harness.experiments.bench import elsewhere

    return _session(records, results, folder / "bencher.json", elsewhere.for_bencher)


def _session(records: Records, results: Path, file: Path, of: Callable[..., object]) -> Written:
    """Write the newest session's summary in a form of it."""
    from harness.experiments.bench.judge import summarize

    if not records.sessions:
        raise StoreError(f"{results}: no bench session to export. Run: nox -s bench")
    summary = summarize(records.sessions[0], records.all_checks)
    file.write_text(json.dumps(of(summary), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return {file: f"session {summary.session_id}"}


FORMATS: dict[str, Callable[[Records, Path, Path], Written]] = {
    "csv": _csv,
    "parquet": _parquet,
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
    "wandb": _wandb,
    "trackio": _trackio,
    "github": _github,
    "bencher": _bencher,
}
