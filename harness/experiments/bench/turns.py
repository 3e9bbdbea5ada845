"""A live worker's turn: what it says of it, and what happened beside it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from harness.engine import disturbance
from harness.engine.live import Gone, LiveWorker
from harness.job.answers import Evaluated, Turned
from harness.records.bench import Turn
from harness.spec.faults import sentences

SETTLE_S = 0.2
"""Threads of a BLAS spin for 0.1 s after their last product: that was the next turn's disturbance.
Seen as others' CPU time, median of 18 turns on two cores: 0.084 s without, 0.003 s with this pause.
"""


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
    evaluated: Evaluated | None = None

    def ids(self, generation: int) -> dict[str, Any]:
        """Return what names it among the parts of a session."""
        return {"generation": generation, "process": self.number, "name": self.name}


def take_turn(process: Process) -> Turn:
    """Have a process take its turn, and return what it says of it and what happened beside it.

    It begins once the threads of whoever came before it sleep.

    Raises:
        Gone: it ended, or what it said is no turn: then it may live on, and its context ends it.
    """
    time.sleep(SETTLE_S)
    before = disturbance.read_counters(process.alive.pid, has_children=process.has_children)
    told = process.alive.ask(Turned)
    own = {name: value for name, value in vars(told).items() if name != "has_children"}
    beside = disturbance.changes_since(before, own, has_children=told.has_children)
    process.n_epochs, process.has_children = process.n_epochs + 1, told.has_children
    try:
        return Turn(**own | beside)
    except ValidationError as error:
        raise Gone(f"what it said is no Turn: {sentences(error, Turn)[0]}") from None
