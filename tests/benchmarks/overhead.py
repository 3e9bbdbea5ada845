"""The harness's tax: the epoch as the keras arm records it, against the same epoch in a bare
textbook script.

"The same epoch" is `fit` over the same 60,000 samples in a fixed order: the script has
shuffle=False, since the harness orders the samples before its clock starts (feed_s in its records)
and a shuffling script would pay for that inside its own. One difference remains, and is the tax:
the harness calls `fit` once an epoch instead of once, and waits after it.

Both processes live at once in the same environment and take turns, the order of the two alternating
from block to block; their first epochs (compilation) are dropped. A turn is five epochs on end, in
the script one `fit` as in the textbook, and gives the shortest of the five: on TensorFlow about
every second epoch waits, up to a second and more, for a thread of tf.data's (see keras_fit.epoch),
in both programs alike. A generation is one fresh pair, since identical processes differ for as long
as they live; it gives one number, the median over its blocks of ln(harness / textbook). Over the
generations: the Hodges-Lehmann estimate and the exact Wilcoxon signed-rank interval.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from harness.engine import launch
from harness.engine.exclusive import hold_machine
from harness.spec import config
from harness.spec.data import mnist
from harness.statistics.intervals import Interval, hodges_lehmann
from tests.benchmarks.turns import ROOT, Turn, harness_worker

TEXTBOOK = Path(__file__).with_name("textbook.py")
LIMIT_MID, LIMIT_HIGH = 1.02, 1.05
N_EPOCHS = 5  # of a turn


@contextmanager
def textbook_script(
    backend: str, whole: config.Config, dataset: mnist.Prepared, order: str = "fixed"
) -> Iterator[Turn]:
    """Give the turns of the bare script, in the same environment, with the same variables."""
    there = whole.backends[backend]
    python = launch.interpreter_of(backend, there, ROOT).path
    command = [str(python), str(TEXTBOOK), str(dataset.folder), order]
    pipes = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.DEVNULL,
        "text": True,
    }
    with tempfile.TemporaryDirectory() as home:
        variables = launch.worker_variables(there, "auto", "auto") | {"KERAS_HOME": home}
        with subprocess.Popen(command, env=variables, bufsize=1, **pipes) as script:

            def turn(n_epochs: int) -> list[float]:
                script.stdin.write(f"{n_epochs}\n")
                lines = [script.stdout.readline() for _ in range(n_epochs)]
                if not all(lines):
                    raise SystemExit(f"the {backend} script ended before its turn was over")
                return [float(line) for line in lines]

            try:
                turn(1)  # compiles
                yield turn
            finally:
                script.kill()


def generation(
    backend: str, whole: config.Config, dataset: mnist.Prepared, n_blocks: int, first: int
) -> list[tuple[float, float]]:
    """Return the epoch seconds of harness and textbook in each block of one fresh pair of
    processes.
    """
    with (
        harness_worker(backend, "keras", whole, dataset) as mine,
        textbook_script(backend, whole, dataset) as theirs,
    ):
        pairs = []
        for block in range(n_blocks):
            times = {}
            for turn in (mine, theirs) if (block + first) % 2 == 0 else (theirs, mine):
                times[turn] = min(turn(N_EPOCHS))
            pairs.append((times[mine], times[theirs]))
        return pairs


def main() -> int:
    """Measure each backend, print the table, and return 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backends", nargs="*", help="all where none is named")
    parser.add_argument(
        "--generations", type=int, default=6, help="fresh pairs of processes; the interval needs 6"
    )
    parser.add_argument(
        "--blocks",
        type=int,
        default=3,
        help="turns of each process in a generation, after its first epoch",
    )
    arguments = parser.parse_args()
    if arguments.generations < 6:
        parser.error("--generations: expected 6 or more; fewer give no 95 % interval")
    whole = config.load(ROOT / "backends.toml")
    dataset = mnist.prepare("auto")
    console = Console(width=None if sys.stdout.isatty() else 120)
    grid = Table(
        "backend",
        "harness / textbook, epoch",
        "95 % interval",
        "generations",
        f"limits {LIMIT_MID} and {LIMIT_HIGH}",
    )
    passed = True
    for backend in [
        name
        for name, there in whole.choose_backends(arguments.backends).items()
        if "keras" in there.arms
    ]:
        medians = []
        for number in range(arguments.generations):
            with hold_machine("overhead", console.print):
                pairs = generation(backend, whole, dataset, arguments.blocks, number)
            medians.append(float(np.median([np.log(mine / theirs) for mine, theirs in pairs])))
            seconds = ", ".join(f"{mine:.2f} / {theirs:.2f}" for mine, theirs in pairs)
            where = f"{backend}, generation {number + 1}/{arguments.generations}"
            said = f"{where}: {np.exp(medians[-1]):.3f} ({seconds} s)"
            console.print(said, highlight=False)
        estimate: Interval = hodges_lehmann(medians)
        mid, high = np.exp(estimate.mid), np.exp(estimate.high)
        within = mid <= LIMIT_MID and high <= LIMIT_HIGH
        passed &= within
        grid.add_row(
            backend,
            f"{mid:.3f}",
            f"{np.exp(estimate.low):.3f} - {high:.3f}",
            str(len(medians)),
            "within" if within else "passed over",
        )
    console.print(grid)
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
