"""Print how whole maps err and what they find: python -m tests.simulation.whole_maps [MAPS]."""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from harness.experiments.bench.paired import ValidTurns
from harness.experiments.sweep.compare import Timed, compare_cells
from tests.simulation.whole_sessions import noises

ARMS = ("jax/keras", "torch/keras", "tensorflow/keras")
ARMS += ("jax/compiled", "torch/compiled", "tensorflow/compiled")
N_CELLS = 64


@dataclass(frozen=True)
class Rates:
    """What became of so many maps."""

    wrong: float  # share of maps with a winner in a cell that has none
    found: float  # mean share of the cells that have a winner
    false: float  # mean share of the winners that are none


def cell(logs, names):
    """A cell of ln seconds (generations, blocks, entrants); the last entrant repeats the first."""
    turns = {
        number: tuple(
            {name: SimpleNamespace(seconds=each) for name, each in zip(names, block, strict=True)}
            for block in generation
        )
        for number, generation in enumerate(np.exp(logs).tolist(), start=1)
    }
    count = ValidTurns(turns, 1)
    able = sorted(names[:-1], key=lambda name: np.median([*count.steady_s(name).values()]))
    return Timed(count, tuple(able), {names[-1]: names[0]})


def winners(n_maps, n_different, n_arms, generations, blocks=6, slowdown=0.05) -> Iterator:
    """Yield the winners of a map's cells, "" where none is sure.

    The first arm is faster than all others in so many cells, the first ones; in the rest all arms
    are identical. The noise is that of recorded turns of identical code.
    """
    random, noise = np.random.default_rng(7), noises()["A/A pair"]
    names = (*ARMS[:n_arms], f"{ARMS[0]} again")
    for _ in range(n_maps):
        logs = noise.draw(random, (N_CELLS, generations, blocks, len(names)))
        logs[:n_different, ..., 1:n_arms] += math.log1p(slowdown)
        yield np.array(
            [each.winner for each in compare_cells([cell(each, names) for each in logs]).cells]
        )


def rates(n_maps, n_different=0, n_arms=2, generations=10) -> Rates:
    """What became of so many maps of 64 cells, some of which have a winner."""
    wrong, found, false = [], [], []
    for won in winners(n_maps, n_different, n_arms, generations):
        right = won[:n_different] == ARMS[0]
        n_won = np.count_nonzero(won)
        wrong.append(n_won > right.sum())
        found.append(right.mean() if n_different else 0.0)
        false.append((n_won - right.sum()) / max(n_won, 1))
    return Rates(*(float(np.mean(each)) for each in (wrong, found, false)))


def main() -> None:
    """Print a line for each number of arms and of generations."""
    n_maps = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for n_arms in (2, 6):
        for generations in (6, 7, 8, 10, 12):
            alike = rates(n_maps, 0, n_arms, generations)
            half = rates(n_maps, N_CELLS // 2, n_arms, generations)
            print(
                f"{n_arms} arms, {generations} generations: a false winner in {alike.wrong:.1%} of "
                f"{n_maps} maps of identical cells; of cells that differ by 5 % {half.found:.1%} "
                f"are found, of those found {half.false:.2%} are none",
                flush=True,
            )


if __name__ == "__main__":
    main()
