"""What all pictures share: colours, fonts, marks, the names of series and the ticks of an axis."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt

from harness.errors.safe import short
from harness.report.charts import Axis, finite
from harness.report.document import Tone
from harness.report.json import plain
from harness.report.numbers import log_ticks

FONT = 12  # pixels, as drawn
LONGEST = 100  # characters of a text on a picture
POINT = 80  # square pixels of a point in a legend
LAYOUT = 14  # as measured: a browser's font may be wider than the one that is here
INK, FAINT, GRID, BAND = "currentColor", "var(--faint)", "var(--grid)", "var(--band)"
PAPER = "var(--paper)"
HALO: Mapping[str, Any] = {"stroke": PAPER, "strokeWidth": 4, "strokeJoin": "round"}  # of a text
COLOURS = tuple(f"var(--c{number})" for number in range(1, 9))  # Okabe and Ito's
SHAPES = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "stroke")
KNOWN = ("tensorflow", "jax", "torch", "numpy")  # a backend has one colour on all pictures
KINDS = ("keras", "compiled", "native", "naive", "lean", "keras-tuned")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [12, 3], [1, 3])
MARKS: Mapping[Tone, str] = {  # a verdict is told by shape and word, not only by colour
    "good": "triangle-left",
    "bad": "triangle-right",
    "equal": "square",
    "warning": "circle",
    "strong": "diamond",
    "plain": "circle",
    "aside": "circle",
}
TONES: Mapping[Tone, str] = {
    "good": "var(--good)",
    "bad": "var(--bad)",
    "equal": "var(--equal)",
    "warning": "var(--warning)",
    "strong": INK,
    "plain": INK,
    "aside": FAINT,
}
CONFIG: dict[str, Any] = {
    "aria": False,  # a picture is one image with a name; its table is the text
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "domainColor": FAINT,
        "tickColor": FAINT,
        "gridColor": GRID,
        "labelFontSize": LAYOUT,
        "titleFontSize": LAYOUT,
        "titleFontWeight": "normal",
    },
    "legend": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": LAYOUT,
        "titleFontSize": LAYOUT,
        "symbolStrokeWidth": 2,
        "symbolOpacity": 1,
        "labelLimit": 220,
    },
    "text": {"color": INK, "fontSize": LAYOUT},
}
SMALL = "datum.value < 0.001 ? format(datum.value, '.0e') : format(datum.value, '.6~g')"


def data(rows: Sequence[Mapping[str, object]]) -> alt.InlineData:
    """Return rows as a chart's data, with short texts.

    They are JSON, which Altair does not copy with every layer as it does a list.
    """
    shown = [{name: _shown(value) for name, value in row.items()} for row in rows]
    values = json.dumps(plain(shown), ensure_ascii=False)
    return alt.InlineData(values=values, format=alt.JsonDataFormat(type="json"))


def _shown(value: object) -> object:
    """Return a cell, of which a list has lines of text."""
    if isinstance(value, list):
        return [_shown(line) for line in value]
    return short(value, LONGEST) if isinstance(value, str) else value


def labels(names: Iterable[str], most: int = 40) -> dict[str, str]:
    """Return what each name is shown as: one short line, another one for each name."""
    shown: dict[str, str] = {}
    for name in dict.fromkeys(names):
        plain = short(name, most) or "(empty)"
        number, text = 1, plain
        while text in shown.values():
            number, text = number + 1, f"({number + 1}) {plain}"
        shown[name] = text
    return shown


class Series:
    """The colour of each series by its backend, its shape and dash by its implementation."""

    def __init__(self, names: Iterable[str], symbol: int = POINT) -> None:
        self.symbol = symbol
        self.shown = labels(sorted(names))
        parts = [name.partition("/")[::2] for name in self.shown]
        groups = [*KNOWN, *sorted({group for group, _ in parts} - {*KNOWN})]
        kinds = [*KINDS, *sorted({kind for _, kind in parts} - {*KINDS})]
        self.colours = [COLOURS[groups.index(group) % len(COLOURS)] for group, _ in parts]
        self.shapes = [SHAPES[kinds.index(kind) % len(SHAPES)] for _, kind in parts]
        self.dashes = [DASHES[kinds.index(kind) % len(DASHES)] for _, kind in parts]

    def scale(self, values: Sequence[Any]) -> alt.Scale:
        """Return the scale that gives each series one of these values."""
        return alt.Scale(domain=[*self.shown.values()], range=list(values))

    def color(self, width: int) -> alt.Color:
        """Return the channel of the colours, with the legend above the chart."""
        return alt.Color("series:N", scale=self.scale(self.colours), **self._legend(width))

    def shape(self, width: int) -> alt.Shape:
        """Return the channel of the shapes."""
        return alt.Shape("series:N", scale=self.scale(self.shapes), **self._legend(width))

    def dash(self, width: int | None) -> alt.StrokeDash:
        """Return the channel of the dashes; without a width they are not in the legend."""
        return alt.StrokeDash("series:N", scale=self.scale(self.dashes), **self._legend(width))

    def _legend(self, width: int | None) -> dict[str, Any]:
        """Return what has the legends of all channels be one."""
        shown = legend(width, self.shown.values(), size=self.symbol) if width else None
        return {"legend": shown, "title": None}


def legend(
    width: int,
    names: Iterable[str],
    symbol: str | None = None,
    stroke: str | None = None,
    size: int = POINT,
) -> alt.Legend:
    """Return a legend above the chart, in as many columns as there is room for.

    Args:
        width: of the chart, in pixels.
        names: in it.
        symbol: the shape beside each; by default that of its series.
        stroke: its outline's colour.
        size: its square pixels.
    """
    longest = max((len(name) for name in names), default=1)
    columns = max(1, width // (longest * 8 + 30 + int(size**0.5)))
    more = {"symbolType": symbol, "symbolStrokeColor": stroke, "symbolStrokeWidth": 1}
    given: dict[str, Any] = {name: value for name, value in more.items() if symbol}
    if size == POINT:
        given.setdefault("symbolStrokeWidth", 0)  # the dashes of its line would fray it
    return alt.Legend(orient="top", columns=columns, title=None, symbolSize=size, **given)


def name_axis(width: int) -> alt.Axis:
    """Return the axis of rows' names, which take at most 40 % of the width."""
    limit = int(0.4 * width)
    return alt.Axis(domain=False, ticks=False, title=None, labelLimit=limit, labelPadding=8)


