"""One run, phase by phase: import, data, build, epochs, evaluation."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from harness.errors import Refused
from harness.job.answers import Epoch, Measured, Measurement, Phases
from harness.job.asked import Live, Measure
from harness.spec.data.arrays import weights_digest
from harness.spec.targets import ModelSource
from harness.worker import facts, replicas
from harness.worker.clock import timed
from harness.worker.jobs import stack
from harness.worker.jobs.stack import Inputs
from harness.worker.own_code import import_arm

if TYPE_CHECKING:
    from harness.job.request import Request

Say = Callable[..., None]
OF_A_RUN = ("evaluate_s", "diverged")  # of what `evaluate` returns: kept elsewhere


@dataclass(slots=True)
class Run:
    """A run in progress: its arm, the arm's inputs, the state of training, and seconds by phase."""

    request: Request
    arm: ModuleType
    framework: ModuleType
    inputs: Inputs
    state: Any
    weights_sha256: str  # read back from the built model
    phases: dict[str, Any]
    kind: ModuleType = stack  # of its spec: reads the inputs, builds, places, trains, evaluates
    model: ModelSource | None = None  # of the user's own


class Diverged(Exception):
    """Training cannot go on: why."""


def measure(job: Measure, say: Say, spawn_s: float, *_: Any) -> Measured:
    """Train and evaluate what the job asks for.

    Args:
        job: the request, and its files.
        say: is called with what is being done.
        spawn_s: from the start of this process to its first statement.

    Raises:
        Refused: the inputs, the backend or the device are not those of the request.
    """
    run = begin(job, say, spawn_s)
    epochs, diverged = train_all(run, say)
    say(phase="evaluate")
    evaluation = evaluate(run)
    diverged = diverged or evaluation["diverged"]
    if diverged:
        evaluation |= {"test_accuracy": None, "test_loss": None}
    measurement = Measurement(
        **identity(run),
        **{name: value for name, value in evaluation.items() if name not in OF_A_RUN},
        phases=Phases(**run.phases, evaluate_s=evaluation["evaluate_s"]),
        epochs=tuple(epochs),
        peak_rss_bytes=facts.peak_rss_bytes(),
    )
    return Measured(diverged=diverged, measurement=measurement)


def begin(job: Measure | Live, say: Say, spawn_s: float) -> Run:
    """Return the run that the job asks for: imported, read, built, and checked to be that run.

    Args:
        job: the request, and its files.
        say: is called with what is being done.
        spawn_s: from the start of this process to its first statement.

    Raises:
        Refused: the inputs, the backend or the device are not those of the request.
    """
    request = job.request
    if job.refusal:
        raise Refused(job.refusal)
    say(phase="import")
    (arm, framework, devices), import_s = timed(lambda: _import_arm(job))
    _check_device(request, devices)
    say(phase="data")
    kind = importlib.import_module(f"harness.worker.jobs.{'own_model' if job.model else 'stack'}")
    inputs, data_s = timed(lambda: kind.read_inputs(job, framework))
    say(phase="build")
    state, build_s = timed(partial(kind.build, arm, job, inputs), arm.wait)
    weights_sha256 = weights_digest(arm.export(state))
    if weights_sha256 != weights_digest(inputs.weights):
        raise Refused("the weights read back from the built model are not those set")
    known = arm.facts(state)
    _check_device(request, [known["device"]])
    replicas.check(request.replicas, known)
    phases = {"spawn_s": spawn_s, "import_s": import_s, "data_s": data_s, "build_s": build_s}
    own = kind, job.model
    return Run(request, arm, framework, inputs, state, weights_sha256, phases, *own)


def train_all(run: Run, say: Say) -> tuple[list[Epoch], str]:
    """Return one entry for each epoch, and why training stopped early, if it did."""
    epochs: list[Epoch] = []
    try:
        for index in range(run.request.epochs):
            epochs.append(train(run, index))
            seen = {name: value for name, value in vars(epochs[-1]).items() if name != "n_compiles"}
            say(epoch=index + 1, epochs=run.request.epochs, **seen)
    except Diverged as why:
        return epochs, str(why)
    return epochs, ""


def train(run: Run, index: int) -> Epoch:
    """Train the epoch of that index, from 0, and return it.

    Raises:
        Diverged: the loss is not finite.
    """
    arm, samples = run.arm, run.inputs.order[index % len(run.inputs.order)]
    data, feed_s = timed(lambda: run.kind.place(run, samples))
    before = arm.facts(run.state)["n_compiles"]
    (run.state, loss, accuracy), seconds = timed(
        lambda: run.kind.train_epoch(run, data),
        lambda result: arm.wait(result[0]),
        collect=False,
    )
    if not math.isfinite(loss):
        epoch = f"epoch {index + 1} of {run.request.epochs}"
        raise Diverged(f"diverged: the loss became {loss} in {epoch}")
    known = arm.facts(run.state)
    # A `fit` of many epochs makes its input pipeline once, so that counts as feeding. In the first
    # epoch it includes building and compiling, which other arms do in their first epoch too.
    setup_s, teardown_s = known.get("setup_s", 0.0) if index else 0.0, known.get("teardown_s", 0.0)
    return Epoch(
        feed_s=feed_s + setup_s,
        seconds=seconds - setup_s,
        teardown_s=teardown_s,
        loss=loss,
        accuracy=accuracy,
        n_compiles=known["n_compiles"] - before,
    )


def evaluate(run: Run) -> dict[str, Any]:
    """Return what the trained model comes to, the digest of its weights, and why it diverged."""
    found: dict[str, Any] = run.kind.evaluate(run)
    return found | {"final_weights_sha256": weights_digest(run.arm.export(run.state))}


def identity(run: Run) -> dict[str, Any]:
    """Return what the run was, and on what: device, counts, settings, versions, digests."""
    known = run.arm.facts(run.state)
    replicas.check(run.request.replicas, known)
    for name in ("setup_s", "teardown_s", "n_dispatches"):  # each epoch has its own
        known.pop(name, None)
    top = ("device", "n_parameters", "n_updates", "n_compiles")
    return {
        **{name: known.pop(name) for name in top},
        "data_sha256": run.inputs.data_sha256,
        "weights_sha256": run.weights_sha256,
        "order_sha256": run.inputs.order_sha256,
        "settings": {**known, **run.framework.settings(), "affinity": facts.affinity()},
        "versions": facts.versions(run.framework),
    }


def _import_arm(job: Measure | Live) -> tuple[ModuleType, ModuleType, list[str]]:
    """Return the arm, its framework, and the devices it sees, which are initialised by asking."""
    request = job.request
    replicas.start(request.framework, request.replicas, request.device)
    arm = import_arm(request.module, job.root)
    framework = facts.framework_of(request.framework)
    return arm, framework, framework.devices()


def _check_device(request: Request, seen: list[str]) -> None:
    """Check that these devices are of the kind that the request asks for."""
    where = f"device {request.device}: {request.backend} computes on {', '.join(seen)}"
    if request.device == "gpu" and not any(device.startswith("gpu") for device in seen):
        raise Refused(f"{where}. `harness doctor` says why; --device cpu runs there")
    if request.device == "cpu" and {*seen} != {"cpu"}:
        raise Refused(f"{where}; its cpu_variables in backends.toml do not hide that")
