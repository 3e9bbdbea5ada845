"""Checks what this worker's measuring depends on: the clock is read only when the work is done."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

import numpy as np

from harness.job.answers import ClockCheck
from harness.job.asked import SelfCheck
from harness.worker import facts
from harness.worker.clock import timed

WORK_S = 0.3
MOST_LEFT = 0.05  # of the timed seconds: what may be left to do after them
SIDE = 2048  # of a matrix: on a GPU its product takes many times its launch, on a CPU no second


def check_clock(job: SelfCheck, *_: Any) -> ClockCheck:
    """Return whether the clock is read when the work is done."""
    return wait_is_effective(facts.framework_of(job.framework))


def wait_is_effective(framework: ModuleType) -> ClockCheck:
    """Return whether `framework.wait` inside `timed` really waits.

    Afterwards the result is read, and must be there at once.

    Args:
        framework: a module of harness.worker.frameworks.

    Returns:
        holds: `left_s` is less than a twentieth of `timed_s`.
        timed_s: of some 0.3 s of matrix products, as an epoch is timed.
        left_s: from then on until the result is a NumPy array.
        call_s: until the framework's call came back, which is before it is waited for.
        asynchronous: whether there was something to wait for. **Differs**: JAX is on every device,
            and the others on an accelerator only; on a CPU they do the work inside the call, and
            this check then says nothing about `wait`.
    """
    factor = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    way = framework.product(factor, factor, "nn")[0]
    rounds = _n_rounds(framework, way)
    called: list[float] = []

    def work() -> Any:
        start = time.perf_counter()
        result = way(rounds)
        called.append(time.perf_counter() - start)
        return result

    result, timed_s = timed(work, lambda result: framework.wait([result]))
    start = time.perf_counter()
    framework.read(result)
    left_s = time.perf_counter() - start
    total_s = timed_s + left_s
    return ClockCheck(
        holds=left_s < MOST_LEFT * timed_s,
        timed_s=timed_s,
        left_s=left_s,
        call_s=called[0],
        asynchronous=total_s - called[0] > MOST_LEFT * total_s,
    )


def _n_rounds(framework: ModuleType, way: Any) -> int:
    """Return how many rounds take about WORK_S, by reading results: `wait` is not trusted yet."""
    framework.read(way(1))  # compiles
    rounds, spent_s = 1, 0.0
    while spent_s < WORK_S / 4:
        rounds = rounds * 2 if spent_s else 1
        start = time.perf_counter()
        framework.read(way(rounds))
        spent_s = time.perf_counter() - start
    return max(1, round(rounds * WORK_S / spent_s))
