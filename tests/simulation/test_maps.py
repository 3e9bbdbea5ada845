"""Whole maps, simulated: how often identical cells get a winner, how many others are found."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest

from harness.experiments.bench.paired import ValidTurns
from harness.experiments.sweep import refine
from harness.experiments.sweep.compare import Timed, compare_cells
from tests.simulation.whole_sessions import noises

NAMES = ("jax/keras", "torch/keras", "jax/keras again")
N_CELLS = 64


def cell(logs):
    """A cell of ln seconds (generations, blocks, entrants)."""
    turns = {
        number: tuple(
            {
                name: SimpleNamespace(seconds=math.exp(each))
                for name, each in zip(NAMES, block, strict=True)
            }
            for block in generation
        )
        for number, generation in enumerate(logs, start=1)
    }
    count = ValidTurns(turns, 1)
    able = sorted(NAMES[:2], key=lambda name: np.median([*count.steady_s(name).values()]))
    return Timed(count, tuple(able), {NAMES[2]: NAMES[0]})


def maps(n_maps, n_different, slowdown=0.05, generations=10, blocks=6):
    """Yield which cells of a map have a sure winner; of the first ones torch is slower."""
    random, noise = np.random.default_rng(7), noises()["A/A pair"]
    for _ in range(n_maps):
        logs = noise.draw(random, (N_CELLS, generations, blocks, len(NAMES)))
        logs[:n_different, ..., 1] += math.log1p(slowdown)
        compared = compare_cells([cell(each) for each in logs])
        yield np.array([bool(each.winner) for each in compared.cells])


@pytest.mark.parametrize("n_maps", [20, pytest.param(200, marks=pytest.mark.long)])
def test_64_identical_cells_have_a_false_winner_in_at_most_5_percent_of_maps(n_maps):
    wrong = np.mean([won.any() for won in maps(n_maps, 0)])
    assert wrong <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / n_maps)


@pytest.mark.parametrize("n_maps", [4, pytest.param(100, marks=pytest.mark.long)])
def test_of_32_cells_that_differ_by_5_percent_80_percent_are_found_and_few_others(n_maps):
    found = [(won[:32].mean(), won[32:].sum() / max(won.sum(), 1)) for won in maps(n_maps, 32)]
    power, false = np.mean(found, axis=0)
    assert power >= 0.80
    assert false <= 0.05


def surface(random):
    """ln of two arms' epochs on 8 x 8 cells, whose border is a curve across the map."""
    x, y = np.meshgrid(np.linspace(-1, 1, 8), np.linspace(-1, 1, 8), indexing="ij")
    angle, offset = random.uniform(0, 2 * math.pi), random.uniform(-0.5, 0.5)
    bent = random.uniform(-0.3, 0.3)
    along = x * math.cos(angle) + y * math.sin(angle) + bent * x * y + offset
    return 0.3 * along


def border(first):
    """The cells of a map beside one of another winner."""
    grid, _ = refine.grid_of({"a": [*range(8)], "b": [*range(8)]})
    pairs = [pair for pair in grid.neighbours() if {*pair} <= first.keys()]
    apart = (pair for pair in pairs if first[pair[0]] != first[pair[1]])
    return {*itertools.chain.from_iterable(apart)}


def test_refinement_finds_the_border_within_a_cell_with_40_percent_of_the_sessions():
    random, grid = np.random.default_rng(3), refine.grid_of({"a": [*range(8)], "b": [*range(8)]})[0]
    good, costs = 0, []
    for _ in range(200):
        truth = surface(random)
        seen = truth + random.normal(0, 0.02, truth.shape)  # a screening session's error
        known = {}
        while wanted := refine.screen_next(grid, known):
            for place in wanted:
                name = "a" if seen[place] > 0 else "b"
                known[place] = refine.Screened(name, abs(float(seen[place])))
        full = refine.full_cells(grid, known)
        costs.append((len(full) + len(known) * 2 / 6) / 64)  # 2 of 6 generations each
        seen_border = border({place: each.first for place, each in known.items()}) & {*full}
        near = {(i + di, j + dj) for i, j in seen_border for di in (-1, 0, 1) for dj in (-1, 0, 1)}
        there = border({place: truth[place] > 0 for place in np.ndindex(8, 8)})
        good += there <= near and len(full) <= 0.4 * 64
    assert good >= 0.95 * 200
    assert np.median(costs) <= 0.45
