"""`harness compare`: the table of all records. Needs no backend and no network."""

from __future__ import annotations

from harness.cli.command import command
from harness.cli.options import CompareOptions
from harness.cli.output import show, write_files
from harness.cli.project import load_records, open_project
from harness.errors import StoreError


@command(CompareOptions)
def compare(options: CompareOptions) -> None:
    """Print the table of all records, one row an arm, and which backend they say.

    Needs no backend and no network.
    """
    from harness.engine.arms import select_arms
    from harness.experiments.train import document, judge
    from harness.records.files import left_out
    from harness.report.renderers import render

    folder = options.results or open_project(options.config).results
    loaded = load_records(folder)
    if not loaded.records:
        hint = "no record to compare. Run: nox, or harness train"
        rejected = map(left_out, loaded.rejected)
        raise StoreError("\n".join([f"{folder}: {hint}", *rejected]))
    every = list(dict.fromkeys(record.arm for record in loaded.records))
    arms = frozenset(select_arms(every, options.asked, options.only or ()))
    records = [record for record in loaded.records if record.arm in arms]
    tables = judge.compare(records, options.baseline, parities=loaded.checks)
    found = document.compose(tables[:1] if options.newest else tables, loaded.rejected)
    if options.output is not None:
        write_files({"--output": (options.output, render(found, options.format))})
    elif options.format == "terminal":
        show(found)
    else:
        print(render(found, options.format), end="")
