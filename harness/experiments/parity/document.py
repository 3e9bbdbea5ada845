"""Parity -> terminal, Markdown, JUnit XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType

from harness.records.parity import ArmParity, Departure, Parity
from harness.report.fitting import Fitting, Sentence, columns_of
from harness.report.markdown import bar
from harness.safe import attributes, for_markdown, for_xml, short

FREE_HEADER = (
    "trained freely",
    "verdict",
    "drift from the referee, largest over seeds, after so many updates",
    "test accuracy, by seed",
)
PAIR_HEADER = (
    "pair",
    "accuracy, points (90 %)",
    "TOST ±0.25",
    "flips",
    "D_CLASS ≥ 8",
    "D_MAD",
    "barrier",
)
FULL_LEGEND = (
    "drift without a gate: float32 alone has drifted past 1e-2 there, and weights say nothing. TOST: inconclusive is no pass. flips, "
    "D_CLASS: of the test images, by seed. D_MAD, barrier (of the loss on the line between two ends): the largest over seeds."
)
LONGEST = 1000  # characters of a sentence that the check itself has made
STYLES = {"AGREES": "green", "DEPARTS": "red", "FAILED": "red"}
HEADER = ("arm", "verdict", "margin", "tightest gate", "gates", "values")
WHOLE = "harness parity --markdown FILE"
LEGEND = (
    "agrees: from every given state one update of the arm is the float64 referee's, to what float32 rounding costs. margin: how many times "
    "the error fits into the gate, at the gate where it fits least. values: numbers compared."
)


EPOCH_LEGEND = (
    "epoch: the whole first epoch in one go, at a hundredth of the rate, where float32 trainings "
    "stay together; as far as that update."
)
PARTS = {
    "quick": "the quick form of the gate: the results table says agrees (quick)",
    "part": "a part of the gate: it gives no arm a verdict in the results table, and a departure is one",
}


def terminal(parity: Parity) -> RenderableType:
    """Return what a terminal shows: the verdict of each arm, and of one that departs where, by how much and why."""
    columns = columns_of(
        HEADER, ("arm", "verdict", "tightest gate"), ("tightest gate", "gates", "values")
    )
    return Group(
        Sentence(heading(parity), "bold"),
        Fitting(columns, tuple(_row(arm) for arm in parity.arms), STYLES, WHOLE),
        *_free_runs(parity),
        *(Sentence(line, style) for line, style in lines(parity)),
        *(Sentence(legend, "dim") for legend in legends(parity)),
    )


def heading(parity: Parity) -> str:
    """Return what was checked, in one line."""
    return f"parity of {parity.spec_name}, {parity.data.name} ({parity.data.sha256[:8]}), seed {parity.seed}"


def lines(parity: Parity) -> list[tuple[str, str]]:
    """Return the sentences under the table, each with its colour: departures, round trips, documented differences, remarks."""
    found = [(f"{arm.name}: {line}", "red") for arm in parity.arms for line in told(arm)]
    found += _round_trips(parity)
    if parity.verdict == "oracle suspect":
        found.append(
            (
                "! all arms depart from the referee alike, and agree with each other: suspect the referee",
                "yellow",
            )
        )
    found += [
        (PARTS[scope], "dim") for scope in sorted({arm.scope for arm in parity.arms} - {"whole"})
    ]
    found += [(f"documented: {short(line, LONGEST)}", "dim") for line in parity.documented]
    return found + [(f"! {short(line, LONGEST)}", "yellow") for line in parity.remarks]


def legends(parity: Parity) -> tuple[str, ...]:
    """Return what the columns mean."""
    followed = any(place.startswith("epoch ") for arm in parity.arms for place in arm.covers)
    return (LEGEND, *([EPOCH_LEGEND] if followed else []), *([FULL_LEGEND] if parity.pairs else []))


def brief(parity: Parity) -> list[tuple[str, str]]:
    """Return what a check in the quick form found, in one line and one for each departure, each with its colour."""
    agreeing = [arm.name for arm in parity.arms if arm.verdict == "agrees"]
    said = f"parity, quick form: {len(agreeing)} of {len(parity.arms)} arms agree with the referee ({parity.total_s:.0f} s)"
    style = "green" if len(agreeing) == len(parity.arms) else "red"
    return [
        (said, style),
        *(
            (f"{arm.name}: {line}", "red")
            for arm in parity.arms
            if arm.verdict != "agrees"
            for line in told(arm)
        ),
    ]


def markdown(parity: Parity) -> str:
    """Return the same as GitHub-flavoured Markdown."""
    tables: list[tuple[Sequence[str], Sequence[tuple[str, ...]]]] = [
        (HEADER, [_row(arm) for arm in parity.arms])
    ]
    if parity.free_runs:
        tables += [(FREE_HEADER, free_rows(parity)), (PAIR_HEADER, pair_rows(parity))]
    text = [f"**{for_markdown(heading(parity))}**", ""]
    for header, rows in tables:
        text += [bar(header), bar(["---"] * len(header)), *(bar(row) for row in rows), ""]
    return "\n".join(
        [*text, *(f"- {for_markdown(line)}" for line, _ in lines(parity)), "", *legends(parity), ""]
    )


def _free_runs(parity: Parity) -> list[RenderableType]:
    """Return the trainings left to themselves, and each two arms as functions."""
    if not parity.free_runs:
        return []
    runs = Fitting(columns_of(FREE_HEADER, FREE_HEADER), tuple(free_rows(parity)))
    pairs = columns_of(PAIR_HEADER, PAIR_HEADER, ("barrier", "flips", "D_MAD", "D_CLASS ≥ 8"))
    return [runs, Fitting(pairs, tuple(pair_rows(parity)), whole=WHOLE)]


def free_rows(parity: Parity) -> list[tuple[str, ...]]:
    """Return one row an arm of its trainings: drift from the referee, largest over seeds, and accuracy seed by seed."""
    rows: list[tuple[str, ...]] = []
    for name in dict.fromkeys(run.name for run in parity.free_runs):
        runs = [run for run in parity.free_runs if run.name == name]
        drifts = []
        for update in runs[0].drift:
            worst = max(run.drift[update] or 0.0 for run in runs)
            drifts.append(f"{update}: {worst:.1e}{_least([run.gates[update] for run in runs])}")
        accuracies = " ".join(f"{run.test_accuracy:.4f}" for run in runs)
        verdict = "departs" if any(run.verdict == "departs" for run in runs) else "agrees"
        rows.append((name, verdict, ", ".join(drifts), accuracies))
    return rows


def _least(gates: Sequence[float | None]) -> str:
    """Return the tightest of an update's gates, "" where a run has none there."""
    known = [gate for gate in gates if gate is not None]
    return f" (gate {min(known):.0e})" if len(known) == len(gates) else ""


