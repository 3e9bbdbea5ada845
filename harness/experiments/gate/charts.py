"""Gate -> a chart of each arm's change since an earlier session."""

from __future__ import annotations

from harness.experiments.gate.document import COLUMNS, LEGEND, TONES, row_of, verdict
from harness.experiments.gate.judge import Gate
from harness.report.charts import Axis, Chart, Estimate, Estimates
from harness.report.document import Table
from harness.report.numbers import ratio


def changes(gate: Gate) -> Chart | None:
    """Return each arm's ratio now to its ratio then, with its interval."""
    rows = tuple(
        Estimate(
            change.name,
            change.change,
            f"{gate.finding(change)} {ratio(change.change)}",
            TONES.get(gate.finding(change), "plain"),
        )
        for change in gate.changes
        if change.change
    )
    if not rows:
        return None
    tolerance = 1 + gate.tolerance
    return Chart(
        "change",
        "Has it become slower?",
        verdict(gate),
        f"A mark right of 1 has become slower, beside {gate.head.session.baseline}, since session "
        f"{gate.base.session.run_id}; the dashed line is the tolerance. {LEGEND.split('. ')[0]}.",
        Table(COLUMNS, tuple(row_of(gate, change) for change in gate.changes)),
        Estimates(rows, Axis("ratio now to ratio then", "log"), None, (tolerance,), 1.0),
    )
