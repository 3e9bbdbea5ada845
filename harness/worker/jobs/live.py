"""A worker that stays: it starts as a run does, trains its first epoch, then does what it is told.

Between two turns it sleeps in a read of its standard input, one JSON object a line; where that
closes, it ends. What it says is {"done": what, and its fields}, see `harness.records.bench`.
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
    """Start, do what is asked until the input ends, and return {}: all was said on the way.

    Args:
        job: as `harness.worker.jobs.measure.begin` takes it.
        spawn_s: from the start of this process to its first statement.
        say: is called with what is being done, and with what each verb returns.

    Raises:
        Refused: the run cannot be what was asked for, or it diverged.
    """
    run = measure.begin(job, spawn_s, say)
    say(phase="first epoch")
    trainer = Trainer(run)
    first = trainer.train()
    start = measure.identity(run) | {name: first[name] for name in ("feed_s", "n_compiles")}
    del start["n_updates"]
    start |= {"first_epoch_s": first["seconds"], "has_children": has_children()}
    say(done="start", **run.phases, **start)
    verbs: dict[str, Callable[[], Fields]] = {
        "turn": trainer.turn,
        "evaluate": trainer.evaluate,
        "rates": trainer.rates,
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
        """Train the next epoch; after the last order drawn, the first one comes again."""
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
        """Return the scores of the model after all epochs asked for, and the memory used so far.

        Missing epochs are trained first.

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
    """Return whether this process has children, with those that ended and were not waited for."""
    if not hasattr(os, "waitid"):  # macOS, before Python 3.13
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _ended_children_s() -> float:
    """Return the CPU seconds of the children that were waited for, and of their own children."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