def pair_rows(parity: Parity) -> list[tuple[str, ...]]:
    """Return one row for each two arms: how alike their trained models answer, seed by seed."""
    rows: list[tuple[str, ...]] = []
    for pair in parity.pairs:
        mean = sum(pair.difference_points) / len(pair.difference_points)
        interval = f"{mean:+.3f}" + (
            f" ({pair.interval_points[0]:+.3f} to {pair.interval_points[1]:+.3f})"
            if pair.interval_points
            else ""
        )
        figures = (pair.flips, pair.n_d_class)
        several = [" ".join(map(str, values)) for values in figures]
        rest = (f"{max(pair.d_mad):.4f}", f"{max(pair.barrier):+.4f}")
        rows.append((f"{pair.one} - {pair.other}", interval, pair.verdict, *several, *rest))
    return rows


def told(arm: ArmParity) -> Iterable[str]:
    """Return the sentences on an arm that does not agree: its failure, or its first departures, one a quantity."""
    if arm.verdict == "failed":
        return [short(arm.reason)]
    first: dict[tuple[str, str], Departure] = {}
    for departure in arm.departures:
        first.setdefault((departure.program, departure.quantity), departure)
    return [whole(departure) for departure in first.values()]


def whole(departure: Departure) -> str:
    """Return one departure with what follows from it and what does not."""
    parts = [f"departs at {departure.program} {departure.point}, {departure.quantity}"]
    if departure.error is not None and departure.gate is not None:
        parts[0] += f": {departure.error:.2g} {departure.measure}, gate {departure.gate:.2g}"
    parts += [part for part in (departure.fit, departure.where and f"in {departure.where}") if part]
    if departure.explained:
        parts.append(f"explains {_some(departure.explained)}")
    if departure.likewise:
        parts.append(f"likewise {_some(departure.likewise)}")
    if departure.unexplained:
        parts.append(f"does not explain {_some(departure.unexplained)}: a second fault")
    return "; ".join(parts)


