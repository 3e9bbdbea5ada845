"""`harness data`: a look at the dataset."""

from __future__ import annotations

from pathlib import Path

from harness.cli.command import command
from harness.cli.options import DataOptions
from harness.cli.output import say, show, write_files
from harness.cli.project import prepare_dataset
from harness.errors import DataError


@command(DataOptions)
def data(options: DataOptions) -> None:
    """Look at the dataset: arrays, classes, slices, batches, pictures, and runs' predictions."""
    from harness.lessons.dataset import overview, sheet
    from harness.records import store
    from harness.records.record import first_predictions
    from harness.spec.data.arrays import load_dataset
    from harness.spec.project import find

    results, file = options.results, options.config or find(Path.cwd())
    if file:  # the dataset can be looked at from anywhere
        results = results or file.parent / "results"
    prepared = prepare_dataset(options.dataset or "auto")
    parts = load_dataset(prepared.folder)
    n_samples, sample = len(parts["x_train"]), options.sample
    if not 0 <= sample < n_samples:
        raise DataError(f"--sample: expected 0 to {n_samples - 1}; received {sample}")
    records = store.load_all(results).records if results else ()
    predicted = first_predictions(records, prepared.sha256)
    show(overview(parts, sample, prepared.name, predicted))
    if options.png:
        write_files({"--png": (options.png, sheet(parts))})
        say(f"written: {options.png}")
