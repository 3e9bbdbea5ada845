"""Runs that followed one another -> charts of their epochs and of what they learned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from harness.experiments.train import answer_document
from harness.experiments.train.document import COLUMNS, cells
from harness.experiments.train.judge import Table as Runs
from harness.records.record import Record
from harness.report.charts import Axis, Chart, Estimate, Estimates, Tile
from harness.report.document import Table
from harness.report.learning import chart_losses
from harness.report.numbers import number, span
from harness.statistics.intervals import Interval


def headline(table: Runs) -> str:
    """Return what the runs of a table answer."""
    return " ".join(answer_document.sentences(table.answer))


def tiles(table: Runs) -> tuple[Tile, ...]:
    """Return who trained fastest, and how sure that is."""
    candidates = table.answer.candidates
    first = candidates[0].name if candidates else "nobody yet"
    sure = "no interval: runs followed one another. harness bench compares"
    return (
        Tile("Which trained fastest?", first, tone="good" if candidates else "warning"),
        Tile("How sure is that?", "not known", sure, "warning"),
    )


def epochs(table: Runs) -> Chart | None:
    """Return the seconds of each arm's epochs, from the shortest to the longest."""
    rows = [row for row in table.rows if row.epoch_s]
    if not rows:
        return None
    least = min(rows, key=lambda row: row.epoch_s.mid if row.epoch_s else 0.0)
    return Chart(
        "epochs",
        "How long is an epoch?",
        f"The shortest median epoch is {least.name}'s, {span(least.epoch_s)} s.",
        "The mark is the median of all epochs after the first, the line goes from the shortest to "
        "the longest. Runs followed one another, so the machine's drift is in it.",
        Table(COLUMNS, tuple(map(cells, table.rows))),
        Estimates(
            tuple(
                Estimate(
                    row.name,
                    Interval(row.epoch_s.low, row.epoch_s.mid, row.epoch_s.high),
                    f"{number(row.epoch_s.mid)} s",
                )
                for row in rows
                if row.epoch_s
            ),
            Axis("seconds of an epoch"),
        ),
    )


def losses(records: Iterable[Record]) -> Chart | None:
    """Return each arm's loss by epoch, with its range over seeds."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        for at, epoch in enumerate(record.measured.epochs if record.measured else (), start=1):
            if epoch.loss > 0:
                found[record.arm.name][at].append(epoch.loss)
    return chart_losses(found, "seeds")
