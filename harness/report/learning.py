"""The chart of losses, which more than one experiment makes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from harness.report.charts import Axis, Chart, Curves, Point, tabulate
from harness.report.document import Column
from harness.report.numbers import number

Losses = Mapping[str, Mapping[int, Sequence[float]]]
"""Of each arm, by epoch, the loss of each of its trainings."""


def chart_losses(losses: Losses, over: str) -> Chart | None:
    """Return each arm's loss by epoch, with its range; None where there is no loss.

    Args:
        losses: an epoch has at least one.
        over: what an arm's trainings differ in.
    """
    points = [
        Point(name, epoch, statistics.median(values), min(values), max(values))
        for name, of_epoch in losses.items()
        for epoch, values in of_epoch.items()
    ]
    if not points:
        return None
    return Chart(
        "loss",
        "Does it learn alike?",
        _finding(losses),
        f"Medians of the running training loss over {over}, with the lowest and the highest. Arms "
        "that begin with equal weights and samples and compute the same have one curve.",
        tabulate(points, lambda at: Column(f"epoch {at:g}"), lambda loss: number(loss, 4)),
        Curves(tuple(points), Axis("epoch"), Axis("training loss", "log")),
    )


def _finding(losses: Losses) -> str:
    last = min(max(of_epoch) for of_epoch in losses.values())
    ends = {name: statistics.median(of_epoch[last]) for name, of_epoch in losses.items()}
    low, high = min(ends, key=ends.__getitem__), max(ends, key=ends.__getitem__)
    between = f"between {ends[low]:.4f} ({low}) and {ends[high]:.4f} ({high})"
    return f"After {last} epochs the median training loss lies {between}."
