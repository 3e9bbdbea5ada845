"""A run's progress: a bar where there is a terminal, plain lines where there is none.

Drawn only when a worker reports, at the boundary of an epoch: a bar that moves by itself takes a core from the run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from harness.records.record import Record
from harness.safe import one_line, short

Event = Mapping[str, Any]
"""What a worker says, see `harness.engine.process`."""
PHASES = {
    "import": "importing",
    "data": "loading the data",
    "build": "building",
    "evaluate": "evaluating",
}


@contextmanager
def run_bar(console: Console, title: str, n_epochs: int) -> Iterator[Callable[[Event], None]]:
    """Give a function that shows a worker's events while a run lasts."""
    if not console.is_terminal:
        yield (
            lambda event: (
                console.out(f"{one_line(title)}: {_epoch(event)}") if "epoch" in event else None
            )
        )
        return
    text, said = (
        TextColumn(f"{{task.{field}}}", markup=False) for field in ("description", "fields[said]")
    )
    columns = (text, BarColumn(bar_width=20), said)
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task(one_line(title), total=n_epochs, said="starting")
        spent: list[float] = []

        def show(event: Event) -> None:
            if "epoch" in event:
                spent.append(event["seconds"] + event["feed_s"])
                left = statistics.median(spent[1:] or spent) * (
                    event["epochs"] - event["epoch"]
                )  # the first one compiled
                bar.update(
                    task, completed=event["epoch"], said=f"{_epoch(event)}, {left:.0f} s left"
                )
            else:
                bar.update(task, said=short(PHASES.get(event["phase"], event["phase"])))
            bar.refresh()

        yield show


@contextmanager
def download_bar(console: Console) -> Iterator[Callable[[int, int | None], None]]:
    """Give a function that shows how far a download is, in steps of a tenth."""
    shown = -1

    def show(done: int, whole: int | None) -> None:
        nonlocal shown
        step = done * 10 // whole if whole else done >> 20
        if step > shown:
            shown = step
            console.out(
                f"MNIST: {done / 2**20:.1f} MiB" + (f" of {whole / 2**20:.1f}" if whole else ""),
                highlight=False,
            )

    yield show


def line(record: Record) -> str:
    """Return a finished run in one line."""
    title = one_line(f"{record.arm.name}, seed {record.request.seed}")
    if record.status != "ok" or record.measured is None:
        return f"{title}: {record.status}: {short(record.reason)}"
    steady = (
        f", epoch {min(record.steady_s):.2f}-{max(record.steady_s):.2f} s"
        if record.steady_s
        else ""
    )
    whole = f"{record.total_s:.1f} s in all, on {short(record.measured.device)}"
    return f"{title}: test accuracy {record.measured.test_accuracy:.4f}{steady}, {whole}"


def _epoch(event: Event) -> str:
    return f"epoch {event['epoch']}/{event['epochs']}, loss {event['loss']:.4f}, accuracy {event['accuracy']:.4f}, {event['seconds']:.2f} s"


@contextmanager
def steps_line(console: Console) -> Iterator[Callable[[str], None]]:
    """Give a function that shows what is being done, with the seconds so far: one line that changes, or plain lines."""
    began = time.monotonic()
    if not console.is_terminal:
        yield lambda what: console.out(f"{time.monotonic() - began:5.1f} s: {one_line(what)}")
        return
    with Progress(
        TextColumn("{task.description}", markup=False),
        console=console,
        auto_refresh=False,
        transient=True,
    ) as bar:
        task = bar.add_task("")

        def show(what: str) -> None:
            bar.update(task, description=f"{time.monotonic() - began:5.1f} s: {one_line(what)}")
            bar.refresh()

        yield show


@contextmanager
def bench_progress(console: Console) -> Iterator[Callable[[str, float | None, bool], None]]:
    """Give a function that shows what a bench session is at, with the time left: one line that changes, or a line a generation.

    Its arguments: what is being done, the seconds that are left or None, and whether a generation is over.
    """
    if not console.is_terminal:
        yield (
            lambda what, left_s, done: (
                console.out(_with_left(what, left_s), highlight=False) if done else None
            )
        )
        return
    column = TextColumn(
        "{task.description}", markup=False, table_column=Column()
    )  # one that wraps: the time left is never cut
    with Progress(column, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task("")

        def show(what: str, left_s: float | None, done: bool) -> None:
            bar.update(task, description=_with_left(what, left_s))
            bar.refresh()

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
