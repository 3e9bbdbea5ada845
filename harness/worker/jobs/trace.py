"""One update from each given state, as each arm's production path does it, quantity by quantity.

Nothing is instrumented here. An arm is resumed at a state, predicts, trains on one batch and is
read out. Gradients come from the same compiled program with another optimizer: one step of plain
SGD at the rate of PROBE leaves them in the weights to float32's last bits.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import Refused
from harness.job.answers import Traced, TraceFile
from harness.job.asked import FirstEpoch, Trace, TracedArm
from harness.spec.data.arrays import (
    add_prefix,
    load_arrays,
    load_dataset,
    network_input,
    strip_prefix,
    weights_digest,
)
from harness.worker import facts, replicas
from harness.worker.own_code import import_arm

Arrays = dict[str, NDArray[Any]]
PointTrace = tuple[str, Arrays]
"""A point's name, and the quantities of any shape that `harness.referee.trace` lists."""
# A learning rate at which weights vanish beside gradients; a power of two divides out exactly.
PROBE = 2.0**20


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the arms start from and train on, and the digests of what was read."""

    points: dict[str, Arrays]
    several: dict[str, list[Arrays]]  # a point -> the epochs to train on from there
    start: Arrays  # of `first_epochs`
    digests: dict[str, str]


def trace(job: Trace, say: Callable[..., None], *_: Any) -> Traced:
    """Write one .npz for each arm, program and point; return their files and who computed them.

    `say` is called with what is being done.
    """
    say(phase="import")
    replicas.start(job.framework, job.replicas, job.device)
    framework = facts.framework_of(job.framework)
    device = framework.devices()[0]
    inputs = _load_inputs(job)
    traces: list[TraceFile] = []
    for label, arm in job.arms.items():
        say(phase=f"trace {label}")
        try:
            traces += _write_traces(job, label, arm, inputs)
        except Refused:
            raise
        except Exception as error:  # the other arms are checked all the same
            logging.exception(label)
            first_line = next(iter(str(error).strip().splitlines()), "")
            traces.append(TraceFile(arm=label, failure=f"{type(error).__name__}: {first_line}"))
    return Traced(
        versions=facts.versions(framework),
        device=device,
        settings=framework.settings(),
        traces=tuple(traces),
    )


def _load_inputs(job: Trace) -> Inputs:
    """Return the arrays in the job's files."""
    points = {name: load_arrays(file) for name, file in job.points.items()}
    several = {name: [*map(load_arrays, files)] for name, files in job.several.items()}
    start = load_arrays(job.epoch.start) if job.epoch else {}
    digests = {name: weights_digest(point) for name, point in points.items()}
    if job.epoch:
        digests |= dict.fromkeys(map(_epoch_point, job.epoch.stops), weights_digest(start))
    return Inputs(points, several, start, digests)


def _write_traces(job: Trace, label: str, arm: TracedArm, inputs: Inputs) -> list[TraceFile]:
    """Write one arm's traces, and return an entry for each."""
    entries = []
    for program, traces in _programs(job, arm, inputs).items():
        for point, found in traces:
            file = job.folder / f"{label}-{program}-{point}.npz"
            np.savez(file, **found)  # type: ignore[arg-type]
            read = inputs.digests[point]
            entries.append(
                TraceFile(arm=label, program=program, point=point, file=file.name, read=read)
            )
    return entries


def _programs(job: Trace, arm: TracedArm, inputs: Inputs) -> dict[str, Iterable[PointTrace]]:
    """Return the traces of each program of an arm.

    An arm that begins anew cannot be resumed, so it has those of the initial state only.
    """
    module = import_arm(arm.module, job.root)
    points = inputs.points
    if arm.anew:
        points = {name: point for name, point in points.items() if not point["n_updates"]}
    programs: dict[str, Iterable[PointTrace]] = {}
    if points:
        programs["production"] = production(module, job, arm.options, points)
        if arm.module == "keras_fit" and job.replicas == 1:
            instrument = importlib.import_module("harness.worker.instrument")
            programs["instrumented"] = instrument.steps(job.spec, points)
    if inputs.several and not arm.anew:
        programs["loop"] = loops(module, job.spec, arm.options, inputs)
    if job.epoch and not arm.anew:
        programs["epoch"] = first_epochs(module, arm.options, inputs.start, job.epoch)
    return programs


