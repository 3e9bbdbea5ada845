"""Numbers as a reader sees them: three significant digits, an interval behind its estimate."""

from __future__ import annotations

import math
from collections.abc import Mapping

from harness.report.document import NONE
from harness.safe import short
from harness.statistics.intervals import Interval, Spread


def number(value: float | None, digits: int | None = None) -> str:
    """Return a number with three significant digits, or so many after the point; "-" for none."""
    if value is None or math.isnan(value):
        return NONE
    return f"{value:.{_digits(value) if digits is None else digits}f}"


def span(
    range_: Interval | Spread | None,
    digits: int | None = None,
    unit: str = "",
    scale: float = 1.0,
) -> str:
    """Return an estimate and its interval, "0.523 (0.512-0.541)".

    Args:
        range_: the estimate alone is shown where its ends are not known or are one point; "-" for
            none.
        digits: after the point; by default those that make three significant ones of the estimate.
        unit: behind the estimate and behind the interval.
        scale: what every figure is multiplied by.
    """
    if range_ is None:
        return NONE
    low, mid, high = (scale * value for value in (range_.low, range_.mid, range_.high))
    shown = _digits(mid) if digits is None else digits
    if math.isnan(low) or low == high:
        return f"{number(mid, shown)}{unit}"
    return f"{number(mid, shown)}{unit} ({number(low, shown)}-{number(high, shown)}{unit})"


def named(values: Mapping[str, float]) -> str:
    """Return numbers by name with four digits after the point, "loss 0.2134, accuracy 0.9312"."""
    return ", ".join(f"{short(name, 40)} {value:.4f}" for name, value in values.items()) or NONE


def ratio(range_: Interval | Spread | None) -> str:
    """Return a ratio and its interval, with three digits after the point; one from 10 on."""
    return span(range_, 3 if range_ is None or range_.mid < 10 else 1)


def _digits(value: float) -> int:
    """Return how many digits after the point make three significant ones."""
    return 2 if value == 0 or math.isinf(value) else max(0, 2 - math.floor(math.log10(abs(value))))
