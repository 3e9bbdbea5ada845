"""`harness data`: a look at the dataset."""

from __future__ import annotations

from pathlib import Path

from harness.cli.options import (
    ConfigOption,
    DatasetOption,
    PngOption,
    ResultsOption,
    SampleOption,
)
from harness.cli.output import say, show
from harness.cli.project import prepare_dataset


def data(
    dataset: DatasetOption = None,
    sample: SampleOption = 4,
    png: PngOption = None,
    results: ResultsOption = None,
    config: ConfigOption = None,
) -> None:
    """Look at the dataset: arrays, classes, slices, batches, pictures, and runs' predictions."""
    from harness.lessons.dataset import first_predictions, overview, write_sheet
    from harness.records import store
    from harness.spec.data.arrays import load_dataset
    from harness.spec.project import find

    if file := config or find(Path.cwd()):  # the dataset can be looked at from anywhere
        results = results or file.parent / "results"
    prepared = prepare_dataset(dataset or "auto")
    parts = load_dataset(prepared.folder)
    records = store.load_all(results).records if results else ()
    predicted = first_predictions(records, prepared.sha256)
    show(overview(parts, sample, prepared.name, predicted))
    if png:
        write_sheet(parts, png)
        say(f"written: {png}")
