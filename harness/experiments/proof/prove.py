"""The proof that the gate can fail, on NumPy.

Planted defects are caught, and changes that must not matter are not.

The samples are made up, so that it needs no dataset, no backend's environment and no network.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from harness.experiments.parity.gather import ArmAnswer
from harness.experiments.parity.judge import find_departures
from harness.experiments.proof.defects import DEFECTS, Defect, specs
from harness.experiments.proof.made_up import epoch_reference_of, reference_of
from harness.experiments.proof.null_changes import ORDERS
from harness.experiments.proof.sensitivity import Parts, Seen, curve
from harness.experiments.proof.student import Student
from harness.records.parity import Departure
from harness.referee import fixtures
from harness.referee.fixtures import Twin
from harness.referee.gates import Finding, kind_of
from harness.referee.ground import Ground
from harness.referee.trace import Trace, read_trace
from harness.spec.config import Spec

UNITS = 64  # of the hidden layer: the tests have the same with all 512
N_TWINS = 3  # of each point, none of them among those that set the floors
# The others take long.
ORDERS_OF_EPOCH = (
    *("no change", "sums in blocks of 64"),
    *("sums in float64", "probabilities a unit more"),
)
Margins = dict[tuple[str, str], float]
"""By kind of quantity and measure.

How many times the error fits into the gate, where it fits least.
"""


@dataclass(frozen=True, slots=True)
class Kill:
    """What became of a planted defect."""

    defect: Defect
    departures: tuple[Departure, ...]

    @property
    def stage(self) -> str:
        """Where it departs first; "" where it survived."""
        return self.departures[0].stage if self.departures else ""

    @property
    def production(self) -> str:
        """The same, were nothing laid open.

        What a program shows first that hands back outputs, loss and new state only.
        """
        return next((each.stage for each in self.departures if each.program != "instrumented"), "")

    @property
    def as_expected(self) -> bool:
        """Whether it was caught where it must be."""
        return self.stage == self.defect.at


@dataclass(frozen=True, slots=True)
class Trial:
    """What null changes are tried on."""

    spec_name: str
    reference: Ground
    seed: int = 0  # of its samples


@dataclass(frozen=True, slots=True)
class Null:
    """What became of a change that must not matter."""

    name: str
    spec_name: str
    seed: int
    n_comparisons: int  # traces and loops that were judged
    alarms: tuple[Departure, ...]
    margins: Margins


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether the gate fails where it must, and only there."""

    kills: tuple[Kill, ...]
    nulls: tuple[Null, ...]
    curve: tuple[Seen, ...]
    total_s: float

    @property
    def holds(self) -> bool:
        """Whether every defect is caught, no null change is an alarm, and small errors are seen."""
        return (
            all(kill.stage for kill in self.kills)
            and not any(null.alarms for null in self.nulls)
            and all(seen.kept for seen in self.curve)
        )


def prove(say: Callable[[str], None] = lambda what: None) -> Proof:
    """Return the proof: every defect, null changes under every spec, smallest errors that are seen.

    Args:
        say: told what is being done.
    """
    began = time.monotonic()
    kills: dict[str, Kill] = {}
    found: list[Null] = []
    seen: tuple[Seen, ...] = ()
    for name, spec in specs(UNITS).items():
        mine = [defect for defect in DEFECTS if defect.spec == name]
        say(f"{name}: referee")
        losses = {spec.loss_form, *(defect.loss for defect in mine)}
        reference, whole = reference_of(spec, losses), epoch_reference_of(spec, losses)
        trial, on_epoch = Trial(name, reference), Trial(name, whole)
        say(f"{name}: {len(mine)} defects")
        kills |= {
            defect.name: plant(whole if defect.late else reference, defect) for defect in mine
        }
        say(f"{name}: null changes")
        found += (*try_nulls(trial), *try_nulls_on_epoch(on_epoch))
        if not seen:
            say(f"{name}: sensitivity")
            seen = curve(partial(stage_at, reference))
    return Proof(
        tuple(kills[defect.name] for defect in DEFECTS),
        tuple(found),
        seen,
        time.monotonic() - began,
    )


