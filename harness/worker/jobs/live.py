"""A worker that stays: it starts as a run does, trains its first epoch, then does what it is told.

Between two turns it sleeps in a read of its standard input, one JSON object a line; where that
closes, it ends. What it says is {"answer": its fields}, see `harness.job.answers`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable

from harness.errors import Refused
from harness.job.answers import Epoch, Evaluated, Host, Rates, Started, Turned
from harness.job.asked import Live
from harness.worker import facts
from harness.worker.jobs import measure


def live(job: Live, say: measure.Say, spawn_s: float, host: Host) -> None:
    """Start, and do what is asked until the input ends: all is said on the way.

    Args:
        job: the run, and its files.
        say: is called with what is being done, and with what each verb returns.
        spawn_s: from the start of this process to its first statement.
        host: this machine, as it was before the start.

    Raises:
        Refused: the run cannot be what was asked for, or it diverged.
    """
    run = measure.begin(job, say, spawn_s)
    say(phase="first epoch")
    trainer = Trainer(run)
    first, known = trainer.train(), measure.identity(run)
    del known["n_updates"], known["n_compiles"]
    started = Started(
        **run.phases,
        **known,
        feed_s=first.feed_s,
        first_epoch_s=first.seconds,
        n_compiles=first.n_compiles,
        has_children=has_children(),
        host=host,
    )
    say(answer=started)
    verbs: dict[str, Callable[[], Turned | Evaluated | Rates]] = {
        "turn": trainer.turn,
        "evaluate": trainer.evaluate,
        "rates": trainer.rates,
    }
    for line in sys.stdin:
        say(answer=verbs[json.loads(line)["do"]]())


class Trainer:
    """A run that is trained epoch by epoch, and how many those were."""

    def __init__(self, run: measure.Run) -> None:
        self.run, self.n_epochs = run, 0

    def train(self) -> Epoch:
        """Train the next epoch; after the last order drawn, the first one comes again."""
        try:
            trained = measure.train(self.run, self.n_epochs)
        except measure.Diverged as why:
            raise Refused(str(why)) from None
        self.n_epochs += 1
        return trained

    def turn(self) -> Turned:
        """Train one epoch, and count what the process spent on all of it."""
        before, ended_s = resource.getrusage(resource.RUSAGE_SELF), _ended_children_s()
        trained = self.train()
        after = resource.getrusage(resource.RUSAGE_SELF)
        return Turned(
            **vars(trained),
            has_children=has_children(),
            children_s=_ended_children_s() - ended_s,
            user_s=after.ru_utime - before.ru_utime,
            system_s=after.ru_stime - before.ru_stime,
            n_involuntary=after.ru_nivcsw - before.ru_nivcsw,
        )

    def evaluate(self) -> Evaluated:
        """Return the scores of the model after all epochs asked for, and the memory used so far.

        Missing epochs are trained first.

        Raises:
            Refused: an output is not finite.
        """
        while self.n_epochs < self.run.request.epochs:
            self.train()
        found = measure.evaluate(self.run)
        if diverged := found.pop("diverged"):
            raise Refused(diverged)
        found.pop("first_predictions", None)
        memory_bytes = facts.memory_bytes(self.run.framework)
        return Evaluated(**found, n_epochs=self.n_epochs, memory_bytes=memory_bytes)

    def rates(self) -> Rates:
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
