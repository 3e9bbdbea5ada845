"""A figure as lines of characters, for a format that has nothing else to draw with."""

from __future__ import annotations

import numpy as np

from harness.report.document import Figure

N_LINES = 17  # of a curve
SHADES = " ░▒▓█"


def draw(figure: Figure) -> str:
    """Return a curve with its marks, or an image with two characters a pixel."""
    return _image(figure) if figure.kind == "image" else _line(figure)


def _image(figure: Figure) -> str:
    values = np.array(figure.numbers, np.int64)  # (height, width), 0 to 255
    shades = (values * (len(SHADES) - 1) + 127) // 255
    return "\n".join("".join(SHADES[shade] * 2 for shade in row).rstrip() for row in shades)


def _line(figure: Figure) -> str:
    """Return a column of characters for each x, and under the curve where it begins and ends."""
    x, y = map(np.array, figure.numbers)  # both (n,)
    depths = np.rint((y.max() - y) / np.ptp(y) * (N_LINES - 1)).astype(int)  # 0 is the top
    field = np.full((N_LINES, len(x)), " ")
    field[depths, np.arange(len(x))] = "."
    for place, mark in figure.marks.items():
        column = int(np.argmin(np.abs(x - place)))
        field[depths[column], column] = mark
    ends = f"{f'w = {x[0]:.1f}':<{len(x) - 9}}{f'w = {x[-1]:.1f}':>9}"
    return "\n".join([*("".join(line).rstrip() for line in field), ends])
