"""Bars of parts: one after another with the whole at the end, or side by side."""

from __future__ import annotations

import itertools
from typing import Any

import altair as alt

from harness.errors.safe import short
from harness.report.charts import Bars
from harness.report.figures.style import COLOURS, LONGEST, PAPER, data, labels, legend, name_axis
from harness.report.numbers import number

STEP, SIDE = 30, 16  # pixels of a bar: of stacked parts; of one of several side by side


def draw(picture: Bars, width: int) -> alt.TopLevelMixin:
    """Return the chart; the legend is left out where there is one part only."""
    names = labels(part.name for part in picture.parts)
    parts = labels(part.part for part in picture.parts)
    x: dict[str, Any] = {
        "scale": alt.Scale(domain=[0, _end(picture, width)], nice=False),
        "axis": alt.Axis(title=short(picture.axis.title, LONGEST), grid=True, tickCount=5),
    }
    order = [*parts.values()]
    color = alt.Color(
        "part:N",
        scale=alt.Scale(
            domain=order, range=[*itertools.islice(itertools.cycle(COLOURS), len(parts))]
        ),
        legend=legend(int(0.6 * width), order) if len(order) > 1 else None,
        title=None,
    )
    y = alt.Y("name:N", sort=None, axis=name_axis(width))
    rows = [
        {
            "name": names[each.name],
            "part": parts[each.part],
            "value": each.value,
            "order": order.index(parts[each.part]),
            "text": number(each.value),
        }
        for each in picture.parts
    ]
    base = alt.Chart(data(rows)).encode(y=y)
    form = _stacked if picture.stacked else _beside
    layers = form(picture, base, x, color)
    step = STEP if picture.stacked else SIDE * len(parts) + 12
    return alt.layer(*layers, height=step * len(names))


def _stacked(
    picture: Bars, base: alt.Chart, x: dict[str, Any], color: alt.Color
) -> list[alt.Chart]:
    """Return parts one after another, with the whole at the end."""
    names = labels(part.name for part in picture.parts)
    ends = [
        {"name": names[name], "value": total, "text": number(total)}
        for name, total in _totals(picture).items()
    ]
    bar = base.mark_bar(stroke=PAPER, strokeWidth=1)
    text = alt.Chart(data(ends)).mark_text(align="left", dx=5)
    return [
        bar.encode(x=alt.X("value:Q", stack="zero", **x), color=color, order=alt.Order("order:Q")),
        text.encode(y=alt.Y("name:N", sort=None), x=alt.X("value:Q", **x), text=alt.Text("text:N")),
    ]


def _beside(picture: Bars, base: alt.Chart, x: dict[str, Any], color: alt.Color) -> list[alt.Chart]:
    """Return parts side by side, each with its value."""
    order = [*labels(part.part for part in picture.parts).values()]
    each = base.encode(yOffset=alt.YOffset("part:N", sort=order))
    bar = each.mark_bar(stroke=PAPER, strokeWidth=1)
    text = each.mark_text(align="left", dx=5)
    return [
        bar.encode(x=alt.X("value:Q", stack=None, **x), color=color),
        text.encode(x=alt.X("value:Q", **x), text=alt.Text("text:N")),
    ]


def _end(picture: Bars, width: int) -> float:
    """Return where the axis ends: a text has room behind the longest bar."""
    values = _totals(picture).values() if picture.stacked else (e.value for e in picture.parts)
    return max(values) * (1.12 if width >= 450 else 1.3) or 1.0


def _totals(picture: Bars) -> dict[str, float]:
    """Return the sum of each bar's parts."""
    totals: dict[str, float] = {}
    for each in picture.parts:
        totals[each.name] = totals.get(each.name, 0.0) + each.value
    return totals
