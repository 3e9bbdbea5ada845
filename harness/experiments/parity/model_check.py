"""A user's own model on every backend, from the same weights and batch: one record of who agrees.

The model is run in the backends' environments only: once in its own dtype and once in float64, of
which neither's process has seen the other. The first backend that can build it gives its initial
weights, those after 1, 10 and 100 updates, and the batch where none is named, to all.

Float64 judges the mathematics: all backends agree there to 1e-13, whatever float32 makes of the
model. Each backend's float32, held against its own float64, judges its kernels. What a backend
cannot compute in float64 is judged by the majority of the backends in the model's own dtype.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from harness.engine.executor import Executor, make_executor, perform
from harness.engine.own_data import Wanted, make_own_data
from harness.engine.replicas import OF_OWN
from harness.errors import ConfigError
from harness.experiments.parity import model_proof
from harness.experiments.parity.model_evidence import BackendAnswer, Evidence, is_open, judge
from harness.experiments.parity.model_judge import make_record
from harness.experiments.parity.model_plan import ModelPlan
from harness.experiments.parity.model_verdict import First, Verdicts
from harness.job.answers import ComputedModel, Refusal
from harness.job.asked import ComputeModel, ProveArm, TryLayers
from harness.job.own_model import Proved
from harness.records.user_model import ModelParity
from harness.referee.quantities import kind_of
from harness.spec.data.arrays import load_arrays, weights_digest
from harness.spec.files import scratch

SEVERAL = (0, 10)  # updates after which a large model is judged where one state leaves it open
TRAINED = 20  # batches of the data, at most, that several devices train on
TRAINED_SIZE = 16  # of one
Say = Callable[[str], None]
"""Told what is being done."""


def check(what: ModelPlan, say: Say = lambda doing: None) -> ModelParity:
    """Return the record of one check: the model computed by each backend, and the verdict.

    Args:
        what: is compared.
        say: told what is being done.

    Raises:
        ConfigError: what the user named is no compiled model, no batch, or no data.
    """
    started, began = datetime.now(UTC), time.monotonic()
    executor = make_executor(what.root, what.backends)
    with scratch() as folder:
        what = _with_data(what, executor, folder, say)
        workers = Workers(what, executor, folder / "inputs.npz", say)
        heard, evidence = workers.judge()
        if is_open(evidence):
            say("something stands out at one state: another one")
            again = replace(what, updates=SEVERAL)
            workers = Workers(again, executor, folder / "again.npz", say)
            heard, evidence = workers.judge()
        verdicts = Verdicts(heard, evidence)
        for backend, trained in workers.train_on_several(verdicts):
            verdicts.add_several(backend, trained, what.replicas)
        proofs = dict(workers.prove(verdicts))
    return make_record(what, verdicts, proofs, started, time.monotonic() - began)


def _with_data(what: ModelPlan, executor: Executor, folder: Path, say: Say) -> ModelPlan:
    """Return the plan with the first batch of the user's data made in a folder.

    Raises:
        ConfigError: they cannot be made; says why.
    """
    if what.made or not what.data or what.batch:
        return what
    n_batches = TRAINED if what.replicas > 1 else 1
    wanted = Wanted(what.data, batch_size=what.batch_size, limit_batches=n_batches)
    _, made = make_own_data(wanted, executor, what.backends, folder, say)
    return replace(what, made=made.absolute())


@dataclass(frozen=True)
class Workers:
    """What asks each backend to compute the model, from the same inputs."""

    what: ModelPlan
    executor: Executor
    inputs: Path
    say: Say

    def judge(self) -> tuple[dict[str, BackendAnswer], tuple[Evidence, ...]]:
        """Return what each backend makes of the model, and the evidence of each state."""
        heard = {backend: self.compute(backend) for backend in self.what.backends}
        sound = {backend: each for backend, each in heard.items() if not each.failure}
        self.say("judging")
        return heard, judge(sound) if len(sound) > 1 else ()

    def compute(self, backend: str) -> BackendAnswer:
        """Return what a backend makes of the model; the first that can, writes the inputs for all.

        Raises:
            ConfigError: what the user named is no compiled model, or no batch.
        """
        given, job = self.inputs.is_file(), self._job(backend)
        done = perform(self.executor, job, self.say)
        heard = BackendAnswer(host=done.host, environment_sha256=done.environment_sha256)
        if isinstance(done.answer, Refusal) and job.rounded and job.rounded.is_file():
            heard.inexact = done.answer.reason  # float64 has taken the process with it
            done = perform(self.executor, replace(job, exact=None), self.say)
        if isinstance(done.answer, Refusal):
            heard.failure, heard.of_user = done.answer.reason, done.answer.of_user
            if heard.of_user and not given:
                raise ConfigError(heard.failure)
            return heard
        heard.computed = done.answer
        heard.rounded, heard.failure = self._output(job.rounded, done.answer)
        heard.inexact = heard.inexact or done.answer.inexact
        if not heard.failure and not heard.inexact:
            self._add_exact(heard, job, done.answer)
        return heard

    def _add_exact(self, heard: BackendAnswer, job: ComputeModel, answer: ComputedModel) -> None:
        """Add what a backend makes of the model in float64, or why there is nothing."""
        if job.exact and not job.exact.is_file():  # no process there can do both
            done = perform(self.executor, replace(job, rounded=None), self.say)
            if isinstance(done.answer, Refusal):
                heard.inexact = done.answer.reason
                return
            answer = done.answer
        heard.short, heard.remarks = answer.short, answer.remarks
        heard.exact, heard.inexact = self._output(job.exact, answer)

    def prove(self, verdicts: Verdicts) -> Iterator[tuple[str, str]]:
        """Yield each backend that departs, with what single layers of it say."""
        agreeing = [
            name
            for name, each in verdicts.heard.items()
            if each.exact and name not in verdicts.found
        ]
        for backend, first in verdicts.first.items():
            layers = model_proof.suspects(first)
            if agreeing and layers and verdicts.found[backend][0] == "departs":
                proof = self._try_layers((agreeing[0], backend), first, layers, verdicts.layers)
                yield backend, proof

    def train_on_several(self, verdicts: Verdicts) -> Iterator[tuple[str, Proved | Refusal]]:
        """Yield how far training on several devices is from `fit` on one, where backends agree."""
        what, made = self.what, self.what.made
        several = what.backends if made and what.replicas > 1 else ()
        for backend in several:
            if made and backend not in verdicts.found:
                job = ProveArm(
                    backend=backend,
                    device="cpu",
                    threads=1,
                    replicas=what.replicas,
                    time_limit_s=what.time_limit_s,
                    model=what.model,
                    dataset=made,
                    batch_size=what.batch_size or TRAINED_SIZE,
                    arm=OF_OWN[what.backends[backend].framework][0],
                )
                yield backend, perform(self.executor, job, self.say).answer

    def _try_layers(
        self,
        backends: tuple[str, str],
        first: First,
        layers: tuple[str, ...],
        classes: Mapping[str, str],
    ) -> str:
        """Return what layers alone say: those of a reference, and of a backend that departs."""
        at, kind = first.evidence.at, kind_of(first.comparison.quantity)
        state = at.removesuffix(" updates") if at.endswith(" updates") else "0"
        folder, outputs = self.inputs.parent, []
        for backend in backends:
            job = TryLayers(
                **self.what.asked(backend),
                inputs=self.inputs,
                state=state,
                layers=layers,
                training=kind != "output",
                tensors=folder / f"{backends[1]}-tensors.npz",
                output=folder / f"{backends[1]}-by-{backend}.npz",
            )
            done = perform(self.executor, job, self.say)
            if isinstance(done.answer, Refusal):
                return model_proof.describe_refusal(backends[0], done.answer)
            outputs.append(job.output)
        return model_proof.describe(backends[0], (outputs[0], outputs[1]), layers, classes)

    def _job(self, backend: str) -> ComputeModel:
        return ComputeModel(
            **self.what.asked(backend),
            batch=self.what.batch,
            dataset=self.what.made,
            batch_size=self.what.batch_size,
            inputs=self.inputs,
            rounded=self.inputs.with_name(f"{backend}-{self.inputs.stem}-rounded.npz"),
            exact=self.inputs.with_name(f"{backend}-{self.inputs.stem}-exact.npz"),
            updates=self.what.updates,
        )

    def _output(self, file: Path | None, answer: ComputedModel) -> tuple[Path | None, str]:
        """Return the file of what was computed, or None and why it does not count."""
        if answer.read != self._digest:
            return None, "it computed from other inputs than were given: stale or foreign"
        try:
            with np.load(file or "", allow_pickle=False):
                return file, ""
        except (OSError, ValueError) as error:
            return None, f"what it computed cannot be read ({error})"

    @cached_property
    def _digest(self) -> str:
        return weights_digest(load_arrays(self.inputs))
