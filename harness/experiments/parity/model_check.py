"""A user's own model on every backend, from the same weights and the same batch -> one record of who agrees.

The model is run in the backends' environments only, one worker each; the first that can build it gives its initial weights,
and the batch where none is named, to all. Beside a worker's own twins (see `harness.worker.jobs.user_model`) stands a **thread
twin**: another process on one core, in which a framework splits its sums otherwise. Each floor is the largest of all three kinds
on all backends: no single kind moves everything. Sample twins leave the forward pass alone, rounding twins the order of a
sum, thread twins whatever one core does as well.

A sample twin that changes an output beyond its cap on every backend is no noise: such a model mixes its samples, and is held
to the other twins alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.engine import ask, host
from harness.engine.process import Event
from harness.errors import ConfigError
from harness.experiments.parity.model_judge import make_record
from harness.experiments.parity.model_plan import ModelPlan, Target
from harness.records.user_model import ModelParity
from harness.referee import majority
from harness.referee.majority import Comparison
from harness.scratch import scratch
from harness.spec.data.arrays import distance, weights_digest

Arrays = dict[str, NDArray[Any]]
Say = Callable[[str], None]
"""Told what is being done."""
N_ROUNDING, N_SAMPLES = 6, 2  # twins of each backend
MIXES = (
    "the model mixes its samples: another order of them is another result, "
    "and no measure of rounding here"
)


@dataclass(slots=True)
class BackendAnswer:
    """What one backend's worker handed back."""

    known: dict[str, Any] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)
    floors: dict[str, dict[str, float]] = field(
        default_factory=dict
    )  # by kind of twin and quantity
    failure: str = ""


def check(what: ModelPlan, say: Say = lambda doing: None) -> ModelParity:
    """Return the record of one check: the model computed by each backend, and the verdict.

    Raises:
        ConfigError: what the user named is no compiled model, or no batch.
    """
    started, began = datetime.now(UTC), time.monotonic()
    heard: dict[str, BackendAnswer] = {}
    with scratch() as folder:
        inputs = folder / "inputs.npz"
        for backend in what.backends:
            heard[backend] = _asked(what, backend, inputs, say)
        if what.thread_twins and what.threads != 1 and _has_several_cores():
            for backend, each in heard.items():
                if not each.failure:
                    _thread_twin(what, backend, each, inputs, say)
    sound = {backend: each for backend, each in heard.items() if not each.failure}
    found, remarks = _compare(sound, say) if len(sound) > 1 else ((), ())
    known = {backend: each.known for backend, each in heard.items()}
    failures = {backend: each.failure for backend, each in heard.items() if each.failure}
    machine = host.describe_host(host.detect_hardware())
    return make_record(
        what, machine, known, failures, found, remarks, started, time.monotonic() - began
    )


def _has_several_cores() -> bool:
    return hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1


def _compare(
    sound: Mapping[str, BackendAnswer], say: Say
) -> tuple[tuple[Comparison, ...], tuple[str, ...]]:
    """Return every comparison of the backends that have computed something, and remarks."""
    say("judging")
    arrays = {backend: each.arrays for backend, each in sound.items()}
    kinds = {backend: each.floors for backend, each in sound.items()}
    remarks: tuple[str, ...] = ()
    if majority.mixes_samples(arrays, kinds):
        remarks = (MIXES,)
        kinds = {
            backend: {kind: of for kind, of in floors.items() if kind != "sample"}
            for backend, floors in kinds.items()
        }
    floors = {backend: majority.largest_floors(each) for backend, each in kinds.items()}
    n_samples = max(each.known["n_samples"] for each in sound.values())
    found = majority.compare_backends(arrays, floors, n_samples)
    for backend in sound:
        found += majority.compare_programs(backend, arrays[backend], floors[backend])
    return found, remarks


def _asked(what: ModelPlan, backend: str, inputs: Path, say: Say) -> BackendAnswer:
    """Return what a backend makes of the model; the first one that can, writes the inputs for all."""
    given = inputs.is_file()
    task = {"n_rounding": N_ROUNDING, "n_samples": N_SAMPLES, "production": True}
    heard = _heard(what, backend, inputs, task, what.threads, say)
    if "usage" in heard.known:
        if not given:
            raise ConfigError(heard.known["usage"])
        heard.failure = heard.known["usage"]
    return heard


def _thread_twin(
    what: ModelPlan, backend: str, base: BackendAnswer, inputs: Path, say: Say
) -> None:
    """Raise a backend's floors to what one core makes different."""
    twin = _heard(
        what,
        backend,
        inputs,
        {"n_rounding": 0, "n_samples": 0, "production": False},
        1,
        lambda doing: say(f"{doing}, on one core"),
    )
    if twin.failure or "usage" in twin.known:
        base.failure = f"on one core: {twin.failure or twin.known['usage']}"
        return
    base.floors["thread"] = {
        name: distance(base.arrays[name], value)
        for name, value in twin.arrays.items()
        if name in base.arrays
    }


def _heard(
    what: ModelPlan,
    backend: str,
    inputs: Path,
    task: Mapping[str, Any],
    threads: int | str,
    say: Say,
) -> BackendAnswer:
    output = inputs.with_name(f"{backend}-{threads}.npz")
    files = {"inputs": str(inputs), "given": inputs.is_file(), "output": str(output)}
    targets = {"model": _named(what.model), "batch": _named(what.batch) if what.batch else None}

    def hear(event: Event) -> None:
        say(f"{backend}: {event['phase']}")

    answer = ask.run_task(
        {"task": "model", **task, **files, **targets, "seed": what.seed},
        backend,
        what.backends[backend],
        what.root,
        device=what.device,
        threads=threads,
        limit_s=what.time_limit_s,
        on_event=hear,
    )
    if "refused" in answer or "usage" in answer:
        return BackendAnswer(answer, failure=answer.get("refused", ""))
    if answer.get("backend") != backend:
        return BackendAnswer(
            answer,
            failure=f"the worker says that it is {answer.get('backend')!r}, and was asked to be {backend!r}",
        )
    if answer.get("read") != weights_digest(_arrays(inputs)):
        return BackendAnswer(
            answer, failure="it computed from other inputs than were given: stale or foreign"
        )
    try:
        arrays = _arrays(output)
    except (OSError, ValueError) as error:
        return BackendAnswer(answer, failure=f"what it computed cannot be read ({error})")
    floors = {
        kind: {name: float("inf") if floor is None else floor for name, floor in of.items()}
        for kind, of in answer["floors"].items()
    }
    return BackendAnswer(answer, arrays, floors)


def _named(target: Target) -> dict[str, str]:
    return {"name": target.name, "file": str(target.file), "function": target.function}


def _arrays(file: Path) -> Arrays:
    with np.load(file, allow_pickle=False) as archive:
        return dict(archive)
