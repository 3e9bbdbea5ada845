"""A whole, valid bench session for tests; what a test is about is named, everything else stands
still.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from harness.job.answers import Host, Rates
from harness.job.request import Data
from harness.records.bench import Bench, Block, End, Entrant, Session, Start, Turn
from tests.unit.records import SETTINGS, SPEC

VERSIONS = {"tensorflow": "2.21.0", "jax": "0.10.2", "torch": "2.13.0+cpu", "numpy": "2.4.6"}
HOST = Host(
    machine="A processor, 2 cores, 8 GiB, Linux x86_64",
    n_cores=2,
    memory_bytes=8 << 30,
    accelerators=(),
    driver=None,
    identity="1" * 64,
    load_1m=0.1,
)
DATA = Data(name="mnist", sha256="d" * 64, n_train=60_000, n_inputs=784)
RATES = Rates(gemm_flops_per_s=2e11, bandwidth_bytes_per_s=2e10, dispatch_s=1e-5, n_dispatches=469)
TURN: dict[str, Any] = {
    "feed_s": 0.1,
    "loss": 0.1,
    "accuracy": 0.97,
    "n_compiles": 0,
    "user_s": 1.0,
    "system_s": 0.1,
    "n_involuntary": 3,
    "around_s": 1.2,
    "parent_s": 0.001,
    "others_s": 0.0,
    "load_1m": 1.0,
    "clock_s": 0.0,
    "n_cores": 2,
}
BASE = "tensorflow/keras"


def entrant(name: str, **changes: Any) -> Entrant:
    """Return the entrant of that name, "jax/keras" or "jax/keras again"."""
    backend, implementation = name.removesuffix(" again").split("/")
    plain = {
        "name": name,
        "backend": backend,
        "implementation": implementation,
        "module": f"{implementation}_fit",
    }
    return Entrant(**plain | changes)


def session(names: tuple[str, ...], **changes: Any) -> Session:
    """Return a plan for these entrants, the first of which is the baseline, and `again` the one
    that ends so.
    """
    plain: dict[str, Any] = {
        "harness": "0.4.0",
        "run_id": "20260102T030405Z-abc123",
        "started_at": "2026-01-02T03:04:05.678+00:00",
        "host": HOST,
        "spec_name": "mnist-mlp",
        "spec": SPEC,
        "data": DATA,
        "device": "cpu",
        "threads": "auto",
        "entrants": tuple(map(entrant, names)),
        "baseline": names[0],
        "again": next((name for name in names if name.endswith(" again")), ""),
        "n_generations": 8,
        "n_blocks": 4,
    }
    return Session(**plain | changes)


def turn(seconds: float, **changes: Any) -> Turn:
    """Return a turn of so many seconds in which nothing else happened."""
    return Turn(**TURN | {"seconds": seconds} | changes)


def start(name: str, generation: int = 1, **changes: Any) -> Start:
    """Return the start of an entrant's process that went well: equal inputs, 10 s to the end of a
    first epoch of 3 s.
    """
    backend = name.split("/", maxsplit=1)[0]
    plain: dict[str, Any] = {
        "generation": generation,
        "process": 1,
        "name": name,
        "total_s": 10.0,
        "first_epoch_s": 3.0,
        "n_compiles": 1,
    }
    plain |= {
        "device": "cpu",
        "settings": SETTINGS,
        "data_sha256": "d" * 64,
        "weights_sha256": "a" * 64,
        "order_sha256": "b" * 64,
    }
    plain |= {
        "versions": {
            "keras": "3.15.1",
            "framework_version": VERSIONS[backend],
            "numpy": "2.4.6",
            "python": "3.11.7",
        }
    }
    return Start(**plain | changes)


def end(name: str, generation: int = 1, **changes: Any) -> End:
    """Return the end of an entrant's process that went well."""
    plain: dict[str, Any] = {
        "generation": generation,
        "process": 1,
        "name": name,
        "test_accuracy": 0.98,
        "test_loss": 0.07,
        "n_epochs": 5,
    }
    return End(**plain | {"memory_bytes": {"peak RSS": 600 << 20}, "rates": RATES} | changes)


def block(generation: int, number: int, seconds: Mapping[str, float], **changes: Any) -> Block:
    """Return a valid block in which each entrant's turn took so many seconds."""
    plain: dict[str, Any] = {
        "generation": generation,
        "block": number,
        "attempt": 1,
        "started_at": "2026-01-02T03:04:05.678+00:00",
    }
    plain |= {"order": tuple(seconds), "processes": dict.fromkeys(seconds, 1)}
    return Block(
        **plain | {"turns": {name: turn(value) for name, value in seconds.items()}} | changes
    )


def bench(
    epoch_s: Mapping[str, float] | None = None,
    *,
    process: float = 0.0,
    noise: float = 0.0,
    draw: int = 0,
    seconds: Callable[[str, int, int], float] | None = None,
    starts: Mapping[str, Mapping[str, Any]] | None = None,
    ends: Mapping[str, Mapping[str, Any]] | None = None,
    **changes: Any,
) -> Bench:
    """Return a session that ran to its end.

    Args:
        epoch_s: of each entrant, the first is the baseline; by default the baseline twice and JAX
            in half the time.
        process: sd of ln of what each process keeps to itself.
        noise: sd of ln of what each turn adds.
        draw: seed of both.
        seconds: of an entrant's turn in a generation and a block, in place of all these.
        starts: changes to an entrant's every start.
        ends: changes to an entrant's every end.
        changes: to the plan.
    """
    named = epoch_s or {BASE: 1.0, "jax/keras": 0.5, f"{BASE} again": 1.0}
    planned = session(tuple(named), **changes)
    random = np.random.default_rng(draw)
    generations, numbers = range(1, planned.n_generations + 1), range(1, planned.n_blocks + 1)
    own = {
        (name, generation): process * random.normal()
        for name in named
        for generation in generations
    }

    def drawn(name: str, generation: int, _: int) -> float:
        return float(named[name] * np.exp(own[name, generation] + noise * random.normal()))

    took = seconds or drawn
    return Bench(
        session=planned,
        starts=tuple(
            start(name, generation, **(starts or {}).get(name, {}))
            for generation in generations
            for name in named
        ),
        blocks=tuple(
            block(generation, number, {name: took(name, generation, number) for name in named})
            for generation in generations
            for number in numbers
        ),
        ends=tuple(
            end(name, generation, **(ends or {}).get(name, {}))
            for generation in generations
            for name in named
        ),
    )
