"""What a textbook works out by hand, as a terminal shows it: a summary, loops, gradients, momentum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.text import Text

from harness.job.answers import Gradients, Refusal
from harness.lessons.gradients import GIVEN, QUANTITIES, faults
from harness.lessons.loops import (
    PUBLISHED_NAIVE_S,
    PUBLISHED_ROUNDS,
    PUBLISHED_VECTORISED_S,
    Timing,
)
from harness.lessons.momentum import GLOBAL, LOCAL, TOP
from harness.lessons.summary import Row
from harness.report.fitting import Fitting, Sentence, columns_of

N_COLUMNS, N_LINES = 59, 17  # of a curve
SOURCE = "published: F. Chollet, Deep Learning with Python, chapter 2, on the machine of its day"
LEGEND = (
    "seconds: of all rounds together, median of the repetitions. ratio: naive to vectorised within a repetition, "
    "median (lowest-highest). largest difference: between the two results; 0 is equal to the last bit"
)


def summary(spec_name: str, n_inputs: int, rows: Sequence[Row]) -> RenderableType:
    """Return a model layer by layer, with the total of its parameters."""
    words = ("layer", "type", "output shape")
    cells = tuple(
        (row.name, row.type, str(row.output_shape), f"{row.n_parameters:,}") for row in rows
    )
    table = Fitting(columns_of((*words, "parameters"), words), cells)
    total = sum(row.n_parameters for row in rows)
    return Group(
        Sentence(f"{spec_name}, on {n_inputs} inputs"),
        table,
        Sentence(f"parameters: {total:,}, all of them trainable"),
    )


def ops(timings: Sequence[Timing]) -> RenderableType:
    """Return what each operation took as loops and vectorised; what was published of the first stands under it."""
    header = (
        "operation",
        "shapes",
        "rounds",
        "vectorised s",
        "naive s",
        "ratio",
        "largest difference",
    )
    rows: list[tuple[str, ...]] = []
    for number, timing in enumerate(timings):
        shapes = ", ".join(map(str, timing.pair.shapes))
        ratio = f"{timing.ratio.mid:.0f} ({timing.ratio.low:.0f}-{timing.ratio.high:.0f})"
        figures = (
            f"{timing.vectorised_s.mid:.6f}",
            f"{timing.naive_s.mid:.4f}",
            ratio,
            f"{timing.difference:.1g}",
        )
        rows.append((timing.pair.name, shapes, str(timing.rounds), *figures))
        if number == 0:
            published = (
                f"{PUBLISHED_VECTORISED_S:g}",
                f"{PUBLISHED_NAIVE_S:g}",
                f"{PUBLISHED_NAIVE_S / PUBLISHED_VECTORISED_S:.0f}",
            )
            rows.append(("  as published", shapes, str(PUBLISHED_ROUNDS), *published, "-"))
    columns = columns_of(
        header, header[:2], ("vectorised s", "naive s", "largest difference", "rounds", "shapes")
    )
    return Group(Fitting(columns, tuple(rows)), Sentence(LEGEND, "dim"), Sentence(SOURCE, "dim"))


def gradients(answers: Mapping[str, Gradients | Refusal]) -> RenderableType:
    """Return each quantity as it must be and as each backend derives it, then a sentence on all that is amiss."""
    header = ("quantity", "expected", *answers)
    rows: list[tuple[str | Text, ...]] = []
    for key, (meaning, expected) in QUANTITIES.items():
        found = [{} if isinstance(each, Refusal) else each.values for each in answers.values()]
        cells = [values.get(key, "-") for values in found]
        rows.append(
            (
                meaning,
                str(expected),
                *(Text(str(cell), style="" if cell == expected else "red") for cell in cells),
            )
        )
    amiss = [f"! {name}: {fault}" for name, answer in answers.items() for fault in faults(answer)]
    verdict = [Sentence(fault, "red") for fault in amiss] or [
        Sentence("every gradient is exact", "green")
    ]
    return Group(Fitting(columns_of(header, header), tuple(rows)), Sentence(GIVEN, "dim"), *verdict)


def momentum(
    paths: Mapping[float, NDArray[np.float64]], loss: Callable[[float], float]
) -> RenderableType:
    """Return where gradient descent ends from one start, a row for each momentum, and the loss with those ends on it.

    Args:
        paths: The weights on each path, by momentum.
        loss: What was descended.
    """
    header = ("momentum", "steps", "first w", "first loss", "last w", "last loss", "ends in")
    rows: list[tuple[str, ...]] = []
    for rate, path in paths.items():
        first, last = float(path[0]), float(path[-1])
        figures = [f"{value:.4f}" for value in (first, loss(first), last, loss(last))]
        rows.append((f"{rate:g}", str(len(path) - 1), *figures, _valley(last)))
    marks = {float(path[-1]): f"{rate:g}"[-1] for rate, path in paths.items()}
    start = float(next(iter(paths.values()))[0])
    legend = ", ".join(
        f"{mark} the end with momentum {rate:g}"
        for rate, mark in zip(paths, marks.values(), strict=True)
    )
    table = Fitting(columns_of(header, header), tuple(rows))
    return Group(
        table,
        _curve(loss, {start: "*", **marks}),
        Sentence(f"loss over w; * the start, {legend}", "dim"),
    )


def _curve(loss: Callable[[float], float], marks: Mapping[float, str]) -> Text:
    """Return the loss as lines of text, from a little left of the marks to a little right of them, with the marks on it."""
    low, high = min(marks) - 0.7, max(marks) + 0.1
    weights = np.linspace(low, high, N_COLUMNS)
    heights = np.array([loss(w) for w in weights])
    lines = np.rint((heights.max() - heights) / np.ptp(heights) * (N_LINES - 1)).astype(
        int
    )  # 0 is the top
    field = np.full((N_LINES, N_COLUMNS), " ")
    field[lines, np.arange(N_COLUMNS)] = "."
    for w, mark in marks.items():
        column = int(np.argmin(np.abs(weights - w)))
        field[lines[column], column] = mark
    ends = f"{f'w = {low:.1f}':<{N_COLUMNS - 9}}{f'w = {high:.1f}':>9}"
    return Text(
        "\n".join([*("".join(line).rstrip() for line in field), ends]),
        no_wrap=True,
        overflow="ignore",
    )


def _valley(w: float) -> str:
    near = {LOCAL: "local minimum", GLOBAL: "global minimum", TOP: "neither: on the hill between"}
    return next(
        (name for place, name in near.items() if abs(w - place) < 0.01), "neither: still on its way"
    )
