"""One run, phase by phase: import, data, build, epochs, evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import Refused
from harness.job.answers import Epoch, Measured, Measurement, Phases
from harness.job.asked import Live, Measure
from harness.spec.data.arrays import (
    Features,
    Labels,
    Weights,
    dataset_digest,
    load_dataset,
    load_weights,
    network_input,
    sha256,
    weights_digest,
)
from harness.spec.initializers import initial_weights
from harness.worker import facts
from harness.worker.clock import timed
from harness.worker.own_code import import_arm

if TYPE_CHECKING:
    from harness.records.record import Request

Say = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What every arm is given: the same bytes, and the digests of what was really read."""

    parts: dict[str, NDArray[np.uint8]]
    weights: Weights
    order: NDArray[np.int32]  # (epochs, n_train)
    data_sha256: str
    order_sha256: str


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
    if evaluation["test_accuracy"] is None:
        diverged = diverged or "diverged: the trained model's outputs are not finite"
    if diverged:
        evaluation |= {"test_accuracy": None, "test_loss": None}
    measurement = Measurement(
        **identity(run),
        **{name: value for name, value in evaluation.items() if name != "evaluate_s"},
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
    say(phase="import")
    (arm, framework, devices), import_s = timed(lambda: _import_arm(job))
    _check_device(request, devices)
    say(phase="data")
    inputs, data_s = timed(lambda: _inputs(job, request, framework))
    say(phase="build")
    _check_shapes(request, inputs.weights)
    build = partial(arm.build, request.spec, inputs.weights, request.options)
    state, build_s = timed(build, arm.wait)
    weights_sha256 = weights_digest(arm.export(state))
    if weights_sha256 != weights_digest(inputs.weights):
        raise Refused("the weights read back from the built model are not those set")
    _check_device(request, [arm.facts(state)["device"]])
    phases = {"spawn_s": spawn_s, "import_s": import_s, "data_s": data_s, "build_s": build_s}
    return Run(request, arm, framework, inputs, state, weights_sha256, phases)


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
    arm, parts, samples = run.arm, run.inputs.parts, run.inputs.order[index % len(run.inputs.order)]
    data, feed_s = timed(
        lambda: arm.place(network_input(parts["x_train"][samples]), parts["y_train"][samples])
    )
    before = arm.facts(run.state)["n_compiles"]
    (run.state, loss, accuracy), seconds = timed(
        lambda: arm.epoch(run.state, data), lambda result: arm.wait(result[0]), collect=False
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
    """Return accuracy and loss on the test images, None where an output is not finite."""
    test_inputs = network_input(run.inputs.parts["x_test"])
    outputs, evaluate_s = timed(lambda: run.arm.predict(run.state, test_inputs))
    accuracy = loss = None
    if np.isfinite(outputs).all():
        accuracy, loss = score(outputs, run.inputs.parts["y_test"], run.request.spec.loss_form)
    return {
        "evaluate_s": evaluate_s,
        "test_accuracy": accuracy,
        "test_loss": loss,
        "first_predictions": tuple(outputs[:10].argmax(axis=1).tolist()),
        "final_weights_sha256": weights_digest(run.arm.export(run.state)),
    }


def identity(run: Run) -> dict[str, Any]:
    """Return what the run was, and on what: device, counts, settings, versions, digests."""
    known = run.arm.facts(run.state)
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


def score(outputs: Features, labels: Labels, loss_form: str) -> tuple[float, float]:
    """Return accuracy by argmax and mean cross-entropy, in float64, computed alike for every arm.

    **Differs**: Keras's own `evaluate` clips probabilities on JAX and PyTorch, and goes back to the
    logits on TensorFlow.

    Args:
        outputs: (n, classes), probabilities or logits.
        labels: (n,) the class of each sample.
        loss_form: "probs" or "logits"; probabilities are clipped to 1e-7 below.
    """
    accuracy = float(np.mean(outputs.argmax(axis=1) == labels))
    values = outputs.astype(np.float64)
    if loss_form == "probs":
        logs = np.log(np.clip(values, 1e-7, 1.0))
    else:
        shifted = values - values.max(axis=1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return accuracy, float(-np.mean(logs[np.arange(len(labels)), labels]))


def _import_arm(job: Measure | Live) -> tuple[ModuleType, ModuleType, list[str]]:
    """Return the arm, its framework, and the devices it sees, which are initialised by asking."""
    request = job.request
    arm = import_arm(request.module, job.root)
    framework = facts.framework_of(request.framework)
    return arm, framework, framework.devices()


def _inputs(job: Measure | Live, request: Request, framework: ModuleType) -> Inputs:
    """Return what the job's files hold, after a check that it is what the request names."""
    parts = load_dataset(job.dataset)
    if request.spec.inputs == "native":
        weights, order = _native_draw(request, framework)
    else:
        if job.weights is None or job.order is None:
            raise Refused("the job names no initial weights or no order of the samples")
        weights, order = load_weights(job.weights), np.load(job.order, allow_pickle=False)
        if weights_digest(weights) != request.weights_sha256:
            raise Refused("the initial weights have changed on disk since they were drawn")
        if sha256(order) != request.order_sha256:
            raise Refused("the order of the samples has changed on disk since it was drawn")
    inputs = Inputs(parts, weights, order, dataset_digest(parts), sha256(order))
    if inputs.data_sha256 != request.data.sha256:
        raise Refused(f"the prepared {request.data.name} has changed on disk since it was checked")
    return inputs


def _native_draw(request: Request, framework: ModuleType) -> tuple[Weights, NDArray[np.int32]]:
    """Return weights and order from the framework's own generator, seeded with the run's seed."""
    spec, n_train = request.spec, request.data.n_train
    uniform, permutation = framework.generator(request.seed)
    layers = [(layer.name, layer.units) for layer in spec.layers]
    weights = initial_weights(uniform, request.data.n_inputs, layers, spec.initializer)
    rows = [
        permutation(n_train) if spec.shuffle else np.arange(n_train) for _ in range(request.epochs)
    ]
    return weights, np.stack(rows).astype(np.int32)


def _check_device(request: Request, seen: list[str]) -> None:
    """Check that these devices are of the kind that the request asks for."""
    where = f"device {request.device}: {request.backend} computes on {', '.join(seen)}"
    if request.device == "gpu" and not any(device.startswith("gpu") for device in seen):
        raise Refused(f"{where}. `harness doctor` says why; --device cpu runs there")
    if request.device == "cpu" and seen != ["cpu"]:
        raise Refused(f"{where}; its cpu_variables in backends.toml do not hide that")


def _check_shapes(request: Request, weights: Weights) -> None:
    """Check the weights' names and shapes, since each framework's own message would differ."""
    n_inputs = request.data.n_inputs
    expected: dict[str, tuple[int, ...]] = {}
    for layer in request.spec.layers:
        expected[f"{layer.name}/kernel"] = n_inputs, layer.units
        expected[f"{layer.name}/bias"] = (layer.units,)
        n_inputs = layer.units
    if list(weights) != list(expected):
        raise Refused(f"weights: expected {', '.join(expected)}; received {', '.join(weights)}")
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise Refused(f"{name}: expected shape {shape}; received {weights[name].shape}")
