"""`harness compare`: the table of all records. Needs no backend and no network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cli.options import (
    CompareBaselineOption,
    ConfigOption,
    Format,
    FormatOption,
    NewestOption,
    OutputOption,
    ResultsOption,
)
from harness.cli.output import WIDTH, console_of, write_files
from harness.cli.project import load_records, open_project
from harness.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from harness.experiments.train.judge import Table
    from harness.records.files import Rejected


def compare(
    baseline: CompareBaselineOption = None,
    format: FormatOption = "terminal",
    output: OutputOption = None,
    newest: NewestOption = False,
    results: ResultsOption = None,
    config: ConfigOption = None,
) -> None:
    """Print the table of all records, one row an arm, and which backend they say.

    Needs no backend and no network.
    """
    from harness.experiments.train import document, judge

    folder = results or open_project(config).results
    loaded = load_records(folder)
    if not loaded.records:
        hint = "no record to compare. Run: nox, or harness train"
        left_out = map(document.left_out, loaded.rejected)
        raise StoreError("\n".join([f"{folder}: {hint}", *left_out]))
    tables = judge.compare(loaded.records, baseline, parities=loaded.parities)
    tables = tables[:1] if newest else tables
    if format == "terminal" and output is None:
        console_of().print(document.terminal(tables, loaded.rejected), crop=False)
        return
    text = _render(format, tables, loaded.rejected)
    if output is None:
        print(text, end="" if text.endswith("\n") else "\n")
    else:
        write_files({"--output": (output, text)})


def _render(format: Format, tables: Sequence[Table], rejected: Sequence[Rejected]) -> str:
    """Return the tables as text in a format."""
    from harness.experiments.train import document

    match format:
        case "markdown":
            return document.markdown(tables, rejected)
        case "csv":
            return document.csv(tables)
        case "json":
            return document.as_json(tables, rejected)
        case "terminal":
            return _as_text(document.terminal(tables, rejected))


def _as_text(renderable: RenderableType) -> str:
    """Return what a pipe would show: a file has no width either."""
    import io

    from rich.console import Console

    text = io.StringIO()
    console = Console(file=text, width=WIDTH, force_terminal=False, no_color=True)
    console.print(renderable, crop=False)
    return text.getvalue()
