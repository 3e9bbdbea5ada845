"""Epoch times of a backend's arms as ratios to one of them, all of them alive in one run and taking
turns.

`python -m tests.benchmarks.arms BACKEND [--against textbook] [--arm native] [--generations 6]`.
Beside the arms there is `textbook`: the book's own program, whose `fit` shuffles, as it does by
default, inside its epochs. A turn is three epochs on end and gives their mean seconds, all that a
user waits for; the order of turns is drawn anew for each block. A generation is a fresh set of
processes and gives one number an arm: the median over its blocks of ln(arm / baseline). Over the
generations: the Hodges-Lehmann estimate and the exact Wilcoxon signed-rank interval.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

import numpy as np
from rich.console import Console
from rich.table import Table

from harness.spec import config
from harness.spec.data import mnist
from harness.statistics.intervals import hodges_lehmann
from tests.benchmarks.overhead import textbook_script
from tests.benchmarks.turns import ROOT, harness_worker

N_EPOCHS = 3  # of a turn


def generation(
    backend: str,
    arms: list[str],
    against: str,
    whole: config.Config,
    dataset: mnist.Prepared,
    n_blocks: int,
    number: int,
) -> dict[str, float]:
    """Return the median of ln(arm / baseline) of each arm, from one fresh set of processes."""
    random = np.random.default_rng(number)
    with ExitStack() as stack:
        turns = {
            arm: stack.enter_context(
                textbook_script(backend, whole, dataset, "shuffled")
                if arm == "textbook"
                else harness_worker(backend, arm, whole, dataset)
            )
            for arm in arms
        }
        logs: dict[str, list[float]] = {arm: [] for arm in arms}
        for _ in range(n_blocks):
            seconds = {
                arm: float(np.mean(turns[arm](N_EPOCHS))) for arm in random.permutation(arms)
            }
            for arm in arms:
                logs[arm].append(float(np.log(seconds[arm] / seconds[against])))
        return {arm: float(np.median(several)) for arm, several in logs.items()}


def main() -> None:
    """Measure the backend's arms and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backend")
    parser.add_argument("--arm", action="append", help="all of the backend where none is named")
    parser.add_argument("--against", default="keras")
    parser.add_argument("--generations", type=int, default=6)
    parser.add_argument("--blocks", type=int, default=3)
    arguments = parser.parse_args()
    whole, dataset = config.load(ROOT / "backends.toml"), mnist.prepare("auto")
    arms = list(
        dict.fromkeys(
            [arguments.against, *(arguments.arm or whole.backends[arguments.backend].arms)]
        )
    )
    console = Console(width=None if sys.stdout.isatty() else 120)
    found = []
    for number in range(arguments.generations):
        found.append(
            generation(
                arguments.backend, arms, arguments.against, whole, dataset, arguments.blocks, number
            )
        )
        said = ", ".join(f"{arm} {np.exp(log):.3f}" for arm, log in found[-1].items())
        console.print(
            f"{arguments.backend}, generation {number + 1}/{arguments.generations}: {said}",
            highlight=False,
        )
    grid = Table(
        "arm", f"epoch to {arguments.backend}/{arguments.against}", "95 % interval", "generations"
    )
    for arm in arms[1:]:
        estimate = hodges_lehmann([each[arm] for each in found])
        grid.add_row(
            arm,
            f"{np.exp(estimate.mid):.3f}",
            f"{np.exp(estimate.low):.3f} - {np.exp(estimate.high):.3f}",
            str(len(found)),
        )
    console.print(grid)


if __name__ == "__main__":
    main()
