"""The types of an answer's parts, with their bounds; a worker has no pydantic, and needs none here.

`Limits` and `Checked` hand pydantic what it is to check, where the orchestrator reads an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

LONGEST = 10_000  # characters of a reason or a log: what comes after them is cut off


class Limits:
    """What pydantic checks of a value: entries of its core schema, as {"ge": 0}."""

    def __init__(self, **limits: Any) -> None:
        self.limits = limits

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Return the schema of the value with these limits."""
        return handler(source) | self.limits


class Checked:
    """A function that pydantic calls with a value, "before" or "after" its own checks."""

    def __init__(self, when: str, function: Callable[[Any], Any]) -> None:
        self.when, self.function = when, function

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Return the schema of the value with that function around it."""
        function = {"type": "no-info", "function": self.function}
        return {"type": f"function-{self.when}", "function": function, "schema": handler(source)}


def _cut(text: object) -> object:
    """Return text that can be written as JSON: no error's message may cost what was measured."""
    return text[:LONGEST].encode("utf-8", "replace").decode() if isinstance(text, str) else text


def _measurable(seconds: float) -> float:
    if 0 < seconds < 1e-9:
        raise ValueError("expected 0, or what a clock can tell: a nanosecond and more")
    return seconds


Sha256 = Annotated[str, Limits(pattern=r"^[0-9a-f]{64}$")]
Seconds = Annotated[float, Limits(ge=0, le=1e9)]
Took = Annotated[Seconds, Checked("after", _measurable)]
"""Seconds that are divided by, and whose logarithm is taken; 0 where a clock stood still."""
Count = Annotated[int, Limits(ge=0, le=2**53)]
Share = Annotated[float, Limits(ge=0, le=1)]
Loss = Annotated[float, Limits(ge=-1e39, le=1e39)]  # float32 goes no further
Speed = Annotated[float, Limits(gt=0, le=1e21)]
Load = Annotated[float, Limits(ge=0, le=1e9)] | None
"""A load average; None where the system does not say."""
Word = Annotated[str, Limits(max_length=1000)]
Said = Annotated[str, Limits(max_length=LONGEST), Checked("before", _cut)]
"""Text that a worker, a library or a system wrote."""
Whole = Annotated[int, Limits(ge=-(2**63), lt=2**63)]
Value = Word | Whole | float | bool | None
Number = float | list[float] | list[list[float]]
STRICT = {"strict": True, "extra": "forbid", "allow_inf_nan": False, "str_max_length": 1000}


class Part:
    """A part of an answer: its texts are names, unless a field says otherwise."""

    __pydantic_config__ = STRICT
