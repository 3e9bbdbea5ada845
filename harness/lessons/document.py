"""What a textbook works out by hand, as documents: a summary, loops, gradients, momentum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

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
from harness.report.document import (
    NONE,
    Cell,
    Column,
    Document,
    Figure,
    Sentence,
    Table,
    sentences,
    words,
)
from harness.report.numbers import median_span

N_COLUMNS = 59  # of a curve
SOURCE = "published: F. Chollet, Deep Learning with Python, chapter 2, on the machine of its day"
LEGEND = (
    "seconds: of all rounds together, median of the repetitions. ratio: naive to vectorised within "
    "a repetition, median (lowest-highest). largest difference: between the two results; 0 is "
    "equal to the last bit"
)
OPERATIONS = (
    Column("operation", align="left"),
    Column("shapes", 5, align="left"),
    Column("rounds", 4),
    Column("vectorised", 1, "s"),
    Column("naive", 2, "s"),
    Column("ratio"),
    Column("largest difference", 3),
)
VALLEYS = {LOCAL: "local minimum", GLOBAL: "global minimum", TOP: "neither: on the hill between"}


def summary(spec_name: str, n_inputs: int, rows: Sequence[Row]) -> Document:
    """Return a model layer by layer, with the total of its parameters.

    Args:
        spec_name: the model's.
        n_inputs: features of one sample.
        rows: a row a layer.
    """
    cells = tuple(
        (row.name, row.type, str(row.output_shape), f"{row.n_parameters:,}") for row in rows
    )
    columns = (*words("layer", "type", "output shape"), Column("parameters"))
    total = sum(row.n_parameters for row in rows)
    return Document(
        (
            Sentence(f"{spec_name}, on {n_inputs} inputs"),
            Table(columns, cells),
            Sentence(f"parameters: {total:,}, all of them trainable"),
        )
    )


def ops(timings: Sequence[Timing]) -> Document:
    """Return what each operation took as loops and vectorised, and what was published of one."""
    first, *others = map(_timing, timings)
    published = (
        "  as published",
        first[1],
        str(PUBLISHED_ROUNDS),
        f"{PUBLISHED_VECTORISED_S:g}",
        f"{PUBLISHED_NAIVE_S:g}",
        f"{PUBLISHED_NAIVE_S / PUBLISHED_VECTORISED_S:.0f}",
        NONE,
    )
    table = Table(OPERATIONS, (first, published, *others))
    return Document((table, *sentences((LEGEND, SOURCE), "aside")))


def _timing(timing: Timing) -> tuple[str, ...]:
    """Return one operation as text, in the order of OPERATIONS."""
    return (
        timing.pair.name,
        ", ".join(map(str, timing.pair.shapes)),
        str(timing.rounds),
        f"{median(timing.vectorised_s):.6f}",
        f"{median(timing.naive_s):.4f}",
        median_span(timing.ratios, 0),
        f"{timing.difference:.1g}",
    )


def gradients(answers: Mapping[str, Gradients | Refusal]) -> Document:
    """Return each quantity as it must be and as each backend derives it, then all that is amiss."""
    found = [{} if isinstance(each, Refusal) else each.values for each in answers.values()]
    rows: list[tuple[str | Cell, ...]] = []
    for key, (meaning, expected) in QUANTITIES.items():
        cells = [values.get(key, NONE) for values in found]
        toned = tuple(Cell(str(cell), "plain" if cell == expected else "bad") for cell in cells)
        rows.append((meaning, str(expected), *toned))
    amiss = [f"! {name}: {fault}" for name, answer in answers.items() for fault in faults(answer)]
    verdict = sentences(amiss, "bad") or (Sentence("every gradient is exact", "good"),)
    table = Table(words("quantity", "expected", *answers), tuple(rows))
    return Document((table, Sentence(GIVEN, "aside"), *verdict))


def momentum(
    paths: Mapping[float, NDArray[np.float64]], loss: Callable[[float], float]
) -> Document:
    """Return where gradient descent ends from one start, and the loss with those ends on it.

    Args:
        paths: the weights on each path, (n_steps + 1,) each, by momentum.
        loss: what was descended.
    """
    rows = []
    for rate, path in paths.items():
        first, last = float(path[0]), float(path[-1])
        figures = [f"{value:.4f}" for value in (first, loss(first), last, loss(last))]
        rows.append((f"{rate:g}", str(len(path) - 1), *figures, _valley(last)))
    start = float(next(iter(paths.values()))[0])
    marks = {float(path[-1]): f"{rate:g}"[-1] for rate, path in paths.items()}
    legend = ", ".join(f"{f'{rate:g}'[-1]} the end with momentum {rate:g}" for rate in paths)
    names = ("momentum", "steps", "first w", "first loss", "last w", "last loss", "ends in")
    return Document(
        (
            Table(words(*names), tuple(rows)),
            _curve(loss, {start: "*", **marks}),
            Sentence(f"loss over w; * the start, {legend}", "aside"),
        )
    )


def _curve(loss: Callable[[float], float], marks: Mapping[float, str]) -> Figure:
    """Return the loss from a little left of the marks to a little right of them."""
    weights = np.linspace(min(marks) - 0.7, max(marks) + 0.1, N_COLUMNS).tolist()
    return Figure("line", (tuple(weights), tuple(map(loss, weights))), marks)


def _valley(w: float) -> str:
    near = (name for place, name in VALLEYS.items() if abs(w - place) < 0.01)
    return next(near, "neither: still on its way")
