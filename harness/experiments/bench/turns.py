"""A live worker's turn: what it says of it, and what happened beside it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from harness.engine import disturbance
from harness.engine.live import Gone, LiveWorker
from harness.records.bench import End, Turn
from harness.spec.faults import sentences

Kind = TypeVar("Kind", bound=BaseModel)
MOST_CHARACTERS = 300  # of what a worker said, in a sentence
UNMEASURED = {"around_s": 0.0, "parent_s": 0.0, "clock_s": 0.0, "n_cores": 0}


@dataclass(slots=True)
class Process:
    """A live worker of this generation, and what is known of it."""

    name: str
    number: int
    alive: LiveWorker
    context: ExitStack  # closing it ends the worker, and waits until it is gone
    n_cores: int
    has_children: bool = True  # when it last spoke
    n_epochs: int = 1
    evaluated: End | None = None

    def ids(self, generation: int) -> dict[str, Any]:
        """Return what names it among the parts of a session."""
        return {"generation": generation, "process": self.number, "name": self.name}


def take_turn(process: Process) -> Turn:
    """Have a process take its turn, and return what it says of it and what happened beside it.

    Raises:
        Gone: it ended, or what it said is no turn: then it may live on, and its context ends it.
    """
    before = disturbance.read_counters(process.alive.pid, has_children=process.has_children)
    told = process.alive.tell("turn")
    has_children = bool(told.pop("has_children", True))
    own = validate(Turn, told | UNMEASURED).model_dump()
    beside = disturbance.changes_since(before, own, has_children=has_children)
    process.n_epochs, process.has_children = process.n_epochs + 1, has_children
    return validate(Turn, own | beside)


def validate(kind: type[Kind], fields: Mapping[str, Any]) -> Kind:
    """Return what a worker said of itself as a part of the session.

    Raises:
        Gone: it is none; the worker, which may live on, counts as ended.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        reason = f"what it said is no {kind.__name__}: {sentences(error, kind)[0]}"
        raise Gone(reason[:MOST_CHARACTERS]) from None
