"""Whole maps, simulated: how often identical cells get a winner, how many others are found."""

import itertools
import math

import numpy as np
import pytest

from harness.experiments.sweep import refine
from tests.simulation.whole_maps import N_CELLS, rates


@pytest.mark.parametrize("n_maps", [20, pytest.param(200, marks=pytest.mark.long)])
def test_64_identical_cells_have_a_false_winner_in_at_most_5_percent_of_maps(n_maps):
    assert rates(n_maps).wrong <= 0.05


@pytest.mark.parametrize("n_maps", [4, pytest.param(200, marks=pytest.mark.long)])
def test_of_32_cells_that_differ_by_5_percent_80_percent_are_found_and_few_others(n_maps):
    found = rates(n_maps, N_CELLS // 2)
    assert found.found >= 0.80
    assert found.false <= 0.05


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
        costs.append((len(full) + len(known) * 2 / 8) / 64)  # 2 of 8 generations each
        seen_border = border({place: each.first for place, each in known.items()}) & {*full}
        near = {(i + di, j + dj) for i, j in seen_border for di in (-1, 0, 1) for dj in (-1, 0, 1)}
        there = border({place: truth[place] > 0 for place in np.ndindex(8, 8)})
        good += there <= near and len(full) <= 0.4 * 64
    assert good >= 0.95 * 200
    assert np.median(costs) <= 0.40