def student_answer(reference: Ground, student: Student, *, loops: bool = True) -> ArmAnswer:
    """Return what the student hands back, as if a worker had.

    Its update from each point, by program, and its epochs.

    Args:
        reference: points, loops and epochs.
        student: the implementation of its spec.
        loops: whether it trains whole epochs in small, too.
    """
    found = ArmAnswer()
    for name, point in reference.points.items():
        of_point = student.trace(point)
        found.traces += [
            read_trace(reference.spec, point, "numpy/student", program, arrays)
            for program, arrays in of_point.items()
        ]
        if loops and name in reference.loops:
            found.loops[name] = student.loop(point, reference.loops[name])
    if reference.epochs:
        found.epochs = student.first_epoch(reference.epochs[student.loss])
    return found


def _twin_answer(reference: Ground, twins: Mapping[str, Twin], number: int) -> ArmAnswer:
    """Return the plain student's update from each point permuted, in the original order again."""
    traces: list[Trace] = []
    for name, point in reference.points.items():
        permuted = twins[name].of(point, number)
        trace = read_trace(
            reference.spec,
            permuted,
            "numpy/student",
            "instrumented",
            _student(reference).trace(permuted)["instrumented"],
        )
        traces.append(replace(trace, point=name, quantities=twins[name].undone(trace.quantities)))
    return ArmAnswer(traces)


def plant(reference: Ground, defect: Defect) -> Kill:
    """Plant a defect and return where it is caught."""
    found = student_answer(reference, defect.student(reference.spec))
    return Kill(defect, tuple(find_departures(reference, found, defect.loss, {})[1]))


def stage_at(reference: Ground, parts: Parts) -> str:
    """Return the stage at which one update of a student with those parts departs.

    "" where it does not.
    """
    found = student_answer(reference, _student(reference, **parts), loops=False)
    laid_open = ArmAnswer([trace for trace in found.traces if trace.program == "instrumented"])
    _, departures = find_departures(reference, laid_open, reference.spec.loss_form, {})
    return departures[0].stage if departures else ""


def try_nulls(trial: Trial, n_twins: int = N_TWINS) -> Iterable[Null]:
    """Yield what becomes of each null change.

    Sums in another order, then permutation twins that set no floor.
    """
    reference = trial.reference
    for name in ORDERS:
        yield _reordered(trial, name)
    twins = {
        name: fixtures.twins(reference.spec, point, n_twins, seed=1000 + trial.seed)
        for name, point in reference.points.items()
    }
    for number in range(n_twins):
        one = {name: several[number] for name, several in twins.items()}
        answer = _twin_answer(reference, one, number)
        yield _null(f"permutation twin {number}", trial, answer)


def try_nulls_on_epoch(trial: Trial) -> Iterable[Null]:
    """Yield what becomes of the whole first epoch where its sums are made in another order."""
    return (_reordered(trial, name) for name in ORDERS_OF_EPOCH)


def _reordered(trial: Trial, name: str) -> Null:
    """Return what becomes of one of ORDERS."""
    student = _student(trial.reference, **ORDERS[name])
    return _null(name, trial, student_answer(trial.reference, student))


def _student(reference: Ground, **parts: Any) -> Student:
    """Return an implementation of what a reference is of, with some parts replaced."""
    return Student(reference.spec, reference.spec.loss_form, **parts)


def _null(name: str, trial: Trial, found: ArmAnswer) -> Null:
    spec = trial.reference.spec
    findings, departures = find_departures(trial.reference, found, spec.loss_form, {})
    return Null(
        name,
        trial.spec_name,
        trial.seed,
        len(found.traces) + len(found.loops) + len(found.epochs),
        tuple(departures),
        margins(spec, findings),
    )


def margins(spec: Spec, findings: Iterable[tuple[str, Finding]]) -> Margins:
    """Return the least margin of each gate.

    By kind of quantity, of epochs "loop KIND" or "epoch KIND", and measure.
    """
    found: Margins = {}
    for where, finding in findings:
        program, kind = where.partition(" ")[0], finding.quantity.partition("/")[0]
        kind = (
            f"{program} {kind}" if program in ("loop", "epoch") else kind_of(spec, finding.quantity)
        )
        found[kind, finding.measure] = min(
            finding.margin, found.get((kind, finding.measure), float("inf"))
        )
    return found


def least_margins(several: Iterable[Null]) -> Margins:
    """Return the least margin of each gate over null changes, the tightest gate first."""
    found: Margins = {}
    for null in several:
        found |= {
            gate: min(margin, found.get(gate, float("inf")))
            for gate, margin in null.margins.items()
        }
    return dict(sorted(found.items(), key=lambda pair: pair[1]))
