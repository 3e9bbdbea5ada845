"""A departure, and whether what a script printed shows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.experiments.survey.compare import UNIT

GATE = 1e-10  # of float64, see harness.referee.model64
What = Literal["value", "float32", "float64", "failure", "input", "shape", "dtype"]


@dataclass(frozen=True, slots=True)
class Departure:
    """One quantity of one item in which backends are not the same."""

    what: What
    item: str
    subject: str
    quantity: str
    apart: tuple[str, ...]  # who is alone; every backend where nobody is
    size: float | None = None  # relative; None where it cannot be a number
    says: str = ""
    place: int = 0
    values: tuple[float | None, ...] = ()

    @property
    def kind(self) -> str:
        """Return what the quantity is: output, gradient, state, loss, input."""
        return self.quantity.removeprefix("training ").partition(" ")[0]

    @property
    def is_remark(self) -> bool:
        """Whether it is rounding of a gradient, which differs more in sound kernels too."""
        return self.what == "float32" and self.kind == "gradient"


def shows(
    one: Departure, backends: Sequence[str], lines: Sequence[str], failed: Sequence[bool]
) -> bool:
    """Return whether what a script printed shows a departure.

    Args:
        one: the departure.
        backends: in the order of the lines.
        lines: the last one of each backend.
        failed: whether it is an error.
    """
    inside = [backend in one.apart for backend in backends]
    if one.what == "failure":
        return list(failed) == inside
    if any(failed):
        return False
    if one.what in ("shape", "dtype"):
        return len(set(lines)) > 1
    try:
        numbers = [float(line) for line in lines]
    except ValueError:
        return False
    if one.what == "input":
        return [bool(number) for number in numbers] == inside
    if one.what == "float32":
        return _shows_rounding(one, numbers, inside)
    return _shows_value(one, numbers, inside)


def _shows_rounding(one: Departure, numbers: list[float], inside: list[bool]) -> bool:
    exact = one.values[-1] if one.values else None
    if exact is None:
        return False
    errors = [abs(number - exact) for number in numbers]
    mine = max(error for error, is_mine in zip(errors, inside, strict=True) if is_mine)
    others = max(error for error, is_mine in zip(errors, inside, strict=True) if not is_mine)
    return mine > 3 * max(others, UNIT * abs(exact))


def _shows_value(one: Departure, numbers: list[float], inside: list[bool]) -> bool:
    """Return whether printed numbers differ about as far as those in float64 did."""
    everyone = all(inside)
    for i, number in enumerate(numbers):
        for j, other in enumerate(numbers):
            if i < j and (everyone or inside[i] != inside[j]):
                values = (one.values[i], one.values[j]) if one.values else (None, None)
                if _differ(number, other, values, one):
                    return True
    return False


def _differ(
    number: float, other: float, values: tuple[float | None, float | None], one: Departure
) -> bool:
    if math.isnan(number) or math.isnan(other):
        return math.isnan(number) != math.isnan(other)
    size = max(abs(number), abs(other))
    if one.what == "float64":
        return abs(number - other) > GATE * max(size, 1e-3)
    if values[0] is None or values[1] is None:
        return number != other
    expected = abs(values[0] - values[1])
    least = size if one.item.endswith(", extreme") else max(size, 1.0)
    return abs(number - other) > max(0.3 * expected, 4 * UNIT * least)