def scale(axis: Axis, values: Iterable[float], room: float = 0.06) -> alt.Scale:
    """Return the scale of an axis that holds these values.

    Args:
        axis: its title and its kind.
        values: all that is to be seen; at least one is a number.
        room: at either end, as a share of the whole.
    """
    known = [value for value in finite(values) if axis.scale == "linear" or value > 0]
    low, high = (min(known), max(known)) if known else (1.0, 1.0)
    if axis.scale == "log":
        span = max(math.log(high / low), 0.05)
        domain = [low * math.exp(-room * span), high * math.exp(room * span)]
    else:
        span = (high - low) or abs(high) or 1.0
        domain = [low - room * span if low else 0.0, high + room * span]
    return alt.Scale(type=axis.scale, domain=domain, nice=False, zero=False)


def ticks(axis: Axis, values: Iterable[float], n_most: int) -> alt.Axis:
    """Return an axis with round ticks; of a logarithmic one, at most so many.

    Args:
        axis: its title and its kind.
        values: all that is to be seen.
        n_most: ticks on a logarithmic axis.
    """
    title = short(axis.title, LONGEST)
    if axis.scale == "linear":
        whole = all(float(value).is_integer() for value in finite(values))
        step: dict[str, Any] = {"tickMinStep": 1} if whole else {}
        return alt.Axis(title=title, grid=True, tickCount=min(n_most, 6), format=".6~g", **step)
    known = [value for value in finite(values) if value > 0]
    places = log_ticks(min(known), max(known), n_most) if known else [1.0]
    return alt.Axis(title=title, grid=True, values=places, labelExpr=SMALL)
