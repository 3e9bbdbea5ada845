"""The harness's tax: the epoch as the keras arm records it, against the same epoch in a bare textbook script.

"The same epoch" is `fit` over the same 60,000 samples in a fixed order: the script has shuffle=False, since the harness
orders the samples before its clock starts (feed_s in its records) and a shuffling script would pay for that inside its
own. Two differences remain, and are part of the tax: the harness calls `fit` once an epoch instead of once, and waits for
the device after it.

Both processes live at once in the same environment and take turns, an epoch each, the order of the two alternating from
block to block; their first epochs (compilation) are dropped. A generation is one fresh pair, since identical processes
differ for as long as they live; it gives one number, the median over its blocks of ln(harness / textbook). Over the
generations: the Hodges-Lehmann estimate and the exact Wilcoxon signed-rank interval.
"""

from __future__ import annotations

import argparse
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from harness.inputs import datasets
from harness.judge.statistics import Interval, hodges_lehmann
from harness.launch import ask
from harness.launch.plan import plan
from harness.spec import config

ROOT = Path(__file__).resolve().parents[2]
TEXTBOOK = Path(__file__).with_name("textbook.py")
LIMIT_MID, LIMIT_HIGH = 1.02, 1.05
TURN_LIMIT_S = 300.0
Turn = Callable[[], float]
"""Train one epoch and return its seconds, as that process timed them itself."""


class Fifo(NamedTuple):
    """Where a process waits for its turn: its path, and the descriptor that gives one."""

    path: str
    gate: int


@contextmanager
def harness_worker(backend: str, whole: config.Config, dataset: datasets.Prepared, n_epochs: int) -> Iterator[Turn]:
    """Give the turns of a live worker with the keras arm: the very process that `harness train` starts."""
    name, spec = whole.spec(None)
    protocol = config.overridden(whole.protocol, epochs=n_epochs, seeds=(0,))
    (planned,) = plan(name, spec, whole.chosen_backends([backend]), protocol, dataset, implementations=("keras",))
    seconds: queue.Queue[float | None] = queue.Queue()

    def hear(event: ask.Event) -> None:
        if "epoch" in event:
            seconds.put(event["seconds"])

    def live(path: str) -> None:
        python, variables = ask.python_of(planned.backend, ROOT), ask.environment(planned.backend, backend, "auto", "auto")
        try:
            ended = ask.process(python, ask.job(planned) | {"turns": path}, variables, hear, limit_s=3600)
            if ended.returncode != 0:
                print(ended.log, file=sys.stderr)
        finally:
            seconds.put(None)

    with _fifo() as fifo:
        thread = threading.Thread(target=live, args=(fifo.path,), daemon=True)
        thread.start()
        yield lambda: _turn(fifo, lambda: seconds.get(timeout=TURN_LIMIT_S), f"the {backend} worker")
        thread.join()  # its evaluation is over before the next pair starts


@contextmanager
def textbook_script(backend: str, whole: config.Config, dataset: datasets.Prepared, n_epochs: int) -> Iterator[Turn]:
    """Give the turns of the bare script, in the same environment, with the same variables."""
    there = whole.backends[backend]
    command = [str(ask.python_of(there, ROOT)), str(TEXTBOOK), str(dataset.folder)]
    with _fifo() as fifo, tempfile.TemporaryDirectory() as home:
        variables = ask.environment(there, backend, "auto", "auto") | {"KERAS_HOME": home}
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        with subprocess.Popen([*command, fifo.path, str(n_epochs)], env=variables, **output) as script:
            try:
                yield lambda: _turn(fifo, lambda: float(script.stdout.readline() or "nan"), f"the {backend} script")
            finally:
                script.kill()


@contextmanager
def _fifo() -> Iterator[Fifo]:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/turns"
        os.mkfifo(path)
        gate = os.open(path, os.O_RDWR)  # held for both ends: a process that died early blocks nobody here
        try:
            yield Fifo(path, gate)
        finally:
            os.close(gate)


def _turn(fifo: Fifo, heard: Callable[[], float | None], who: str) -> float:
    os.write(fifo.gate, b"\n")
    seconds = heard()
    if seconds is None or not np.isfinite(seconds):
        raise SystemExit(f"{who} ended before its turn was over")
    return seconds


def generation(backend: str, whole: config.Config, dataset: datasets.Prepared, n_blocks: int, first: int) -> list[float]:
    """Return ln(harness / textbook) of each block of one fresh pair of processes."""
    n_epochs = n_blocks + 1
    with harness_worker(backend, whole, dataset, n_epochs) as mine, textbook_script(backend, whole, dataset, n_epochs) as theirs:
        mine(), theirs()  # the first epoch compiles
        logs = []
        for block in range(n_blocks):
            times = {}
            for turn in (mine, theirs) if (block + first) % 2 == 0 else (theirs, mine):
                times[turn] = turn()
            logs.append(float(np.log(times[mine] / times[theirs])))
        return logs


def main() -> int:
    """Measure each backend, print the table, and return 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backends", nargs="*", help="all where none is named")
    parser.add_argument("--generations", type=int, default=6, help="fresh pairs of processes; the interval needs 6")
    parser.add_argument("--blocks", type=int, default=6, help="turns of each process in a generation, after its first epoch")
    arguments = parser.parse_args()
    if arguments.generations < 6:
        parser.error("--generations: expected 6 or more; fewer give no 95 % interval")
    whole = config.load(ROOT / "backends.toml")
    dataset = datasets.prepare("auto")
    console = Console(width=None if sys.stdout.isatty() else 120)
    grid = Table("backend", "harness / textbook, epoch", "95 % interval", "generations", f"limits {LIMIT_MID} and {LIMIT_HIGH}")
    passed = True
    for backend in whole.chosen_backends(arguments.backends):
        medians = []
        for number in range(arguments.generations):
            logs = generation(backend, whole, dataset, arguments.blocks, number)
            medians.append(float(np.median(logs)))
            console.print(f"{backend}, generation {number + 1}/{arguments.generations}: {np.exp(medians[-1]):.3f}", highlight=False)
        estimate: Interval = hodges_lehmann(medians)
        mid, high = np.exp(estimate.mid), np.exp(estimate.high)
        within = mid <= LIMIT_MID and high <= LIMIT_HIGH
        passed &= within
        grid.add_row(
            backend, f"{mid:.3f}", f"{np.exp(estimate.low):.3f} - {high:.3f}", str(len(medians)), "within" if within else "passed over"
        )
    console.print(grid)
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
