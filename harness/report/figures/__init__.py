"""Pictures as Vega-Lite specifications, and those as SVG or PNG: no browser, no network.

Needs the extra `report`. Colours are CSS variables, so that a page's theme reaches into them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from altair.utils.schemapi import debug_mode

from harness.report.charts import Bars, Curves, Estimates, Gaps, Heat, Picture, Winners
from harness.report.figures.style import CONFIG

PADDING = {"left": 4, "right": 14, "top": 4, "bottom": 4}  # pixels
DRAWN_BY = {
    Estimates: "estimates",
    Bars: "bars",
    Curves: "curves",
    Heat: "heat",
    Winners: "winners",
    Gaps: "gaps",
}


def specify(picture: Picture, width: int) -> dict[str, Any]:
    """Return the specification of a picture of so many pixels in width, legend and names inside.

    Altair does not check it against its schema, which takes as long as all else: a test does.
    """
    drawer = import_module(f"harness.report.figures.{DRAWN_BY[type(picture)]}")
    with debug_mode(False):
        specification: dict[str, Any] = drawer.draw(picture, width).to_dict(validate=False)
    fit = {"autosize": {"type": "fit-x", "contains": "padding"}, "width": width}
    return {"padding": PADDING, **specification, **fit, "config": CONFIG}
