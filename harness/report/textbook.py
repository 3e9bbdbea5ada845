"""What a textbook computes by hand, as a terminal shows it: summary, loops, gradients, momentum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from harness.report.table import sentence
from harness.textbook.gradients import GIVEN, QUANTITIES, faults
from harness.textbook.loops import (
    PUBLISHED_NAIVE_S,
    PUBLISHED_ROUNDS,
    PUBLISHED_VECTORISED_S,
    Timing,
)
from harness.textbook.momentum import GLOBAL, LOCAL, TOP
from harness.textbook.summary import Row

N_COLUMNS, N_LINES = 61, 17  # of a curve
SOURCE = "published: F. Chollet, Deep Learning with Python, chapter 2, on the machine of its day"
LEGEND = (
    "seconds: of all rounds together, median of the repetitions. ratio: naive to vectorised within "
    "a repetition, median (lowest-highest). largest difference: between the two results; 0 is "
    "equal to the last bit"
)


def summary(spec_name: str, n_inputs: int, rows: Sequence[Row]) -> RenderableType:
    """Return a model layer by layer, with the total of its parameters.

    Args:
        spec_name: as in backends.toml.
        n_inputs: features of one sample.
        rows: the layers, in order.
    """
    grid = _grid("layer", "type", "output shape", "parameters", right=("parameters",))
    for row in rows:
        cells = row.name, row.type, str(row.output_shape), f"{row.n_parameters:,}"
        grid.add_row(*map(Text, cells))
    title = sentence(f"{spec_name}, on {n_inputs} inputs")
    total = f"parameters: {sum(row.n_parameters for row in rows):,}, all of them trainable"
    return Group(title, grid, sentence(total))


def ops(timings: Sequence[Timing]) -> RenderableType:
    """Return what each operation took in both forms; under the first, what was published of it."""
    numbers = ("rounds", "vectorised s", "naive s", "ratio", "largest difference")
    grid = _grid("operation", "shapes", *numbers, right=numbers)
    for number, timing in enumerate(timings):
        shapes = ", ".join(map(str, timing.pair.shapes))
        ratio = f"{timing.ratio.mid:.0f} ({timing.ratio.low:.0f}-{timing.ratio.high:.0f})"
        seconds = f"{timing.vectorised_s.mid:.6f}", f"{timing.naive_s.mid:.4f}"
        cells = timing.pair.name, shapes, str(timing.rounds), *seconds, ratio
        grid.add_row(*map(Text, (*cells, f"{timing.difference:.1g}")))
        if number == 0:
            seconds = f"{PUBLISHED_VECTORISED_S:g}", f"{PUBLISHED_NAIVE_S:g}"
            ratio = f"{PUBLISHED_NAIVE_S / PUBLISHED_VECTORISED_S:.0f}"
            cells = "  as published", shapes, str(PUBLISHED_ROUNDS), *seconds, ratio
            grid.add_row(*map(Text, (*cells, "-")))
    return Group(grid, Text(LEGEND, "dim"), sentence(SOURCE, "dim"))


def gradients(answers: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    """Return each quantity as it must be and as each backend derives it, then all faults."""
    grid = _grid("quantity", "expected", *answers)
    for key, (meaning, expected) in QUANTITIES.items():
        cells = [answer.get(key, "-") for answer in answers.values()]
        shown = [Text(str(cell), style="" if cell == expected else "red") for cell in cells]
        grid.add_row(Text(meaning), Text(str(expected)), *shown)
    wrong = [f"! {name}: {fault}" for name, answer in answers.items() for fault in faults(answer)]
    verdict = [sentence(fault, "red") for fault in wrong]
    exact = sentence("every gradient is exact", "green")
    return Group(grid, sentence(GIVEN, "dim"), *(verdict or [exact]))


def momentum(
    paths: Mapping[float, NDArray[np.float64]], loss: Callable[[float], float]
) -> RenderableType:
    """Return where gradient descent ends for each momentum, and the loss with those ends on it.

    Args:
        paths: The weights on each path, (steps + 1,) float64, by momentum.
        loss: What was descended.
    """
    grid = _grid("momentum", "steps", "first w", "first loss", "last w", "last loss", "ends in")
    for rate, path in paths.items():
        first, last = float(path[0]), float(path[-1])
        figures = [f"{value:.4f}" for value in (first, loss(first), last, loss(last))]
        grid.add_row(f"{rate:g}", str(len(path) - 1), *figures, _valley(last))
    marks = {float(path[-1]): f"{rate:g}"[-1] for rate, path in paths.items()}
    start = float(next(iter(paths.values()))[0])
    pairs = zip(paths, marks.values(), strict=True)
    ends = ", ".join(f"{mark} the end with momentum {rate:g}" for rate, mark in pairs)
    legend = sentence(f"loss over w; * the start, {ends}", "dim")
    return Group(grid, _curve(loss, {start: "*", **marks}), legend)


def _curve(loss: Callable[[float], float], marks: Mapping[float, str]) -> Text:
    """Return the loss as lines of text, with the marks on it and a little more on both sides."""
    low, high = min(marks) - 0.7, max(marks) + 0.1
    weights = np.linspace(low, high, N_COLUMNS)
    heights = np.array([loss(w) for w in weights])
    depths = (heights.max() - heights) / np.ptp(heights)  # 0 is the top
    lines = np.rint(depths * (N_LINES - 1)).astype(int)
    field = np.full((N_LINES, N_COLUMNS), " ")
    field[lines, np.arange(N_COLUMNS)] = "."
    for w, mark in marks.items():
        column = int(np.argmin(np.abs(weights - w)))
        field[lines[column], column] = mark
    ends = f"{f'w = {low:.1f}':<{N_COLUMNS - 9}}{f'w = {high:.1f}':>9}"
    return Text("\n".join([*("".join(line).rstrip() for line in field), ends]), no_wrap=True)


def _valley(w: float) -> str:
    near = {LOCAL: "local minimum", GLOBAL: "global minimum", TOP: "neither: on the hill between"}
    names = (name for place, name in near.items() if abs(w - place) < 0.01)
    return next(names, "neither: still on its way")


def _grid(*header: str, right: Sequence[str] = ()) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in header:
        grid.add_column(Text(name), justify="right" if name in right else "left", overflow="fold")
    return grid
