"""A run in words: what it is at, and what it came to."""

from __future__ import annotations

from harness.errors.safe import one_line, short
from harness.job.answers import EpochEnd, Event, Measurement
from harness.records.record import Record
from harness.report.numbers import named
from harness.report.progress import Mark

PHASES = {
    "import": "importing",
    "data": "loading the data",
    "build": "building",
    "evaluate": "evaluating",
}


def mark(event: Event) -> Mark:
    """Return what a run is at, for `harness.report.progress.run_bar`."""
    if isinstance(event, EpochEnd):
        return Mark(_epoch(event), event.epoch, event.seconds + event.feed_s)
    return Mark(PHASES.get(event.phase, event.phase))


def line(record: Record) -> str:
    """Return a finished run in one line."""
    title = one_line(f"{record.arm.name}, seed {record.request.seed}")
    if record.status != "ok" or record.measured is None:
        return f"{title}: {record.status}: {short(record.reason)}"
    steady = record.steady_s
    epoch = f", epoch {min(steady):.2f}-{max(steady):.2f} s" if steady else ""
    total = f"{record.total_s:.1f} s in all, on {short(record.measured.device)}"
    return f"{title}: {_quality(record.measured)}{epoch}, {total}"


def _quality(measured: Measurement) -> str:
    """Return what a model came to, whichever kind of spec it is of."""
    if measured.quality:
        return f"{named(measured.quality.values)} on the {measured.quality.of}"
    return f"test accuracy {measured.test_accuracy:.4f}"


def _epoch(event: EpochEnd) -> str:
    quality = f"loss {event.loss:.4f}"
    if event.accuracy is not None:
        quality += f", accuracy {event.accuracy:.4f}"
    return f"epoch {event.epoch}/{event.epochs}, {quality}, {event.seconds:.2f} s"
