"""Curves: series of points, their ranges, texts at some of them, and who is first, as a ribbon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from harness.report.charts import Curves, Point
from harness.report.figures.style import FAINT, HALO, PAPER, POINT, Series, data, scale, ticks

HEIGHT, RIBBON = 300, 14  # pixels
BESIDE = 10
LINE = 500  # square pixels of a line in a legend, so that its dashes are seen


def draw(picture: Curves, width: int) -> alt.TopLevelMixin:
    """Return the chart."""
    every = (*picture.points, *picture.limits)
    symbol = POINT if picture.has_points else LINE
    series = Series((point.series for point in picture.points), symbol)
    seen_x = [point.x for point in every]
    seen_y = [value for point in every for value in (point.y, point.low, point.high)]
    x = alt.X("x:Q", scale=scale(picture.x, seen_x), axis=ticks(picture.x, seen_x, width // 60))
    y = alt.Y("y:Q", scale=scale(picture.y, seen_y), axis=ticks(picture.y, seen_y, 9))
    base = alt.Chart(_data(picture.points, series)).encode(x=x)
    layers = [
        *_ranges(picture, base, series, width),
        *(_lines(picture, base, y, series, width) if picture.joined else ()),
        *(_points(base, y, series, width) if picture.has_points else ()),
        *_limits(picture, x, y),
        *_marks(picture, x, y),
        *_ribbon(picture, x, series),
    ]
    return alt.layer(*layers, height=HEIGHT)


def _ranges(picture: Curves, base: alt.Chart, series: Series, width: int) -> list[alt.Chart]:
    """Return the range of what went into each point, where there is any."""
    if not any(point.low < point.high for point in picture.points):
        return []
    low = alt.Y("low:Q", title=picture.y.title)
    bar = base.mark_rule(strokeWidth=6, opacity=0.3)
    return [bar.encode(y=low, y2=alt.Y2("high:Q"), color=series.color(width))]


def _lines(
    picture: Curves, base: alt.Chart, y: alt.Y, series: Series, width: int
) -> list[alt.Chart]:
    """Return the lines; the legend shows points instead where there are any."""
    dash = series.dash(None if picture.has_points else width)
    line = base.mark_line(strokeWidth=2)
    return [line.encode(y=y, color=series.color(width), strokeDash=dash)]


def _limits(picture: Curves, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Return the line of what a series may reach."""
    if not picture.limits:
        return []
    base = alt.Chart(data([{"x": each.x, "y": each.y} for each in picture.limits]))
    line = base.mark_line(strokeWidth=1.5, strokeDash=[2, 3], color=FAINT)
    return [line.encode(x=x, y=y)]


def _data(points: Sequence[Point], series: Series) -> alt.InlineData:
    return data([point._asdict() | {"series": series.shown[point.series]} for point in points])


def _points(base: alt.Chart, y: alt.Y, series: Series, width: int) -> list[alt.Chart]:
    """Return the points: filled those that count, hollow the others."""
    shared: dict[str, Any] = {"y": y, "shape": series.shape(width)}
    filled = base.transform_filter(alt.datum.counts).mark_point(
        filled=True, size=45, opacity=1, stroke=PAPER, strokeWidth=0.5
    )
    hollow = base.transform_filter(~alt.datum.counts).mark_point(
        filled=False, size=60, strokeWidth=2, opacity=1
    )
    fill = alt.Fill("series:N", scale=series.scale(series.colours), legend=None)
    return [
        filled.encode(**shared, fill=fill),
        hollow.encode(**shared, color=series.color(width)),
    ]


def _marks(picture: Curves, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Return the places that have a text of their own."""
    if not picture.marks:
        return []
    base = alt.Chart(data([mark._asdict() for mark in picture.marks]))
    ring = base.mark_point(size=120, color="currentColor", strokeWidth=1.5, opacity=1)
    at: dict[str, Any] = {"align": "right", "dx": -BESIDE, "dy": -BESIDE}  # above a rising line
    texts = (base.mark_text(**at, **HALO), base.mark_text(**at))
    return [
        ring.encode(x=x, y=y),
        *(text.encode(x=x, y=y, text=alt.Text("text:N")) for text in texts),
    ]


def _ribbon(picture: Curves, x: alt.X, series: Series) -> list[alt.Chart]:
    """Return who is first, as a ribbon along the lower edge."""
    if not picture.first:
        return []
    rows = [
        {"x": each.low, "end": each.high, "series": series.shown[each.series]}
        for each in picture.first
    ]
    ribbon = alt.Chart(data(rows)).mark_rect(stroke=PAPER)
    color = alt.Color("series:N", scale=series.scale(series.colours), legend=None)
    return [
        ribbon.encode(
            x=x,
            x2=alt.X2("end:Q"),
            y=alt.value(HEIGHT - RIBBON),
            y2=alt.value(HEIGHT),
            color=color,
        )
    ]
