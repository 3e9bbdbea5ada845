"""A sweep's plan -> Document: its cells, which are done, how long the others may take."""

from __future__ import annotations

from harness.errors.safe import short
from harness.experiments.sweep.document import needed
from harness.experiments.sweep.forecast import Forecast, n_weights
from harness.experiments.sweep.plan import Cell, SweepPlan
from harness.report.document import (
    NONE,
    Block,
    Column,
    Document,
    Heading,
    Paragraph,
    Sentence,
    Table,
    sentences,
)
from harness.report.numbers import number
from harness.report.progress import duration
from harness.spec.bounds import N_INPUTS

MOST_ROWS = 100  # on a terminal; CSV and JSON have all


def compose_plan(plan: SweepPlan, known: Forecast) -> Document:
    """Return a sweep's cells, and what is known of them."""
    axes = tuple(Column(short(axis, 40)) for axis in plan.sweep.axes)
    columns = (*axes, Column("weights"), Column("state", align="left"), Column("time", unit="s"))
    rows = [_row(known, cell) for cell in plan.cells]
    table = Table(columns, tuple(tuple(map(_text, row.values())) for row in rows[:MOST_ROWS]))
    more = len(rows) - MOST_ROWS
    rest = [Sentence(f"and {more} cells more: --csv FILE has all", "aside")] if more > 0 else []
    n_comparisons = len(plan.cells) * (len(plan.arms) - 1)
    blocks: tuple[Block, ...] = (
        Heading(_heading(plan)),
        table,
        *rest,
        Paragraph((_left(plan, known),), "strong"),
        *sentences(needed(n_comparisons, plan.sweep.generations), "aside"),
    )
    return Document(blocks, data={"sweep": plan.name, "cells": rows}, rows=tuple(rows))


def _heading(plan: SweepPlan) -> str:
    sweep, names = plan.sweep, ", ".join(arm.name for arm in plan.arms)
    size = f"{sweep.generations} generations of {sweep.blocks} blocks"
    return short(f"sweep {plan.name} of {sweep.spec}: {len(plan.cells)} cells, {size}: {names}")


def _row(known: Forecast, cell: Cell) -> dict[str, object]:
    state = "done" if cell.id in known.done else "to do"
    if cell.id in known.attempts:
        state = "begun"
    return {
        **cell.values,
        "weights": n_weights(cell.spec, N_INPUTS),
        "state": state,
        "seconds": known.seconds.get(cell.id),
    }


def _text(value: object) -> str:
    if isinstance(value, float):
        return number(value)
    return NONE if value is None else short(value, 40)


def _left(plan: SweepPlan, known: Forecast) -> str:
    """Return what is left to do, and how long it may take."""
    left = [cell.id for cell in plan.cells if cell.id not in known.done]
    said = f"{len(known.done)} of {len(plan.cells)} cells are done"
    expected = [known.seconds[cell] for cell in left if cell in known.seconds]
    if not left:
        return f"{said}. harness map {plan.name} shows who wins where."
    if len(expected) < len(left):
        return f"{said}; how long the others take is known once one of them is done."
    model = "as long as the median cell"
    if known.error is not None:
        model = f"by a model of the cost, whose median error on known cells is {known.error:.0%}"
    return f"{said}; the others may take {duration(sum(expected))} one after another ({model})."
