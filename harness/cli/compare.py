"""`harness compare`: the table of all records. Needs no backend and no network."""

from __future__ import annotations

from harness.cli.options import (
    CompareBaselineOption,
    ConfigOption,
    FormatOption,
    NewestOption,
    OutputOption,
    ResultsOption,
)
from harness.cli.output import show, write_files
from harness.cli.project import load_records, open_project
from harness.errors import StoreError


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
    from harness.report.remarks import left_out
    from harness.report.renderers import render

    folder = results or open_project(config).results
    loaded = load_records(folder)
    if not loaded.records:
        hint = "no record to compare. Run: nox, or harness train"
        rejected = map(left_out, loaded.rejected)
        raise StoreError("\n".join([f"{folder}: {hint}", *rejected]))
    tables = judge.compare(loaded.records, baseline, parities=loaded.parities)
    found = document.compose(tables[:1] if newest else tables, loaded.rejected)
    if output is not None:
        write_files({"--output": (output, render(found, format))})
    elif format == "terminal":
        show(found)
    else:
        print(render(found, format), end="")
