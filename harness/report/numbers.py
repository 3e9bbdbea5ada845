"""Numbers as a reader sees them: three significant digits, an interval behind its estimate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from harness.errors.safe import short
from harness.report.document import NONE
from harness.statistics.intervals import Interval, Spread, median_spread

TICKS = (1, 1.1, 1.2, 1.3, 1.5, 1.75, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)


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


def median_span(values: Sequence[float], digits: int | None = None) -> str:
    """Return the median of values with the lowest and the highest, as `span` does."""
    return span(median_spread(values), digits)


def named(values: Mapping[str, float]) -> str:
    """Return numbers by name with four digits after the point, "loss 0.2134, accuracy 0.9312"."""
    return ", ".join(f"{short(name, 40)} {value:.4f}" for name, value in values.items()) or NONE


def ratio(range_: Interval | Spread | None) -> str:
    """Return a ratio and its interval, with three digits after the point; one from 10 on."""
    return span(range_, 3 if range_ is None or range_.mid < 10 else 1)


def log_ticks(low: float, high: float, n_most: int) -> list[float]:
    """Return round numbers within a range, evenly far apart on a logarithmic axis.

    Args:
        low: the least value to be seen.
        high: the largest.
        n_most: how many there is room for.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in (TICKS, (1, 1.5, 2, 3, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        found = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        inside = [float(f"{each:.6g}") for each in found if low <= each <= high]
        if len(inside) <= n_most:
            return inside or [low]
    powers = range(first, last + 1, max(1, math.ceil((last - first) / n_most)))
    return [10.0**power for power in powers if low <= 10.0**power <= high]


def _digits(value: float) -> int:
    """Return how many digits after the point make three significant ones."""
    return 2 if value == 0 or math.isinf(value) else max(0, 2 - math.floor(math.log10(abs(value))))
