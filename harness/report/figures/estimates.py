"""A forest plot: each estimate with its interval, a word beside it, the band of no consequence."""

from __future__ import annotations

import math
from typing import Any

import altair as alt

from harness.report.charts import Estimates, finite
from harness.report.figures.style import (
    BAND,
    FAINT,
    HALO,
    INK,
    MARKS,
    PAPER,
    TONES,
    data,
    labels,
    name_axis,
    scale,
    ticks,
)
from harness.statistics.intervals import Interval

ROOM = 450  # pixels in which a word has its interval beside it
STEP = 44  # pixels of a row: the word stands above the interval


def draw(picture: Estimates, width: int) -> alt.TopLevelMixin:
    """Return the chart.

    The word of a row stands above its mark, to the side where there is room.
    """
    seen = [
        *(end for row in picture.rows for end in _ends(row.interval)),
        *(picture.band or ()),
        *picture.lines,
        picture.centre or 0.0 if picture.axis.scale == "linear" else 1.0,
    ]
    y = alt.Y("name:N", sort=None, axis=name_axis(width), scale=alt.Scale(paddingOuter=0.4))
    x: dict[str, Any] = {
        "scale": scale(picture.axis, seen),
        "axis": ticks(picture.axis, seen, width // 60),
    }
    base = alt.Chart(_data(picture, _middle(picture, seen), width)).encode(y=y)
    line = base.mark_rule(strokeWidth=3, color=INK)
    end = base.mark_tick(
        thickness=2, size=16, color=INK, opacity=1
    )  # seen beside a mark that is wider
    marks = base.mark_point(filled=True, size=110, opacity=1, stroke=PAPER, strokeWidth=1)
    shape, color = alt.Shape("shape:N", scale=None), alt.Color("color:N", scale=None)
    layers = [
        *_ground(picture),
        *_bars(picture, base, x),
        line.encode(x=alt.X("low:Q", **x), x2=alt.X2("high:Q")),
        *(end.encode(x=alt.X(f"{side}:Q", **x)) for side in ("low", "high")),
        marks.encode(x=alt.X("mid:Q", **x), shape=shape, color=color),
        *_words(base, x),
    ]
    return alt.layer(*layers, height=STEP * len(picture.rows) + 8)


def _data(picture: Estimates, middle: float, width: int) -> alt.InlineData:
    """Return a row for each estimate, with how it is drawn."""
    shown = labels(row.name for row in picture.rows)
    rows = []
    for row in picture.rows:
        ends = _ends(row.interval)
        word = row.word if width >= ROOM else row.word.partition(" (")[0]
        look = {"word": word, "shape": MARKS[row.tone], "color": TONES[row.tone]}
        place = {"low": min(ends), "mid": row.interval.mid, "high": max(ends)}
        side = {"left": row.interval.mid <= middle}
        rows.append({"name": shown[row.name], **place, **look, **side})
    return data(rows)


def _bars(picture: Estimates, base: alt.Chart, x: dict[str, Any]) -> list[alt.Chart]:
    """Return bars from 0, where there is no line of no difference."""
    if picture.centre is not None:
        return []
    bar = base.mark_bar(height=12, opacity=0.35, color="var(--c1)")
    return [bar.encode(x=alt.X("mid:Q", **x), x2=alt.X2Datum(0))]


def _words(base: alt.Chart, x: dict[str, Any]) -> list[alt.Chart]:
    """Return each estimate's word above its mark, in front of a ground of its own."""
    found = []
    for is_left in (True, False):
        side = base.transform_filter(alt.datum.left == is_left)
        at: dict[str, Any] = {"dy": -15, "dx": -8 if is_left else 8}
        at["align"] = "left" if is_left else "right"
        texts = (side.mark_text(**at, **HALO), side.mark_text(**at))
        found += [text.encode(x=alt.X("mid:Q", **x), text=alt.Text("word:N")) for text in texts]
    return found


def _ground(picture: Estimates) -> list[alt.Chart]:
    """Return what lies behind the estimates: band, limits, and the line of no difference."""
    found = []
    if picture.band:
        low, high = picture.band
        band = alt.Chart(data([{"low": low, "high": high}])).mark_rect(color=BAND)
        found.append(band.encode(x=alt.X("low:Q"), x2=alt.X2("high:Q")))
    if picture.lines:
        lines = alt.Chart(data([{"at": at} for at in picture.lines]))
        found.append(lines.mark_rule(strokeDash=[4, 4], color=FAINT).encode(x=alt.X("at:Q")))
    if picture.centre is not None:
        centre = alt.Chart(data([{"at": picture.centre}]))
        found.append(centre.mark_rule(color=FAINT, strokeWidth=1.5).encode(x=alt.X("at:Q")))
    return found


def _middle(picture: Estimates, seen: list[float]) -> float:
    """Return the place on the axis left of which a text has room to the right."""
    known = [value for value in seen if math.isfinite(value)]
    if picture.axis.scale == "log":
        return math.sqrt(min(known) * max(known))
    return (min(known) + max(known)) / 2


def _ends(interval: Interval) -> list[float]:
    return finite([interval.low, interval.mid, interval.high])
