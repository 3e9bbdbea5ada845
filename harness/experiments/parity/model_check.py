"""A user's own model on every backend, from the same weights and batch: one record of who agrees.

The model is run in the backends' environments only, one worker each; the first that can build it
gives its initial weights, and the batch where none is named, to all. Beside a worker's own twins
(see `harness.worker.jobs.user_model`) stands a **thread twin**: another process on one core, in
which a framework splits its sums otherwise. Each floor is the largest of all three kinds on all
backends: no single kind moves everything. Sample twins leave the forward pass alone, rounding twins
the order of a sum, thread twins whatever one core does as well.

A sample twin that changes an output beyond its cap on every backend is no noise: such a model mixes
its samples, and is held to the other twins alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.engine.executor import Executor, perform
from harness.errors import ConfigError
from harness.experiments.parity.model_judge import BackendAnswer, make_record
from harness.experiments.parity.model_plan import ModelPlan
from harness.job.answers import Refusal
from harness.job.asked import ComputeModel
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


def check(what: ModelPlan, executor: Executor, say: Say = lambda doing: None) -> ModelParity:
    """Return the record of one check: the model computed by each backend, and the verdict.

    Args:
        what: is compared.
        executor: that does jobs.
        say: told what is being done.

    Raises:
        ConfigError: what the user named is no compiled model, or no batch.
    """
    started, began = datetime.now(UTC), time.monotonic()
    with scratch() as folder:
        workers = Workers(what, executor, folder / "inputs.npz", say)
        heard = {backend: workers.compute(backend) for backend in what.backends}
        if what.thread_twins and what.threads != 1 and _has_several_cores():
            for backend, each in heard.items():
                if not each.failure:
                    workers.add_thread_twin(backend, each)
    sound = {backend: each for backend, each in heard.items() if not each.failure}
    found, remarks = _compare(sound, say) if len(sound) > 1 else ((), ())
    return make_record(what, heard, found, remarks, started, time.monotonic() - began)


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
    n_samples = max(each.computed.n_samples for each in sound.values() if each.computed)
    found = majority.compare_backends(arrays, floors, n_samples)
    for backend in sound:
        found += majority.compare_programs(backend, arrays[backend], floors[backend])
    return found, remarks


@dataclass(frozen=True, slots=True)
class Workers:
    """What asks each backend to compute the model, from the same inputs."""

    what: ModelPlan
    executor: Executor
    inputs: Path
    say: Say

    def compute(self, backend: str) -> BackendAnswer:
        """Return what a backend makes of the model; the first that can, writes the inputs for all.

        Raises:
            ConfigError: what the user named is no compiled model, or no batch.
        """
        given = self.inputs.is_file()
        twins = {"n_rounding": N_ROUNDING, "n_samples": N_SAMPLES}
        heard = self._ask(backend, self.what.threads, self.say, **twins)
        if heard.of_user and not given:
            raise ConfigError(heard.failure)
        return heard

    def add_thread_twin(self, backend: str, base: BackendAnswer) -> None:
        """Raise a backend's floors to what one core makes different."""
        twin = self._ask(backend, 1, lambda doing: self.say(f"{doing}, on one core"))
        if twin.failure:
            base.failure = f"on one core: {twin.failure}"
            return
        base.floors["thread"] = {
            name: distance(base.arrays[name], value)
            for name, value in twin.arrays.items()
            if name in base.arrays
        }

    def _ask(self, backend: str, threads: int | str, say: Say, **twins: int) -> BackendAnswer:
        output = self.inputs.with_name(f"{backend}-{threads}.npz")
        job = ComputeModel(
            backend=backend,
            device=self.what.device,
            threads=threads,
            time_limit_s=self.what.time_limit_s,
            model=self.what.model,
            batch=self.what.batch,
            seed=self.what.seed,
            inputs=self.inputs,
            given=self.inputs.is_file(),
            output=output,
            n_rounding=twins.get("n_rounding", 0),
            n_samples=twins.get("n_samples", 0),
            production=bool(twins),
        )
        done = perform(self.executor, job, say)
        heard = BackendAnswer(host=done.host, environment_sha256=done.environment_sha256)
        if isinstance(done.answer, Refusal):
            heard.failure, heard.of_user = done.answer.reason, done.answer.of_user
            return heard
        heard.computed = done.answer
        if done.answer.read != weights_digest(_arrays(self.inputs)):
            heard.failure = "it computed from other inputs than were given: stale or foreign"
            return heard
        try:
            heard.arrays = _arrays(output)
        except (OSError, ValueError) as error:
            heard.failure = f"what it computed cannot be read ({error})"
        heard.floors = {
            kind: {name: float("inf") if floor is None else floor for name, floor in of.items()}
            for kind, of in done.answer.floors.items()
        }
        return heard


def _arrays(file: Path) -> Arrays:
    with np.load(file, allow_pickle=False) as archive:
        return dict(archive)
