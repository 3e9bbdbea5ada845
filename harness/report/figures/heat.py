"""A heat map: a square for each row and column, its number in it, a ring where it matters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt

from harness.report.charts import Heat
from harness.report.figures.style import FAINT, INK, PAPER, data, labels, legend

STEP = 21  # pixels of a row
SLANTED = 48  # pixels beside the columns that a slanted name needs
BARE: dict[str, Any] = {"domain": False, "ticks": False, "title": None}  # an axis of names


def draw(picture: Heat, width: int) -> alt.TopLevelMixin:
    """Return the chart; names of columns stand slanted above them."""
    rows_of, columns_of = labels(picture.rows), labels(picture.columns)
    steps = [f"var(--h{number})" for number in range(len(picture.names))]
    limit = int(0.45 * width)
    is_slanted = (0.55 * width - SLANTED) / max(1, len(picture.columns)) > 34
    beside = SLANTED if is_slanted else 12
    room = (0.55 * width - beside) / max(1, len(picture.columns))  # pixels of a column
    y = alt.Y(
        "row:N",
        sort=[*rows_of.values()],
        axis=alt.Axis(**BARE, labelLimit=limit),
    )
    x = alt.X(
        "column:N",
        sort=[*columns_of.values()],
        axis=alt.Axis(**BARE, orient="top", labelAngle=-40 if is_slanted else -90, labelLimit=160),
    )
    color = alt.Color(
        "step:N",
        scale=alt.Scale(domain=[*picture.names], range=steps),
        legend=legend(int(0.6 * width), picture.names, "square", FAINT),
        title=None,
    )
    base = alt.Chart(_data(picture, rows_of, columns_of)).encode(x=x, y=y)
    square = base.mark_rect(stroke=PAPER, strokeWidth=1).encode(color=color)
    ring = base.transform_filter(alt.datum.ringed).mark_rect(
        filled=False, fill=None, stroke=INK, strokeWidth=3
    )
    text = base.mark_text(fontSize=11 if room > 34 else 9).encode(text=alt.Text("text:N"))
    texts = [text] if room > 26 else []  # the table has them
    size = {
        "height": STEP * len(picture.rows),
        "padding": {"left": 4, "right": beside - 4, "top": 4, "bottom": 4},
    }
    return alt.layer(square, *texts, ring, **size)


def _data(
    picture: Heat, rows_of: Mapping[str, str], columns_of: Mapping[str, str]
) -> alt.InlineData:
    rows = []
    for each in picture.squares:
        place = sum(each.value >= step for step in picture.steps)
        names = {"row": rows_of[each.row], "column": columns_of[each.column]}
        rows.append(
            {**names, "step": picture.names[place], "text": each.text, "ringed": each.ringed}
        )
    return data(rows)