def production(
    arm: ModuleType, job: Trace, options: SimpleNamespace, points: Mapping[str, Arrays]
) -> Iterable[PointTrace]:
    """Yield what one update of the arm computes from each point, of any shape.

    Args:
        arm: its module.
        job: what to train, and on how many devices.
        options: the arm's own.
        points: weights, slots, n_updates, x (B, features) float32 and y (B,), by name.
    """
    spec, first = job.spec, strip_prefix("weight", next(iter(points.values())))
    sgd = SimpleNamespace(name="sgd", learning_rate=PROBE, momentum=0.0)
    state = arm.build(spec, first, options)
    probe = arm.build(SimpleNamespace(**vars(spec) | {"optimizer": sgd}), first, options)
    for name, point in points.items():
        weights, slots = strip_prefix("weight", point), strip_prefix("slot", point)
        x, y = point["x"], point["y"].astype(np.uint8)
        probe = arm.resume(probe, weights, {}, 0)
        probe, _, _ = arm.epoch(probe, arm.place(x, y))
        moved = arm.export(probe)
        state = arm.resume(state, weights, slots, int(point["n_updates"]))
        found = _copy("set", {**arm.export(state), **arm.slots(state)})
        begun = _apart(job, state)
        found["outputs"] = arm.predict(state, x)
        state, loss, accuracy = arm.epoch(state, arm.place(x, y))
        found |= begun and {"replicas/set": max(begun.values())} | _apart(job, state)
        found |= {"loss": np.asarray(loss), "accuracy": np.asarray(accuracy)}
        found |= {
            f"gradient/{key}": ((value.astype(np.float64) - moved[key]) / PROBE).astype(np.float32)
            for key, value in weights.items()
        }
        yield name, found | _read_back(arm, state)


def _apart(job: Trace, state: Any) -> dict[str, Any]:
    """Return by how much the devices' copies differ, by kind; nothing where there is one device."""
    if job.replicas == 1:
        return {}
    replicas.check(job.replicas, replicas.seen(job.framework, state.model))
    found = replicas.of(job.framework).apart(state.model)
    return {f"replicas/{kind}": np.float64(value) for kind, value in found.items()}


def loops(
    arm: ModuleType, spec: Any, options: SimpleNamespace, inputs: Inputs
) -> Iterable[PointTrace]:
    """Yield the arm's state, of any shape, after several epochs from each point.

    Each epoch has several batches in an order of its own, the last one short.

    Args:
        arm: its module.
        spec: what to train.
        options: the arm's own.
        inputs: the points, and the epochs to train on from some of them.
    """
    for name, epochs in inputs.several.items():
        point = inputs.points[name]
        weights, slots = strip_prefix("weight", point), strip_prefix("slot", point)
        state = arm.build(spec, weights, options)
        state = arm.resume(state, weights, slots, int(point["n_updates"]))
        losses, accuracies = [], []
        for epoch in epochs:
            data = arm.place(epoch["x"], epoch["y"].astype(np.uint8))
            state, loss, accuracy = arm.epoch(state, data)
            losses.append(loss)
            accuracies.append(accuracy)
        arm.wait(state)
        reported = {"loss": np.array(losses), "accuracy": np.array(accuracies)}
        yield name, reported | _read_back(arm, state)


def first_epochs(
    arm: ModuleType, options: SimpleNamespace, start: Arrays, epoch: FirstEpoch
) -> Iterable[PointTrace]:
    """Yield the arm's state, of any shape, after part of the first epoch, up to each update asked.

    Each is trained from the initial state in one go.

    Args:
        arm: its module.
        options: the arm's own.
        start: the initial state, as a point has it.
        epoch: the spec; its files (order (n,)), and the updates up to which it is trained.
    """
    weights, slots = strip_prefix("weight", start), strip_prefix("slot", start)
    parts, order = load_dataset(epoch.dataset), np.load(epoch.order or "", allow_pickle=False)
    state = arm.build(epoch.spec, weights, options)
    for stop in epoch.stops:
        samples = order[: stop * epoch.spec.batch_size]
        x, y = network_input(parts["x_train"][samples]), parts["y_train"][samples]
        state = arm.resume(state, weights, slots, 0)
        state, loss, _ = arm.epoch(state, arm.place(x, y))
        arm.wait(state)
        reported = {"loss": np.asarray(loss, np.float64)}
        yield _epoch_point(stop), reported | _read_back(arm, state)


def _epoch_point(stop: int) -> str:
    return f"update-{stop}"


def _read_back(arm: ModuleType, state: Any) -> Arrays:
    """Return the count of updates, slots and weights of a state."""
    n_updates = {"n_updates": np.asarray(arm.facts(state)["n_updates"])}
    return n_updates | _copy("slot", arm.slots(state)) | _copy("weight", arm.export(state))


def _copy(prefix: str, arrays: Mapping[str, Any]) -> Arrays:
    """Return copies of arrays by "PREFIX/NAME": the arm goes on writing into its own."""
    return {name: np.array(value) for name, value in add_prefix(prefix, arrays).items()}
