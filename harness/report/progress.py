"""A run's progress: a bar where there is a terminal, plain lines where there is none.

Drawn only when a worker reports, at the boundary of an epoch: a bar that moves by itself takes a
core from the run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from harness.errors.safe import one_line, short
from harness.job.answers import EpochEnd, Event, Measurement
from harness.records.record import Record
from harness.report.numbers import named

PHASES = {
    "import": "importing",
    "data": "loading the data",
    "build": "building",
    "evaluate": "evaluating",
}


@contextmanager
def run_bar(console: Console) -> Iterator[Callable[[str, int, Event], None]]:
    """Give a function that shows an event of a run, by its title and number of epochs."""
    if not console.is_terminal:
        yield (
            lambda title, _, event: (
                console.out(f"{one_line(title)}: {_epoch(event)}")
                if isinstance(event, EpochEnd)
                else None
            )
        )
        return
    described, stated = (
        TextColumn(f"{{task.{field}}}", markup=False) for field in ("description", "fields[state]")
    )
    columns = (described, BarColumn(bar_width=20), stated)
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as progress:
        spent: list[float] = []

        def show(title: str, n_epochs: int, event: Event) -> None:
            shown = next((each.description for each in progress.tasks), None)
            if shown != one_line(title):
                for each in progress.task_ids:
                    progress.remove_task(each)
                spent.clear()
                progress.add_task(one_line(title), total=n_epochs, state="starting")
            (task,) = progress.task_ids
            if isinstance(event, EpochEnd):
                spent.append(event.seconds + event.feed_s)
                n_left = event.epochs - event.epoch
                left_s = n_left * statistics.median(spent[1:] or spent)  # the first one compiled
                state = f"{_epoch(event)}, {left_s:.0f} s left"
                progress.update(task, completed=event.epoch, state=state)
            else:
                progress.update(task, state=short(PHASES.get(event.phase, event.phase)))
            progress.refresh()

        yield show


@contextmanager
def download_bar(console: Console) -> Iterator[Callable[[int, int | None], None]]:
    """Give a function that shows how far a download is, in steps of a tenth."""
    shown = -1

    def show(done: int, total: int | None) -> None:
        nonlocal shown
        step = done * 10 // total if total else done >> 20
        if step > shown:
            shown = step
            of_total = f" of {total / 2**20:.1f}" if total else ""
            console.out(f"MNIST: {done / 2**20:.1f} MiB{of_total}", highlight=False)

    yield show


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


class Step(Protocol):
    """Shows what is being done."""

    def __call__(self, what: str, kept: bool = True, /) -> None:
        """Show a line; without a terminal only one that is kept."""


@contextmanager
def steps_line(console: Console) -> Iterator[Step]:
    """Give a function that shows what is being done, with the seconds so far.

    That is one line that changes on a terminal, and plain lines elsewhere, but for those not kept.
    """
    began = time.monotonic()
    with _changing_line(console) as put:
        yield lambda what, kept=True: put(
            f"{time.monotonic() - began:5.1f} s: {one_line(what)}", kept
        )


@contextmanager
def bench_progress(console: Console) -> Iterator[Callable[[str, float | None, bool], None]]:
    """Give a function that shows what a bench session is at, with the time left.

    That is one line that changes on a terminal, and a line a generation elsewhere. The function's
    arguments: what is being done, the seconds that are left or None, and whether a generation is
    over.
    """
    with _changing_line(console) as put:
        yield lambda what, left_s, done: put(_with_left(what, left_s), done)


@contextmanager
def _changing_line(console: Console) -> Iterator[Callable[[str, bool], None]]:
    """Give a function that shows a line in place of the last one; without a terminal, if kept."""
    if not console.is_terminal:
        yield lambda text, kept: console.out(text, highlight=False) if kept else None
        return
    column = TextColumn("{task.description}", markup=False, table_column=Column())  # it wraps
    with Progress(column, console=console, auto_refresh=False, transient=True) as progress:
        task = progress.add_task("")

        def show(text: str, kept: bool) -> None:
            progress.update(task, description=text)
            progress.refresh()

        yield show


def _with_left(what: str, left_s: float | None) -> str:
    line = one_line(what)
    return line if left_s is None else f"{line}; {duration(left_s)} left"


def duration(seconds: float) -> str:
    """Return seconds as a person says them: "40 s", "6 min", "1 h 5 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
