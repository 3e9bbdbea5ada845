"""Reading what a worker wrote: every type and bound of it is checked here, and nowhere else.

Whatever runs in a backend's environment may write anything. What is no answer is a named fault.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from harness.errors import clipped
from harness.job.answers import EpochEnd, Event, Host, Phase, Refusal
from harness.spec.faults import expectation

A = TypeVar("A")
MOST_CHARACTERS = 300  # of what a worker said, in a sentence


class Nonsense(ValueError):
    """What a worker wrote is not what it was asked for: where, expected, received."""


def read_answer(kind: type[A], value: object) -> A:
    """Return what a worker wrote, read from JSON, as an answer of that kind.

    Raises:
        Nonsense: it is none.
    """
    made_for: Any = kind
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    try:
        answer: A = _reader(made_for).validate_json(text)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(map(str, detail["loc"]))
        where = f"{place}: " if place else ""
        reason = f"what it said is no {kind.__name__}: {where}{expectation(detail)}"
        raise Nonsense(clipped(reason, MOST_CHARACTERS)) from None
    return answer


@cache
def _reader(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def read_result(
    kind: type[A], framework: str, result: dict[str, Any]
) -> tuple[A | Refusal, Host | None]:
    """Return what a worker wrote at its end, and where it ran.

    Args:
        kind: of the answer that it owes.
        framework: that it was asked to compute with.
        result: what it wrote: framework, host, and an answer or a refusal.
    """
    host: Host | None = None
    try:
        host = read_answer(Host, result.get("host"))
        if "refusal" in result:
            return read_answer(Refusal, result["refusal"]), host
        answer = read_answer(kind, result.get("answer"))
    except Nonsense as error:
        return Refusal(reason=str(error)), host
    named = result.get("framework")
    if named != framework:
        said = f"the worker says that it is {named!r}, and was asked to be {framework!r}"
        return Refusal(reason=clipped(said, MOST_CHARACTERS)), host
    return answer, host


def read_line(line: bytes) -> dict[str, Any]:
    """Return the object that a worker wrote in one line.

    Raises:
        Nonsense: there is none.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    raise Nonsense(f"what it said is no event: {line[:100]!r}")


def read_event(said: dict[str, Any]) -> Event:
    """Return what a worker said of its progress.

    Raises:
        Nonsense: that is no event.
    """
    return read_answer(Phase, said) if "phase" in said else read_answer(EpochEnd, said)