def junit(parity: Parity) -> str:
    """Return JUnit XML: a test case an arm and a round trip, for a CI that shows it."""
    cases = [(arm.name, arm.verdict, list(told(arm)) or [arm.reason]) for arm in parity.arms]
    cases += [
        (f"round trip {trip.name}", trip.verdict, [trip.reason]) for trip in parity.round_trips
    ]
    n_bad = sum(verdict != "agrees" for _, verdict, _ in cases)
    suite = ET.Element(
        "testsuite",
        attributes({"name": f"parity {parity.spec_name}", "timestamp": parity.started_at}),
        tests=str(len(cases)),
        failures=str(sum(verdict == "departs" for _, verdict, _ in cases)),
        errors=str(sum(verdict == "failed" for _, verdict, _ in cases)),
        time=f"{parity.total_s:.3f}",
    )
    for name, verdict, lines in cases:
        named = {"classname": f"parity.{parity.spec_name}", "name": name}
        case = ET.SubElement(suite, "testcase", attributes(named))
        if verdict != "agrees":
            tag = "error" if verdict == "failed" else "failure"
            message = attributes({"message": lines[0]})
            ET.SubElement(case, tag, message).text = for_xml("\n".join(lines))
    whole_file = ET.Element("testsuites", tests=str(len(cases)), failures=str(n_bad))
    whole_file.append(suite)
    ET.indent(whole_file)
    return ET.tostring(whole_file, encoding="unicode", xml_declaration=True) + "\n"


def _round_trips(parity: Parity) -> list[tuple[str, str]]:
    """Return one line where the model came back from every file to the bit, and one more for each reason why it did not."""
    trips = parity.round_trips
    if not trips:
        return []
    n_equal = sum(trip.verdict == "agrees" for trip in trips)
    n_told = sum(bool(trip.alone) for trip in trips)
    line = f"round trips: {n_equal} of {len(trips)} bitwise equal: weights, slots, count of updates, learning rate"
    line += f"; {n_told} as documented below" if n_told else ""
    reasons: dict[str, list[str]] = {}
    for trip in trips:
        if trip.verdict != "agrees":
            reasons.setdefault(trip.reason, []).append(trip.name)
    said = [
        (f"round trip {_some(names)}: {short(reason)}", "red") for reason, names in reasons.items()
    ]
    return [(line, "green" if n_equal == len(trips) else "red"), *said]


def _row(arm: ArmParity) -> tuple[str, ...]:
    """Return an arm as text, in the order of HEADER."""
    figures = (
        (f"{arm.margin:.1f}", arm.tightest, str(arm.n_gates), f"{arm.n_compared:,}")
        if arm.margin is not None
        else ("-",) * 4
    )
    return (arm.name, arm.verdict.upper(), *figures)


def _some(names: Iterable[str]) -> str:
    several = list(names)
    return ", ".join(several[:3]) + (f" and {len(several) - 3} more" if len(several) > 3 else "")
