"""A worker that stays: it starts as a run does, trains its first epoch, and then does what it is told, one thing at a time.

Between two turns it sleeps in a read of its standard input, one JSON object a line; where that closes, it ends. What it
says is {"done": what, and its fields}, see `harness.records.bench`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from typing import Any

from harness.errors import Refused
from harness.worker import facts
from harness.worker.jobs import measure

Fields = dict[str, Any]


def live(job: Any, spawn_s: float, say: measure.Say) -> Fields:
    """Start, obey until told no more, and return nothing: all was said on the way.

    Raises:
        Refused: the run cannot be what was asked for, or it diverged.
    """
    run = measure.begin(job, spawn_s, say)
    say(phase="first epoch")
    obey = Trainer(run)
    first = obey.train()
    times = {
        "feed_s": first["feed_s"],
        "first_epoch_s": first["seconds"],
        "n_compiles": first["n_compiles"],
    }
    known = {
        name: value
        for name, value in measure.identity(run).items()
        if name not in ("n_compiles", "n_updates")
    }
    say(done="start", **run.phases, **times, **known, has_children=has_children())
    verbs: dict[str, Callable[[], Fields]] = {
        "turn": obey.turn,
        "evaluate": obey.evaluate,
        "rates": obey.rates,
    }
    for line in sys.stdin:
        verb = json.loads(line)["do"]
        say(done=verb, **verbs[verb]())
    return {}


class Trainer:
    """A run that is trained epoch by epoch, and how many those were."""

    def __init__(self, run: measure.Run) -> None:
        self.run, self.n_epochs = run, 0

    def train(self) -> Fields:
        """Train the next epoch; after the last of those drawn, the first one's order comes again."""
        try:
            trained = measure.train(self.run, self.n_epochs)
        except measure.Diverged as why:
            raise Refused(str(why)) from None
        self.n_epochs += 1
        return trained

    def turn(self) -> Fields:
        """Train one epoch, and count what the process spent on all of it."""
        before, ended_s = resource.getrusage(resource.RUSAGE_SELF), _ended_children_s()
        trained = self.train()
        after = resource.getrusage(resource.RUSAGE_SELF)
        return trained | {
            "has_children": has_children(),
            "children_s": _ended_children_s() - ended_s,
            "user_s": after.ru_utime - before.ru_utime,
            "system_s": after.ru_stime - before.ru_stime,
            "n_involuntary": after.ru_nivcsw - before.ru_nivcsw,
        }

    def evaluate(self) -> Fields:
        """Return what the model comes to after as many epochs as were asked for, missing ones trained first, and the memory so far.

        Raises:
            Refused: an output is not finite.
        """
        while self.n_epochs < self.run.request.epochs:
            self.train()
        found = measure.evaluate(self.run)
        if found["test_accuracy"] is None:
            raise Refused("diverged: the trained model's outputs are not finite")
        kept = ("evaluate_s", "test_accuracy", "test_loss", "final_weights_sha256")
        return {name: found[name] for name in kept} | {
            "n_epochs": self.n_epochs,
            "memory_bytes": facts.memory_bytes(self.run.framework),
        }

    def rates(self) -> Fields:
        """Return what this process can do at most."""
        from harness.worker.jobs import limit

        run = self.run
        spec, known = run.request.spec, run.arm.facts(run.state)
        n_dispatches = known.get("n_dispatches", -(-run.request.data.n_train // spec.batch_size))
        return limit.rates(run.framework, spec, run.request.data.n_inputs, n_dispatches)


def has_children() -> bool:
    """Return whether this process has children, ended ones that it has not waited for among them."""
    if not hasattr(os, "waitid"):  # macOS, before Python 3.13
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _ended_children_s() -> float:
    """Return the CPU seconds of the children that this process has waited for, and of those that they had."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
