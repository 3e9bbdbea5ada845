"""Which cells are measured next: a coarse grid first, then where neighbours have other winners.

Cells are screened in short sessions, which never count; then those along the borders, and a random
tenth of all, are measured in full. A border that lies wholly between cells of the coarse grid is
not seen, but for those random cells.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Place = tuple[int, ...]
"""A cell by the index of its value on each axis."""
STEPS = (4, 2, 1)
SHARE = 0.1  # of all cells, that are measured wherever they lie


@dataclass(frozen=True, slots=True)
class Screened:
    """What a short session of a cell says: which arm is first by its median, and by how much."""

    first: str  # "" where no block counts: that is no other winner
    lead: float  # ln of the next arm's epoch to its own


@dataclass(frozen=True, slots=True)
class Grid:
    """The places of a sweep's cells."""

    shape: Place
    ordered: tuple[bool, ...]  # whether an axis's values are numbers; of others all are looked at

    def stops(self, axis: int, step: int) -> list[int]:
        """Return the places on an axis that a grid of such a step has."""
        n = self.shape[axis]
        return sorted({*range(0, n, step if self.ordered[axis] else 1), n - 1})

    def coarse(self) -> Iterator[Place]:
        """Yield the places of the coarse grid."""
        yield from itertools.product(*(self.stops(i, STEPS[0]) for i in range(len(self.shape))))

    def boxes(self, step: int) -> Iterator[tuple[tuple[int, int], ...]]:
        """Yield each box of a grid of such a step: its lowest and highest place on each axis."""
        sides = []
        for axis, is_ordered in enumerate(self.ordered):
            stops = self.stops(axis, step)
            pairs = list(itertools.pairwise(stops)) if is_ordered else []
            sides.append(pairs or [(stop, stop) for stop in stops])
        yield from itertools.product(*sides)

    def neighbours(self) -> Iterator[tuple[Place, Place]]:
        """Yield each two places that are one step apart on one ordered axis."""
        for place in itertools.product(*map(range, self.shape)):
            for axis, n in enumerate(self.shape):
                if self.ordered[axis] and place[axis] + 1 < n:
                    yield place, (*place[:axis], place[axis] + 1, *place[axis + 1 :])


def screen_next(grid: Grid, known: Mapping[Place, Screened]) -> list[Place]:
    """Return the places to be screened next, those nearest a border first; none at the end."""
    missing = [place for place in grid.coarse() if place not in known]
    for step, finer in itertools.pairwise(STEPS):
        if missing:
            break
        split = sorted(
            (near, box) for box in grid.boxes(step) if (near := _distance(box, known)) is not None
        )
        inside = (place for _, box in split for place in _places(grid, box, finer))
        missing = [place for place in dict.fromkeys(inside) if place not in known]
    return missing


def _distance(box: Sequence[tuple[int, int]], known: Mapping[Place, Screened]) -> float | None:
    """Return the least lead among a box's corners; None where it need not be split."""
    corners = [known.get(corner) for corner in itertools.product(*map(set, box))]
    seen = [corner for corner in corners if corner]
    if len(seen) < len(corners) or len({corner.first for corner in seen} - {""}) < 2:
        return None
    return min(corner.lead for corner in seen)


def _places(grid: Grid, box: Sequence[tuple[int, int]], step: int) -> Iterator[Place]:
    """Yield the places of a finer grid in a box."""
    sides = (
        [stop for stop in grid.stops(axis, step) if low <= stop <= high]
        for axis, (low, high) in enumerate(box)
    )
    yield from itertools.product(*sides)


def full_cells(grid: Grid, known: Mapping[Place, Screened]) -> list[Place]:
    """Return the places to be measured in full: along borders, the nearest first, and a tenth.

    Args:
        grid: of the cells.
        known: what screening says.
    """
    border: dict[Place, float] = {}
    for pair in grid.neighbours():
        if all(place in known for place in pair):
            one, other = (known[place] for place in pair)
            if one.first and other.first and one.first != other.first:
                near = min(pair, key=lambda place: known[place].lead)
                border[near] = known[near].lead
    every = list(itertools.product(*map(range, grid.shape)))
    tenth = random.Random(0).sample(every, math.ceil(SHARE * len(every)))
    return list(dict.fromkeys([*sorted(border, key=lambda place: border[place]), *tenth]))


def grid_of(axes: Mapping[str, Sequence[object]]) -> tuple[Grid, list[Place]]:
    """Return the grid of a sweep's axes, and the places of its cells in their order."""
    shape = tuple(map(len, axes.values()))
    ordered = tuple(
        all(isinstance(value, int | float) for value in several)
        and list(several) == sorted(several)  # type: ignore[type-var]
        for several in axes.values()
    )
    return Grid(shape, ordered), list(itertools.product(*map(range, shape)))
