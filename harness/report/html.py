"""A page of charts as one HTML file that asks for nothing: no request, and no script but its own.

Equal pages are equal bytes. Every text of records is escaped by Jinja2 or by Vega, and data stands
in a script that no browser runs. Needs the extra `report`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from harness.errors.safe import short
from harness.report.charts import Chart, Page
from harness.report.document import Cell, Column, Table
from harness.report.figures import paint
from harness.report.json import plain

WIDE, NARROW = 680, 330  # pixels: a desk's window; a telephone's
LONGEST = 1000  # characters of a sentence
CELL = 200


def render(page: Page) -> str:
    """Return the page as HTML."""
    folder = files("harness.report") / "page"
    read = {name: (folder / name).read_text("utf-8") for name in ("page.css", "page.js")}
    style, script = _variables() + read["page.css"], read["page.js"]
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"line": lambda text: short(text, LONGEST), "cell": _cell}
    template = environment.from_string((folder / "page.html").read_text("utf-8"))
    return (
        template.render(
            page=page,
            charts=[_drawn(chart) for chart in page.charts],
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script),
            data=Markup(_data(page.data)),
        )
        + "\n"
    )


def _drawn(chart: Chart) -> dict[str, Any]:
    """Return what the template needs of a chart."""
    pictures = {}
    if chart.picture is not None:
        for form, width in (("wide", WIDE), ("narrow", NARROW)):
            svg = paint.for_page(chart.picture, f"{form}-{chart.name}", width)
            pictures[form] = Markup(svg.replace("<svg ", '<svg aria-hidden="true" ', 1))
    return {"chart": chart, "pictures": pictures, "rows": _rows(chart.table)}


def _rows(table: Table) -> list[list[tuple[Column, str | Cell]]]:
    return [list(zip(table.columns, row, strict=True)) for row in table.rows]


def _cell(cell: str | Cell) -> str:
    return short(cell.text if isinstance(cell, Cell) else cell, CELL)


def _variables() -> str:
    """Return the colours of both themes as CSS variables."""
    light, dark = paint.THEMES["light"], paint.THEMES["dark"]
    pairs = (f"--{name}:light-dark({light[name]},{dark[name]})" for name in light)
    return f":root{{{';'.join(pairs)}}}\n"


def _digest(text: str) -> str:
    """Return the source expression that lets a page's own text run under its policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _policy(style: str, script: str) -> str:
    """Return the policy under which nothing is asked for, and only these two may run."""
    own = f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    return f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"


def _data(data: object) -> str:
    """Return data as JSON in which no character ends a script or begins a comment."""
    text = json.dumps(plain(data), allow_nan=False, separators=(",", ":"))
    return text.translate({ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&"})
