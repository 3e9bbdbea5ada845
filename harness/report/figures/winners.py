"""A map of winners: a square a cell in its winner's colour, with the name; hatched if guessed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import altair as alt

from harness.report.charts import Winners
from harness.report.figures.style import FAINT, GRID, INK, PAPER, Series, data, labels

STEP = 52  # pixels of a row
NOBODY = "no arm leads surely"
HATCH = 9  # pixels of a stroke


def draw(picture: Winners, width: int) -> alt.TopLevelMixin:
    """Return the chart; the name of an arm stands in two lines where it has two parts."""
    rows_of, columns_of = labels(picture.rows), labels(picture.columns)
    measured = sorted({cell.name for cell in picture.cells if cell.name and not cell.guessed})
    series = Series(measured)
    down, across = picture.axes
    y = alt.Y("row:N", scale=_all(rows_of), axis=_axis(down, "left"))
    x = alt.X("column:N", scale=_all(columns_of), axis=_axis(across, "top"))
    scale = alt.Scale(
        domain=[*series.shown.values(), NOBODY, ""], range=[*series.colours, GRID, PAPER]
    )
    color = alt.Color("fill:N", scale=scale, legend=None)
    values = [
        {
            "row": rows_of[cell.row],
            "column": columns_of[cell.column],
            "fill": "" if cell.guessed else series.shown.get(cell.name, NOBODY),
            "lines": [*(cell.name.split("/") if cell.name else ["none", "surely"]), cell.lead],
            "guessed": cell.guessed,
        }
        for cell in picture.cells
    ]
    base = alt.Chart(data(values)).encode(x=x, y=y)
    square = base.mark_rect(stroke=PAPER, strokeWidth=2, fillOpacity=0.75).encode(color=color)
    room = 0.8 * width / max(1, len(picture.columns))
    strokes = base.transform_filter(alt.datum.guessed)
    hatches = [
        strokes.mark_text(text="/ " * int(room / HATCH), color=FAINT, dy=dy) for dy in (-16, 18)
    ]
    is_wide = room > STEP
    text = base.mark_text(fontSize=11, color=INK, lineHeight=13, dy=-11).encode(
        text=alt.Text("lines:N")
    )
    layers = [square, *hatches, *([text] if is_wide else [])]
    return alt.layer(*layers, height=STEP * len(picture.rows))


def _all(shown: Mapping[str, str]) -> alt.Scale:
    """Return a scale with a place for every value, in their order, also where nothing is known."""
    return alt.Scale(domain=[*shown.values()])


def _axis(title: str, side: Literal["left", "top"]) -> alt.Axis:
    return alt.Axis(domain=False, ticks=False, title=title, labelAngle=0, orient=side)
