"""Parity checks -> charts: is it the same model, and where does one part from it?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from harness.errors.safe import short
from harness.experiments.parity.document import told
from harness.records.parity import ArmParity, FreeRun, Gate, Parity, stage
from harness.report.charts import Axis, Chart, Curves, Heat, Point, Square, Tile, tabulate
from harness.report.document import NONE, Column, Table, listed, words

GATE = "gate"
TIGHTEST = "tightest gate"  # of records that hold no more
INPUTS = "inputs"  # a state that does not read back as it was set
STEPS = (-2.0, -1.0, math.log10(0.5), 1e-12)  # of log10(error / gate)
NAMES = ("below 1 % of its gate", "below 10 %", "below half", "within its gate", "beyond it")
LEAST, MOST = -6.0, 6.0
READING = (
    "Rows are the quantities of one update in the order of a step, from the first layer's outputs "
    "to the new weights; then those of two small epochs (loop), and of the first epoch as far as "
    "an update (epoch); the number is the margin, how many times the worst error of that quantity "
    "fits into its gate (1 and more: it holds). The first wrong quantity of an arm has a ring: "
    "what lies below it may only follow."
)

ONLY_TIGHTEST = (
    "These checks, of a version before 0.6, keep no more than each arm's tightest gate; the number "
    "is its margin, how many times the error fits into the gate (1 and more: it holds)."
)


def newest_of(checks: Iterable[Parity]) -> dict[str, ArmParity]:
    """Return the newest check of each arm; one that keeps its gates goes before the others."""
    found: dict[str, ArmParity] = {}
    for check in sorted(checks, key=lambda check: check.started_at):
        for arm in check.arms:
            before = found.get(arm.name)
            if before is None or arm.gates or not before.gates:
                found[arm.name] = arm
    return found


def tile(arms: Iterable[ArmParity]) -> Tile:
    """Return whether it is the same model."""
    several = tuple(arms)
    n_agree = sum(arm.verdict == "agrees" for arm in several)
    whole = n_agree == len(several)
    answer = "yes" if whole else f"{n_agree} of {len(several)} arms"
    more = "every update is the float64 referee's" if whole else "the others depart, or failed"
    return Tile("Is it the same model?", answer, more, "good" if whole else "bad")


def heat(arms: Mapping[str, ArmParity]) -> Chart | None:
    """Return how far each quantity of a step is off, in each arm, by what it may be off."""
    shown = {name: found for name, arm in arms.items() if (found := _worst(arm))}
    if not shown:
        return None
    rows = _in_order(shown.values())
    squares = [
        Square(quantity, name, _value(gate), _margin(gate), quantity == _first(arms[name]))
        for name, found in shown.items()
        for quantity, gate in found.items()
    ]
    table = Table(
        (*words("quantity"), *(Column(short(name, 60)) for name in shown)),
        tuple(
            (row, *(_margin(found[row]) if row in found else NONE for found in shown.values()))
            for row in rows
        ),
    )
    picture = Heat(tuple(rows), tuple(shown), tuple(squares), STEPS, NAMES)
    reading = ONLY_TIGHTEST if tuple(rows) == (TIGHTEST,) else READING
    return Chart("parity", "Is it the same model?", _finding(arms), reading, table, picture)


def _finding(arms: Mapping[str, ArmParity]) -> str:
    others = [arm for arm in arms.values() if arm.verdict != "agrees"]
    if others:
        what = (f"{arm.name} {(told(arm) or [arm.reason])[0]}" for arm in others[:2])
        more = f" and {len(others) - 2} more" if len(others) > 2 else ""
        return f"{len(arms) - len(others)} of {len(arms)} arms agree; {'; '.join(what)}{more}."
    known = [arm for arm in arms.values() if arm.margin is not None]
    if not known:
        return f"All {len(arms)} arms agree with the float64 referee."
    least = min(known, key=lambda arm: arm.margin or math.inf)
    return (
        f"All {len(arms)} arms agree with the float64 referee; the tightest gate is "
        f"{least.name}'s, whose error would fit into it {least.margin:.1f} times "
        f"({least.tightest})."
    )


def _worst(arm: ArmParity) -> dict[str, Gate]:
    """Return the gate of each quantity at which its error fits least, by its row."""
    if not arm.gates and arm.margin is not None:  # a record before 0.6
        return {TIGHTEST: Gate(TIGHTEST, "", 1.0, arm.margin, None, arm.n_compared)}
    found: dict[str, Gate] = {}
    for place, gates in arm.gates.items():
        program, _, point = place.partition(" ")
        for gate in gates:
            row = stage(program, point, gate.quantity)
            if row not in found or gate.margin < found[row].margin:
                found[row] = gate
    first = _first(arm)  # what was read back of the state has no gate
    unread = {first: Gate(first, "exact", None, 0.0, None, 0)}
    return found if first in ("", *found) else {**unread, **found}


def _in_order(several: Iterable[Mapping[str, Gate]]) -> Sequence[str]:
    """Return all quantities in the order of a step: that of the arm which shows most."""
    ordered = sorted(several, key=len, reverse=True)
    rows = dict.fromkeys(row for found in ordered for row in found)
    return sorted(rows, key=lambda row: row != INPUTS)  # in their order, but for what comes first


def _first(arm: ArmParity) -> str:
    """Return the first quantity that is wrong in itself; "" where none is."""
    if arm.verdict != "departs":
        return ""
    return arm.departures[0].stage if arm.gates and arm.departures else TIGHTEST


def _value(gate: Gate) -> float:
    """Return log10 of the error to its gate."""
    margin = gate.margin
    return MOST if margin <= 0 else min(MOST, max(LEAST, -math.log10(margin)))


def _margin(gate: Gate) -> str:
    margin = gate.margin
    if margin == 0 or math.isinf(margin):
        return "exact" if margin else "0"
    if margin < 0.01:
        return f"{margin:.0e}"
    if margin >= 1000:
        return ">999"
    return f"{margin:.2g}" if margin < 100 else f"{margin:.0f}"


def drift(checks: Iterable[Parity]) -> Chart | None:
    """Return how far trainings left to themselves drift from the referee's."""
    runs = [run for check in checks for run in check.free_runs]
    points, gates = _drifts(runs)
    if not points:
        return None
    limits = tuple(Point(GATE, at, gate) for at, gate in gates.items())
    return Chart(
        "drift",
        "Where does it part, left to itself?",
        _drift_finding(points, [run.name for run in runs if run.verdict == "departs"]),
        "The relative distance of the kernel that is farthest off, the largest over seeds, after "
        "so many updates. The dotted line joins the gates; past its end float32 alone has drifted "
        "so far that weights say nothing.",
        tabulate((*points, *limits), lambda at: Column(f"update {at:g}"), "{:.1e}".format),
        Curves(
            points,
            Axis("updates", "log"),
            Axis("relative distance of weights", "log"),
            limits=limits,
        ),
    )


def _drifts(runs: Iterable[FreeRun]) -> tuple[tuple[Point, ...], Mapping[int, float]]:
    """Return the largest drift of each arm at each update, and the tightest gate there."""
    largest: dict[tuple[str, int], float] = {}
    gates: dict[int, float] = {}
    for run in runs:
        for update, value in run.drift.items():
            at, gate = int(update), run.gates.get(update)
            largest[run.name, at] = max(value or 0.0, largest.get((run.name, at), 0.0))
            if gate is not None:
                gates[at] = min(gate, gates.get(at, gate))
    points = (Point(name, at, value) for (name, at), value in largest.items() if value > 0)
    return tuple(points), gates


def _drift_finding(points: Iterable[Point], beyond: Sequence[str]) -> str:
    ends = {point.series: point for point in sorted(points, key=lambda point: point.x)}
    last = max(point.x for point in ends.values())
    told = listed(f"{name} {point.y:.1e}" for name, point in ends.items())
    passed = listed(dict.fromkeys(beyond)) if beyond else "none"
    finding = f"After {last:g} updates the weights lie apart from the referee's by {told}"
    return f"{finding}; beyond a gate: {passed}."
