"""`harness data`: a look at the dataset."""

from __future__ import annotations

from pathlib import Path

from harness.cli.command import command
from harness.cli.options import DataOptions
from harness.cli.output import say, show
from harness.cli.project import prepare_dataset


@command(DataOptions)
def data(options: DataOptions) -> None:
    """Look at the dataset: arrays, classes, slices, batches, pictures, and runs' predictions."""
    from harness.lessons.dataset import overview, write_sheet
    from harness.records import store
    from harness.records.record import first_predictions
    from harness.spec.data.arrays import load_dataset
    from harness.spec.project import find

    results, file = options.results, options.config or find(Path.cwd())
    if file:  # the dataset can be looked at from anywhere
        results = results or file.parent / "results"
    prepared = prepare_dataset(options.dataset or "auto")
    parts = load_dataset(prepared.folder)
    records = store.load_all(results).records if results else ()
    predicted = first_predictions(records, prepared.sha256)
    show(overview(parts, options.sample, prepared.name, predicted))
    if options.png:
        write_sheet(parts, options.png)
        say(f"written: {options.png}")
