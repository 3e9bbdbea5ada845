"""A run's progress: a bar where there is a terminal, plain lines where there is none.

Drawn only when a worker reports, at the boundary of an epoch: a bar that moves by itself takes a
core from the run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from harness.errors.safe import one_line, short


@dataclass(frozen=True, slots=True)
class Mark:
    """What a run is at; at the end of an epoch also which one that was, and its seconds."""

    what: str
    epoch: int | None = None
    seconds: float = 0.0


@contextmanager
def run_bar(console: Console) -> Iterator[Callable[[str, int, Mark], None]]:
    """Give a function that shows what a run is at, by its title and number of epochs."""
    if not console.is_terminal:
        yield (
            lambda title, _, mark: (
                console.out(f"{one_line(title)}: {mark.what}") if mark.epoch else None
            )
        )
        return
    described, stated = (
        TextColumn(f"{{task.{field}}}", markup=False) for field in ("description", "fields[state]")
    )
    columns = (described, BarColumn(bar_width=20), stated)
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as progress:
        spent: list[float] = []

        def show(title: str, n_epochs: int, mark: Mark) -> None:
            shown = next((each.description for each in progress.tasks), None)
            if shown != one_line(title):
                for each in progress.task_ids:
                    progress.remove_task(each)
                spent.clear()
                progress.add_task(one_line(title), total=n_epochs, state="starting")
            (task,) = progress.task_ids
            if mark.epoch:
                spent.append(mark.seconds)
                n_left = n_epochs - mark.epoch
                left_s = n_left * statistics.median(spent[1:] or spent)  # the first one compiled
                state = f"{mark.what}, {left_s:.0f} s left"
                progress.update(task, completed=mark.epoch, state=state)
            else:
                progress.update(task, state=short(mark.what))
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
