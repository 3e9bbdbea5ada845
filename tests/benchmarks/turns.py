"""Live processes that take turns on one machine: a worker with an arm, or a script; each has
trained its first epoch already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.engine.arms import declared_arms, select_arms
from harness.engine.executor import make_executor
from harness.engine.plan import plan
from harness.job.answers import Turned
from harness.job.asked import Live
from harness.spec import config
from harness.spec.data import mnist

ROOT = Path(__file__).resolve().parents[2]
Turn = Callable[[int], list[float]]
"""Train so many epochs on end and return the seconds of each, as that process timed them itself."""


@contextmanager
def harness_worker(
    backend: str, implementation: str, whole: config.Config, dataset: mnist.Prepared
) -> Iterator[Turn]:
    """Give the turns of a live worker with an arm: the very process that `harness bench` starts."""
    name, _ = whole.spec(None)
    protocol = config.override_protocol(whole.protocol, seeds=(0,))
    arms = select_arms(declared_arms(whole), [f"{backend}/{implementation}"])
    config_of_one = whole.model_copy(update={"protocol": protocol})
    (planned,) = plan(config_of_one, name, arms, dataset)
    executor = make_executor(ROOT, whole.backends)
    with executor.hold(Live(**planned.training()), {}) as alive:
        yield lambda n: [alive.ask(Turned).seconds for _ in range(n)]
        alive.close()
