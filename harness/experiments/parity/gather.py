"""One worker for each backend: points in, traces out, both files."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.engine.executor import Executor, perform
from harness.engine.plan import Planned
from harness.job import asked as job
from harness.job.answers import Host, Refusal, TraceFile
from harness.referee import differences
from harness.referee.epoch import point_of
from harness.referee.fixtures import Point
from harness.referee.gates import Quantities
from harness.referee.ground import Ground
from harness.referee.oracle import Loss
from harness.referee.trace import Arrays, Trace, read_trace
from harness.spec.data.arrays import load_arrays
from harness.spec.files import scratch

APART = "replicas/"
Say = Callable[[str], None]
"""Told what is being done."""


@dataclass(slots=True)
class ArmAnswer:
    """What one arm's worker handed back."""

    traces: list[Trace] = field(default_factory=list)
    twins: dict[tuple[str, str], list[Quantities]] = field(
        default_factory=lambda: defaultdict(list)
    )
    loops: dict[str, Arrays] = field(default_factory=dict)
    # The first epoch as far as so many updates.
    epochs: dict[int, Arrays] = field(default_factory=dict)
    host: Host | None = None
    device: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    environment_sha256: str | None = None
    failure: str = ""
    anew: bool = False  # it has an optimizer of its own, whose memory cannot be set
    # By how much several devices' copies differ after an update, by kind; by point.
    apart: dict[str, dict[str, float]] = field(default_factory=dict)


def gather_traces(
    planned: Sequence[Planned],
    reference: Ground,
    executor: Executor,
    say: Say,
) -> dict[str, ArmAnswer]:
    """Return what one backend's worker hands back of each of its arms, by name.

    A failure is a failure of every arm that it leaves out.

    Args:
        planned: the backend's runs, one for each arm.
        reference: points and loops.
        executor: that does jobs.
        say: told what is being done.
    """
    answers = {
        each.request.arm.name: ArmAnswer(anew=differences.has_own_slots(each.request.options))
        for each in planned
    }
    names = {each.request.arm.arm: each.request.arm.name for each in planned}
    points = _with_twins(reference)
    with scratch() as folder:
        done = perform(executor, _write_job(folder, points, reference, planned), say)
        for planned_arm in planned:
            request = planned_arm.request
            each = answers[request.arm.name]
            each.host, each.environment_sha256 = done.host, done.content_of(request.module)
            if isinstance(done.answer, Refusal):
                each.failure = done.answer.reason
            else:
                each.device, each.versions = done.answer.device, done.answer.versions
        for entry in () if isinstance(done.answer, Refusal) else done.answer.traces:
            if name := names.get(entry.arm):
                _take_entry(answers[name], entry, folder, points, reference, name)
    return answers


def _with_twins(reference: Ground) -> dict[str, Point]:
    """Return the points, and each one's permutation twins."""
    points = dict(reference.points)
    for name, twins in reference.twins.items():
        for number, twin in enumerate(twins):
            permuted = twin.of(points[name], number)
            points[permuted.name] = permuted
    return points


def _write_job(
    folder: Path,
    points: Mapping[str, Point],
    reference: Ground,
    planned: Sequence[Planned],
) -> job.Trace:
    """Write what a worker reads, and return its job."""
    epoch = next(iter(reference.epochs.values()), None)
    if epoch:
        np.savez(folder / "start.npz", **epoch.start.arrays())  # type: ignore[arg-type]
        np.save(folder / "order.npy", epoch.order)
    for name, point in points.items():
        np.savez(folder / f"point-{name}.npz", **point.arrays())  # type: ignore[arg-type]
    several: dict[str, tuple[Path, ...]] = {}
    for name, epochs in reference.loops.items():
        several[name] = tuple(folder / f"loop-{name}-{number}.npz" for number in range(len(epochs)))
        for file, (x, y) in zip(several[name], epochs, strict=True):
            np.savez(file, x=x, y=y)
    return job.Trace(
        **planned[0].where(),
        spec=planned[0].request.spec,
        arms={each.request.arm.arm: traced_arm(each) for each in planned},
        points={name: folder / f"point-{name}.npz" for name in points},
        several=several,
        epoch=None
        if epoch is None
        else job.FirstEpoch(
            spec=epoch.spec,
            start=folder / "start.npz",
            dataset=planned[0].training()["dataset"],
            order=folder / "order.npy",
            stops=tuple(epoch.stops),
        ),
        folder=folder,
    )


def documented_loss(arm: Planned) -> Loss:
    """Return the loss that a planned run's arm is documented to compute."""
    asked = arm.request
    return differences.documented_loss(asked.spec, asked.arm.framework, asked.module, asked.options)


def traced_arm(arm: Planned) -> job.TracedArm:
    """Return a planned run's arm as a job names it."""
    request = arm.request
    anew = differences.has_own_slots(request.options)
    return job.TracedArm(module=request.module, options=request.options, anew=anew)


def _take_entry(
    answers: ArmAnswer,
    entry: TraceFile,
    folder: Path,
    points: Mapping[str, Point],
    reference: Ground,
    arm: str,
) -> None:
    """Take one of a worker's files.

    A trace, a twin's or a loop's; one made from other points is a failure of the arm.
    """
    if entry.failure:
        answers.failure = entry.failure
        return
    stops = {
        point_of(stop): (stop, each.start)
        for each in reference.epochs.values()
        for stop in each.stops
    }
    known = (
        {name: start for name, (_, start) in stops.items()} if entry.program == "epoch" else points
    )
    if entry.point not in known:
        answers.failure = f"it handed back an update from {entry.point!r}, which was not asked for"
        return
    point, trace = known[entry.point], f"its trace {entry.program} {entry.point}"
    if entry.read != point.sha256:
        answers.failure = f"{trace} is of other inputs than were given: stale or foreign"
        return
    try:
        found = load_arrays(folder / entry.file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        answers.failure = f"{trace} cannot be read ({error})"
        return
    if entry.program == "epoch":
        answers.epochs[stops[entry.point][0]] = found
    else:
        _take_arrays(answers, entry.program, point, found, reference, arm)


def _take_arrays(
    answers: ArmAnswer, program: str, point: Point, found: Arrays, reference: Ground, arm: str
) -> None:
    """Take the arrays of a loop, an update or its twin."""
    name, twin, number = point.name.partition("~")
    if program == "loop":
        answers.loops[name] = found
        return
    apart = {kind: float(found.pop(kind)) for kind in [*found] if kind.startswith(APART)}
    if apart and not twin:
        answers.apart[name] = {kind.removeprefix(APART): each for kind, each in apart.items()}
    trace = read_trace(reference.spec, point, arm, program, found, without_slots=answers.anew)
    if twin:
        undone = reference.twins[name][int(number)].undone(trace.quantities)
        answers.twins[program, name].append(undone)
    else:
        answers.traces.append(trace)
