"""A row for each figure and the limit it is held to: a dot, a tick, and the way between them."""

from __future__ import annotations

from typing import Any

import altair as alt

from harness.report.charts import Gaps
from harness.report.figures.style import FAINT, INK, data, labels, name_axis, scale, ticks

STEP = 20  # pixels of a row
FITS, BEYOND = "var(--equal)", "var(--bad)"


def draw(picture: Gaps, width: int) -> alt.TopLevelMixin:
    """Return the chart."""
    shown = labels(row.name for row in picture.rows)
    rows = [
        row._asdict()
        | {
            "name": shown[row.name],
            "color": FITS if row.fits else BEYOND,
            "shape": "circle" if row.fits else "triangle-right",
        }
        for row in picture.rows
    ]
    seen = [value for row in picture.rows for value in (row.value, row.limit)]
    x: dict[str, Any] = {
        "scale": scale(picture.axis, seen),
        "axis": ticks(picture.axis, seen, width // 60),
    }
    y = alt.Y("name:N", sort=None, axis=name_axis(width))
    base = alt.Chart(data(rows))
    way = base.mark_rule(color=FAINT).encode(y=y, x=alt.X("value:Q", **x), x2=alt.X2("limit:Q"))
    gate = base.mark_tick(color=INK, thickness=2, size=14).encode(y=y, x=alt.X("limit:Q", **x))
    dot = base.mark_point(filled=True, size=70, opacity=1).encode(
        y=y,
        x=alt.X("value:Q", **x),
        color=alt.Color("color:N", scale=None),
        shape=alt.Shape("shape:N", scale=None),
    )
    return alt.layer(way, gate, dot, height=STEP * len(rows))
