"""Parity -> Document: the verdict of each arm, and of one that departs where, how far and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.errors.safe import short
from harness.records.parity import ArmParity, Departure, FreeRun, Parity
from harness.report.document import (
    NONE,
    Block,
    Case,
    Cell,
    Column,
    Document,
    Heading,
    Outcome,
    Paragraph,
    Sentence,
    Suite,
    Table,
    Tone,
    sentences,
    some,
    words,
)

COLUMNS = (
    Column("arm", align="left"),
    Column("verdict", align="left"),
    Column("margin"),
    Column("tightest gate", 1, align="left"),
    Column("gates", 2),
    Column("values", 3),
)
FREE_COLUMNS = words(
    "trained freely",
    "verdict",
    "drift from the referee, largest over seeds, after so many updates",
    "test accuracy, by seed",
)
PAIR_COLUMNS = (
    *words("pair", "accuracy, points (90 %)", "TOST ±0.25"),
    Column("flips", 2, align="left"),
    Column("D_CLASS ≥ 8", 4, align="left"),
    Column("D_MAD", 3, align="left"),
    Column("barrier", 1, align="left"),
)
LONGEST = 1000  # characters of a sentence that the check itself has made
TONES: dict[str, Tone] = {"agrees": "good", "departs": "bad", "failed": "bad"}
SEE_ALL = "harness parity --markdown FILE"
LEGEND = (
    "agrees: from every given state one update of the arm is the float64 referee's, to what "
    "float32 rounding costs. margin: how many times the error fits into the gate, at the gate "
    "where it fits least. values: numbers compared."
)
EPOCH_LEGEND = (
    "epoch: the whole first epoch in one go, at a hundredth of the rate, where float32 trainings "
    "stay together; as far as that update."
)
FULL_LEGEND = (
    "drift without a gate: float32 alone has drifted past 1e-2 there, and weights say nothing. "
    "TOST: inconclusive is no pass. flips, D_CLASS: of the test images, by seed. D_MAD, barrier "
    "(of the loss on the line between two ends): the largest over seeds."
)
PARTS = {
    "quick": "the quick form of the gate: the results table says agrees (quick)",
    "part": "a part of the gate: it gives no arm a verdict in the results table, and a departure "
    "is one",
}
SUSPECT = "! all arms depart from the referee alike, and agree with each other: suspect the referee"


def compose(parity: Parity) -> Document:
    """Return each arm's verdict; of one that departs where it does, by how much and why."""
    return Document(
        (
            Heading(heading(parity)),
            Table(COLUMNS, tuple(map(_row, parity.arms)), SEE_ALL),
            *_free_runs(parity),
            *lines(parity),
            Paragraph(legends(parity), "aside"),
        ),
        data=parity,
        suite=_suite(parity),
    )


def heading(parity: Parity) -> str:
    """Return what was checked, in one line."""
    data = f"{parity.data.name} ({parity.data.sha256[:8]})"
    several = f", {parity.replicas} devices" if parity.replicas > 1 else ""
    return f"parity of {parity.spec_name}, {data}, seed {parity.seed}{several}"


def lines(parity: Parity) -> tuple[Sentence, ...]:
    """Return the sentences under the tables: departures, round trips, differences, remarks."""
    parts = sorted({arm.scope for arm in parity.arms} - {"whole"})
    documented = (f"documented: {short(line, LONGEST)}" for line in parity.documented)
    remarks = [f"! {short(line, LONGEST)}" for line in parity.remarks]
    suspect = [SUSPECT] if parity.verdict == "oracle suspect" else []
    return (
        *sentences(_departures(parity), "bad"),
        *_round_trips(parity),
        *sentences(suspect, "warning"),
        *sentences((PARTS[scope] for scope in parts), "aside"),
        *sentences(documented, "aside"),
        *sentences(remarks, "warning"),
    )


def legends(parity: Parity) -> tuple[str, ...]:
    """Return what the columns mean."""
    followed = any(place.startswith("epoch ") for arm in parity.arms for place in arm.covers)
    return (LEGEND, *([EPOCH_LEGEND] if followed else []), *([FULL_LEGEND] if parity.pairs else []))


def compose_brief(parity: Parity) -> Document:
    """Return what a check in the quick form found, in one line and one for each departure."""
    n_agree = sum(arm.verdict == "agrees" for arm in parity.arms)
    agree = f"{n_agree} of {len(parity.arms)} arms agree with the referee"
    line = f"parity, quick form: {agree} ({parity.total_s:.0f} s)"
    tone: Tone = "good" if n_agree == len(parity.arms) else "bad"
    return Document((Sentence(line, tone), *sentences(_departures(parity), "bad")))


def _departures(parity: Parity) -> Iterable[str]:
    return (f"{arm.name}: {line}" for arm in parity.arms for line in told(arm))


def _free_runs(parity: Parity) -> tuple[Block, ...]:
    """Return the trainings left to themselves, and each two arms as functions."""
    if not parity.free_runs:
        return ()
    runs = Table(FREE_COLUMNS, tuple(free_rows(parity)))
    return runs, Table(PAIR_COLUMNS, tuple(pair_rows(parity)), SEE_ALL)


