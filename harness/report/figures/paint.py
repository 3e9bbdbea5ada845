"""A chart as SVG for a page, and as SVG or PNG that stands alone, in either theme."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import altair as alt
import vl_convert

from harness.errors.safe import for_xml
from harness.report.charts import Picture
from harness.report.figures import specify
from harness.report.figures.style import FONT, LAYOUT
from harness.report.json import plain

VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
IDENTIFIER = re.compile(r'(id="|url\(#|href="#)')
LONG = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")  # finer than a hundredth of a pixel
NAMESPACE = "http://www.w3.org/2000/svg"
SPARE = ("class", "role", "aria-hidden", "aria-roledescription", "pointer-events", "version")
INHERITED = (
    *("fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity"),
    *("text-anchor", "font-family", "font-size", "font-weight"),
)
VARIABLE = re.compile(r"var\(--([a-z0-9]+)\)")
THEMES: dict[str, dict[str, str]] = {
    "light": {
        "ink": "#1b1b1b",
        "paper": "#ffffff",
        "faint": "#6b6b6b",
        "grid": "#e3e3e3",
        "band": "#d9d9d9",
        "link": "#005a8e",
        "good": "#0072b2",
        "bad": "#c14a00",
        "equal": "#1b1b1b",
        "warning": "#8a5a7d",
        "c1": "#0072b2",
        "c2": "#e69f00",
        "c3": "#009e73",
        "c4": "#cc79a7",
        "c5": "#56b4e9",
        "c6": "#d55e00",
        "c7": "#8c8c8c",
        "c8": "#3f3f3f",
        "h0": "#f2f7fb",
        "h1": "#d3e4f3",
        "h2": "#a9cce8",
        "h3": "#74b0dc",
        "h4": "#f0a860",
    },
    "dark": {
        "ink": "#ececec",
        "paper": "#161616",
        "faint": "#a0a0a0",
        "grid": "#333333",
        "band": "#3d3d3d",
        "link": "#7cc4f2",
        "good": "#56b4e9",
        "bad": "#ff8a3d",
        "equal": "#ececec",
        "warning": "#e0a6c6",
        "c1": "#3f9bd8",
        "c2": "#e69f00",
        "c3": "#1cb98b",
        "c4": "#cc79a7",
        "c5": "#8fd0f5",
        "c6": "#e8772e",
        "c7": "#9a9a9a",
        "c8": "#d5d5d5",
        "h0": "#12202b",
        "h1": "#16354d",
        "h2": "#1b4c72",
        "h3": "#22659a",
        "h4": "#8f4f0c",
    },
}


def for_page(picture: Picture, name: str, width: int) -> str:
    """Return the SVG element of a picture.

    Args:
        picture: what is drawn.
        name: in front of all ids in it, so that pictures of one page do not share any.
        width: in pixels.
    """
    drawn = json.dumps(plain(specify(picture, width)), ensure_ascii=False)
    # A text that is none in XML would end the process, not only this call.
    svg: str = vl_convert.vegalite_to_svg(for_xml(drawn), vl_version=VEGA_LITE)
    svg = svg.replace(f'font-size="{LAYOUT}px"', f'font-size="{FONT}px"')
    return IDENTIFIER.sub(rf"\g<1>{name}-", _smaller(svg))


def _smaller(svg: str) -> str:
    """Return the same picture in about half of the bytes: nothing that is not seen, or said twice.

    Coordinates have hundredths of a pixel, and what all parts of a group share the group says.
    """
    root = ElementTree.fromstring(svg)  # noqa: S314 - drawn here, of texts made safe
    for part in reversed(list(root.iter())):
        for name in SPARE:
            part.attrib.pop(name, None)
        if part.get("opacity") == "1":
            del part.attrib["opacity"]
        for name, value in part.items():
            part.set(name, LONG.sub(_rounded, value))
        for empty in [each for each in part if _is_empty(each)]:
            part.remove(empty)
        _say_once(part)
    ElementTree.register_namespace("", NAMESPACE)
    return ElementTree.tostring(root, "unicode")


def _rounded(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")


def _is_empty(part: Element) -> bool:
    """Say whether nothing is drawn by an element: a path of no length, a group of nothing."""
    if part.tag == f"{{{NAMESPACE}}}g":
        return len(part) == 0
    return part.get("d") in ("", "M0,0h0v0h0Z")


def _say_once(group: Element) -> None:
    """Move what all parts of a group share to the group, where it is inherited from."""
    for name in INHERITED if len(group) else ():
        values = {part.get(name) for part in group}
        if len(values) == 1 and None not in values:
            group.set(name, group[0].get(name) or "")
            for part in group:
                del part.attrib[name]


def alone(picture: Picture, theme: str, width: int) -> str:
    """Return an SVG file of a picture.

    Args:
        picture: what is drawn.
        theme: whose colours it has, "light" or "dark".
        width: in pixels.
    """
    colours: dict[str, Any] = THEMES[theme]
    svg = VARIABLE.sub(lambda found: colours[found[1]], for_page(picture, "picture", width))
    svg = svg.replace("currentColor", colours["ink"])
    head, _, body = svg.partition(">")
    return f'{head}>\n<rect width="100%" height="100%" fill="{colours["paper"]}"/>{body}\n'


def png(picture: Picture, theme: str, width: int) -> bytes:
    """Return a PNG file of a picture, at twice its size.

    Args:
        picture: what is drawn.
        theme: whose colours it has.
        width: in pixels, before it is doubled.
    """
    image: bytes = vl_convert.svg_to_png(alone(picture, theme, width), scale=2)
    return image
