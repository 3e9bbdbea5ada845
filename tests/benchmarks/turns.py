"""Live processes that take turns on one machine: a worker with an arm, or a script, each waits in a FIFO for its turn."""

from __future__ import annotations

import os
import queue
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.inputs import datasets
from harness.launch import ask
from harness.launch.plan import plan
from harness.spec import config

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 300.0
Turn = Callable[[int], list[float]]
"""Train so many epochs on end and return the seconds of each, as that process timed them itself."""


class Fifo(NamedTuple):
    """Where a process waits for its turn: its path, and the descriptor that gives one."""

    path: str
    gate: int


@contextmanager
def harness_worker(backend: str, implementation: str, whole: config.Config, dataset: datasets.Prepared, n_epochs: int) -> Iterator[Turn]:
    """Give the turns of a live worker with an arm: the very process that `harness train` starts."""
    name, spec = whole.spec(None)
    protocol = config.overridden(whole.protocol, epochs=n_epochs, seeds=(0,))
    (planned,) = plan(name, spec, whole.chosen_backends([backend]), protocol, dataset, implementations=(implementation,))
    seconds: queue.Queue[float | None] = queue.Queue()

    def hear(event: ask.Event) -> None:
        if "epoch" in event:
            seconds.put(event["seconds"])

    def live(path: str) -> None:
        python, variables = ask.python_of(planned.backend, ROOT), ask.environment(planned.backend, backend, "auto", "auto")
        try:
            ended = ask.process(python, ask.job(planned) | {"turns": path}, variables, hear, limit_s=3600)
            if ended.returncode != 0:
                print(ended.log, file=sys.stderr)
        finally:
            seconds.put(None)

    with fifo_of() as fifo:
        thread = threading.Thread(target=live, args=(fifo.path,), daemon=True)
        thread.start()
        yield lambda n: take(fifo, n, lambda: seconds.get(timeout=LIMIT_S), f"the worker of {backend}/{implementation}")
        thread.join()  # its evaluation is over before the next pair starts


@contextmanager
def fifo_of() -> Iterator[Fifo]:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/turns"
        os.mkfifo(path)
        gate = os.open(path, os.O_RDWR)  # held for both ends: a process that died early blocks nobody here
        try:
            yield Fifo(path, gate)
        finally:
            os.close(gate)


def take(fifo: Fifo, n_epochs: int, heard: Callable[[], float | None], who: str) -> list[float]:
    os.write(fifo.gate, b"\n" * n_epochs)
    seconds = [heard() for _ in range(n_epochs)]
    if None in seconds or not np.isfinite(seconds).all():
        raise SystemExit(f"{who} ended before its turn was over")
    return seconds