def free_rows(parity: Parity) -> Iterable[tuple[str, ...]]:
    """Return a row an arm of its trainings: drift from the referee, and accuracy by seed."""
    for name in dict.fromkeys(run.name for run in parity.free_runs):
        runs = [run for run in parity.free_runs if run.name == name]
        told = (update for update in runs[0].drift if _is_told(runs, update))
        drifts = ", ".join(_drift(runs, update) for update in told)
        accuracies = " ".join(f"{run.test_accuracy:.4f}" for run in runs)
        verdict = "departs" if any(run.verdict == "departs" for run in runs) else "agrees"
        yield (name, verdict, drifts, accuracies)


def _is_told(runs: Sequence[FreeRun], update: str) -> bool:
    """Say whether a drift is held to a gate, or is the last one: the page's figure has all."""
    return update == [*runs[0].drift][-1] or any(run.gates[update] for run in runs)


def _drift(runs: Sequence[FreeRun], update: str) -> str:
    """Return the largest drift at an update, and its tightest gate where each run has one there."""
    gates = [gate for run in runs if (gate := run.gates[update]) is not None]
    tightest = f" (gate {min(gates):.0e})" if len(gates) == len(runs) else ""
    return f"{update}: {max(run.drift[update] or 0.0 for run in runs):.1e}{tightest}"


def pair_rows(parity: Parity) -> Iterable[tuple[str, ...]]:
    """Return a row for each two arms: how alike their trained models answer, seed by seed."""
    for pair in parity.pairs:
        points = f"{sum(pair.difference_points) / len(pair.difference_points):+.3f}"
        if pair.interval_points:
            points += " ({:+.3f} to {:+.3f})".format(*pair.interval_points)
        several = [" ".join(map(str, values)) for values in (pair.flips, pair.n_d_class)]
        rest = (f"{max(pair.d_mad):.4f}", f"{max(pair.barrier):+.4f}")
        yield (f"{pair.one} - {pair.other}", points, pair.verdict, *several, *rest)


def told(arm: ArmParity) -> Sequence[str]:
    """Return why an arm does not agree: its failure, or its first departure in each quantity."""
    if arm.verdict == "failed":
        return [short(arm.reason)]
    first: dict[tuple[str, str], Departure] = {}
    for departure in arm.departures:
        first.setdefault((departure.program, departure.quantity), departure)
    return [full_sentence(departure) for departure in first.values()]


def full_sentence(departure: Departure) -> str:
    """Return one departure with what follows from it and what does not."""
    parts = [f"departs at {departure.program} {departure.point}, {departure.quantity}"]
    if departure.error is not None and departure.gate is not None:
        parts[0] += f": {departure.error:.2g} {departure.measure}, gate {departure.gate:.2g}"
    parts += [part for part in (departure.fit, departure.where and f"in {departure.where}") if part]
    if departure.explained:
        parts.append(f"explains {some(departure.explained)}")
    if departure.likewise:
        parts.append(f"likewise {some(departure.likewise)}")
    if departure.unexplained:
        parts.append(f"does not explain {some(departure.unexplained)}: a second fault")
    return "; ".join(parts)


def _suite(parity: Parity) -> Suite:
    """Return a test case for each arm and each round trip."""
    cases = [(arm.name, arm.verdict, list(told(arm)) or [arm.reason]) for arm in parity.arms]
    cases += [
        (f"round trip {trip.name}", trip.verdict, [trip.reason]) for trip in parity.round_trips
    ]
    made = (_case(name, verdict, reasons) for name, verdict, reasons in cases)
    return Suite("parity", parity.spec_name, parity.started_at, tuple(made), parity.total_s)


def _case(name: str, verdict: str, reasons: Sequence[str]) -> Case:
    if verdict == "agrees":
        return Case(name)
    outcome: Outcome = "error" if verdict == "failed" else "failure"
    return Case(name, outcome, reasons[0], "\n".join(reasons))


def _round_trips(parity: Parity) -> Iterable[Sentence]:
    """Yield how many files gave the model back to the bit, and each reason why one did not."""
    trips = parity.round_trips
    if not trips:
        return
    n_equal = sum(trip.verdict == "agrees" for trip in trips)
    n_documented = sum(bool(trip.alone) for trip in trips)
    equal = "bitwise equal: weights, slots, count of updates, learning rate"
    line = f"round trips: {n_equal} of {len(trips)} {equal}"
    line += f"; {n_documented} as documented below" if n_documented else ""
    yield Sentence(line, "good" if n_equal == len(trips) else "bad")
    reasons: dict[str, list[str]] = {}
    for trip in trips:
        if trip.verdict != "agrees":
            reasons.setdefault(trip.reason, []).append(trip.name)
    for reason, names in reasons.items():
        yield Sentence(f"round trip {some(names)}: {short(reason)}", "bad")


def _row(arm: ArmParity) -> tuple[str | Cell, ...]:
    """Return an arm as text, in the order of COLUMNS."""
    verdict = Cell(arm.verdict.upper(), TONES[arm.verdict])
    if arm.margin is None:
        return (arm.name, verdict, *[NONE] * 4)
    counts = (str(arm.n_gates), f"{arm.n_compared:,}")
    return (arm.name, verdict, f"{arm.margin:.1f}", arm.tightest, *counts)
