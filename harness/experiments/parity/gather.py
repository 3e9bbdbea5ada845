"""One worker for each backend: points in, traces out, both files."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.engine import ask
from harness.engine.plan import Planned
from harness.referee import differences
from harness.referee.epoch import point_of
from harness.referee.fixtures import Point
from harness.referee.gates import Quantities
from harness.referee.ground import Ground
from harness.referee.trace import Arrays, Trace, read_trace
from harness.scratch import scratch

Say = Callable[[str], None]
"""Told what is being done."""


KNOWN = ("versions", "device", "settings", "environment_sha256")


@dataclass(slots=True)
class ArmAnswer:
    """What one arm's worker handed back."""

    traces: list[Trace] = field(default_factory=list)
    twins: dict[tuple[str, str], list[Quantities]] = field(
        default_factory=lambda: defaultdict(list)
    )
    loops: dict[str, Arrays] = field(default_factory=dict)
    epochs: dict[int, Arrays] = field(
        default_factory=dict
    )  # the first epoch as far as so many updates
    known: dict[str, Any] = field(default_factory=dict)
    failure: str = ""
    anew: bool = False  # it has an optimizer of its own, whose memory cannot be set


def gather_traces(
    planned: Planned,
    arms: Mapping[str, Planned],
    reference: Ground,
    root: Path,
    limit_s: float,
    say: Say,
) -> dict[str, ArmAnswer]:
    """Return what one backend's worker hands back of each of its arms.

    A failure is a failure of every arm that it leaves out.

    Args:
        planned: any of the backend's runs: where and on what it computes.
        arms: by implementation.
        reference: points and loops.
        root: where environments are.
        limit_s: for the worker.
        say: told what is being done.
    """
    request = planned.request
    answers = {
        name: ArmAnswer(anew=differences.has_own_slots(each.request.options))
        for name, each in arms.items()
    }
    points = _with_twins(reference)
    with scratch() as folder:
        answer = ask.run_task(
            _write_task(folder, points, reference, planned, arms),
            request.backend,
            planned.backend,
            root,
            device=request.device,
            threads=request.threads,
            limit_s=limit_s,
            on_event=lambda event: say(f"{request.backend}: {event['phase']}"),
        )
        failure = _failure_of(answer, request.backend)
        for each in answers.values():
            each.failure = failure
            each.known = {key: answer.get(key) for key in KNOWN}
        for entry in answer.get("traces", ()):
            arm, name = answers.get(entry["arm"]), f"{request.backend}/{entry['arm']}"
            _take_entry(arm, entry, folder, points, reference, name)
    return answers


def _failure_of(answer: Mapping[str, Any], backend: str) -> str:
    """Return why no arm of an answer can be judged, "" where they can."""
    if "refused" in answer:
        return str(answer["refused"])
    named = answer.get("backend")
    if named != backend:
        return f"the worker says that it is {named!r}, and was asked to be {backend!r}"
    return ""


def _with_twins(reference: Ground) -> dict[str, Point]:
    """Return the points, and each one's permutation twins."""
    points = dict(reference.points)
    for name, twins in reference.twins.items():
        for number, twin in enumerate(twins):
            permuted = twin.of(points[name], number)
            points[permuted.name] = permuted
    return points


def _write_task(
    folder: Path,
    points: Mapping[str, Point],
    reference: Ground,
    planned: Planned,
    arms: Mapping[str, Planned],
) -> dict[str, Any]:
    """Write what a worker reads, and return its job."""
    epoch = next(iter(reference.epochs.values()), None)
    if epoch:
        np.savez(folder / "start.npz", **epoch.start.arrays())  # type: ignore[arg-type]
        np.save(folder / "order.npy", epoch.order)
    for name, point in points.items():
        np.savez(folder / f"point-{name}.npz", **point.arrays())  # type: ignore[arg-type]
    several: dict[str, list[str]] = {}
    for name, epochs in reference.loops.items():
        several[name] = [str(folder / f"loop-{name}-{number}.npz") for number in range(len(epochs))]
        for file, (x, y) in zip(several[name], epochs, strict=True):
            np.savez(file, x=x, y=y)
    return {
        "task": "trace",
        "spec": planned.request.spec.model_dump(mode="json"),
        "arms": {
            name: {
                "module": arm.request.module,
                "options": arm.request.options,
                "anew": differences.has_own_slots(arm.request.options),
            }
            for name, arm in arms.items()
        },
        "points": {name: str(folder / f"point-{name}.npz") for name in points},
        "several": several,
        "epoch": epoch
        and {
            "spec": epoch.spec.model_dump(mode="json"),
            "start": str(folder / "start.npz"),
            "dataset": str(planned.dataset),
            "order": str(folder / "order.npy"),
            "stops": epoch.stops,
        },
        "instrumented": True,
        "folder": str(folder),
    }


def _take_entry(
    answers: ArmAnswer | None,
    entry: Mapping[str, Any],
    folder: Path,
    points: Mapping[str, Point],
    reference: Ground,
    arm: str,
) -> None:
    """Take one of a worker's files: a trace, a twin's or a loop's; one made from other points is a failure of the arm."""
    if answers is None:
        return
    if "failed" in entry:
        answers.failure = entry["failed"]
        return
    stops = {
        point_of(stop): (stop, each.start)
        for each in reference.epochs.values()
        for stop in each.stops
    }
    known = (
        {name: start for name, (_, start) in stops.items()}
        if entry["program"] == "epoch"
        else points
    )
    if entry["point"] not in known:
        answers.failure = (
            f"it handed back an update from {entry['point']!r}, which was not asked for"
        )
        return
    point = known[entry["point"]]
    if entry["read"] != point.sha256:
        answers.failure = f"its trace {entry['program']} {entry['point']} is of other inputs than were given: stale or foreign"
        return
    try:
        with (
            (folder / entry["file"]).open("rb") as file,
            np.load(file, allow_pickle=False) as archive,
        ):
            found = dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        answers.failure = f"its trace {entry['program']} {entry['point']} cannot be read ({error})"
        return
    if entry["program"] == "epoch":
        answers.epochs[stops[entry["point"]][0]] = found
    else:
        _take_arrays(answers, entry["program"], point, found, reference, arm)


def _take_arrays(
    answers: ArmAnswer, program: str, point: Point, found: Arrays, reference: Ground, arm: str
) -> None:
    """Take the arrays of a loop, an update or its twin."""
    name, twin, number = point.name.partition("~")
    if program == "loop":
        answers.loops[name] = found
        return
    trace = read_trace(reference.spec, point, arm, program, found, without_slots=answers.anew)
    if twin:
        undone = reference.twins[name][int(number)].undone(trace.quantities)
        answers.twins[program, name].append(undone)
    else:
        answers.traces.append(trace)
