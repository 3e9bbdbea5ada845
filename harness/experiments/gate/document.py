"""Gate -> terminal, Markdown, JSON, JUnit XML."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType

from harness.experiments.bench.export import plain
from harness.experiments.bench.lead import unchecked_sentence
from harness.experiments.gate.judge import Gate
from harness.experiments.gate.regression import Change
from harness.records.verdicts import NOT_CHECKED
from harness.report.fitting import NONE, Fitting, Sentence, columns_of, span
from harness.report.markdown import bar
from harness.safe import attributes, for_markdown, short
from harness.statistics.intervals import Interval

STYLES = {
    "regressed": "red",
    "failed": "red",
    "suspected": "yellow",
    "inconclusive": "yellow",
    "slower within tolerance": "yellow",
    "improved": "green",
    "unchanged": "cyan",
}
OUTCOMES = {"passed": "green", "regressed": "red", "inconclusive": "yellow"}
WORDS = ("arm", "verdict", "accuracy", "parity")
HEADER = (
    "arm",
    "verdict",
    "change",
    "ratio then",
    "ratio now",
    "change again",
    "generations",
    "accuracy",
    "parity",
)
MAY_BE_LEFT_OUT = ("change again", "ratio now", "ratio then", "generations", "parity", "accuracy")
WHOLE = "harness gate --markdown FILE"
LEGEND = (
    "ratio: an arm's epoch to the baseline's, in pairs; change: the ratio now to the ratio then, "
    "with 95 % intervals over generations, each by itself. regressed: the interval excludes 1, "
    "by more than the threshold and than identical code differed by in either session, with 95 % "
    "confidence for all changes together, does so again in fresh blocks (change again), and "
    "reaches beyond the tolerance; slower within tolerance: the same, but a slowdown by more "
    "than the tolerance is excluded; not confirmed: fresh blocks do not say so. unchanged: a "
    "slowdown by more than the tolerance is excluded. failed: it no longer trains, its accuracy "
    "is different, or its parity departs or failed, whatever its time. accuracy: paired by seed, "
    "to the earlier session's and to the baseline's, the worse of the two (TOST, 0.25 points). "
    "generations: then and now."
)


def terminal(gate: Gate) -> RenderableType:
    """Return what a terminal shows: the outcome, each arm, and what makes it less sure."""
    return Group(
        Sentence(heading(gate), "bold"),
        Sentence(verdict(gate), OUTCOMES[gate.outcome]),
        Fitting(
            columns_of(HEADER, WORDS, MAY_BE_LEFT_OUT),
            tuple(_row(gate, each) for each in gate.changes),
            STYLES,
            WHOLE,
        ),
        *(Sentence(line, "yellow") for line in lines(gate)),
        Sentence(LEGEND, "dim"),
    )


def markdown(gate: Gate) -> str:
    """Return the same as GitHub-flavoured Markdown."""
    text = [f"**{for_markdown(heading(gate))}**", "", for_markdown(verdict(gate)), "", bar(HEADER)]
    text += [bar(["---" if name in WORDS else "---:" for name in HEADER])]
    text += [*(bar(_row(gate, change)) for change in gate.changes), ""]
    said = (line.removeprefix("! ") for line in lines(gate))
    return "\n".join([*text, *(f"- {for_markdown(line)}" for line in said), "", LEGEND, ""])


def heading(gate: Gate) -> str:
    """Return what was compared, in one line."""
    now, then = gate.head.session, gate.base.session
    return (
        f"gate of {now.spec_name}, {now.host.machine}: session {now.run_id} against "
        f"{then.run_id}, ratios to {now.baseline}"
    )


def verdict(gate: Gate) -> str:
    """Return the outcome in one sentence; where something is left to do, what to type."""
    named = {
        finding: [change for change in gate.changes if gate.finding(change) == finding]
        for finding in ("regressed", "suspected")
    }
    if gate.failures:
        return f"FAILED: {'; '.join(_failed(gate, name) for name in gate.failures)}"
    if gate.outcome == "regressed":
        said = [
            f"{change.name} takes {_interval(change.change)} times what it took"
            for change in named["regressed"]
        ]
        return f"REGRESSED, confirmed in fresh blocks: {'; '.join(said)}"
    if named["suspected"]:
        names = ", ".join(change.name for change in named["suspected"])
        return (
            f"INCONCLUSIVE: {names} may have regressed, which fresh blocks have not confirmed. "
            f"Run harness gate without --no-confirm"
        )
    if gate.outcome == "inconclusive":
        names = ", ".join(
            _could(change) for change in gate.changes if gate.finding(change) == "inconclusive"
        )
        return (
            f"INCONCLUSIVE: nothing is known to have regressed, but a slowdown of "
            f"{gate.tolerance:.0%} is not excluded for {names}"
        )
    what = f"none of {len(gate.changes)} arms is" if len(gate.changes) > 1 else "the arm is not"
    passed = (
        f"PASSED: {what} slower by more than {gate.tolerance:.0%}, with 95 % confidence "
        f"each{_slower_within(gate)}"
    )
    open_ones = [each.name for each in gate.numbers if each.parity == NOT_CHECKED]
    return ". ".join(
        [passed, unchecked_sentence(open_ones, len(gate.numbers))] if open_ones else [passed]
    )


def _failed(gate: Gate, name: str) -> str:
    """Return an arm with why it has failed."""
    which = f"{name}, the baseline of all ratios" if name == gate.head.session.baseline else name
    return f"{which}{' ' if name in gate.head.set_aside else ': '}{short(gate.failures[name])}"


def _slower_within(gate: Gate) -> str:
    """Return which arms are slower within the tolerance, by how much; "" where none is."""
    said = []
    for change in gate.changes:
        if gate.finding(change) == "slower within tolerance":
            last = gate.again[change.name] if change.name in gate.suspects else change
            said.append(f"{change.name} takes {_interval(last.change)} times what it took")
    return f"; slower within the tolerance: {', '.join(said)}" if said else ""


def _could(change: Change) -> str:
    """Return an arm with the least slowdown that its two sessions exclude."""
    known = change.change is not None and math.isfinite(change.change.high)
    return (
        f"{change.name} (one of {change.change.high - 1:.0%} is)"
        if change.change and known
        else change.name
    )


def lines(gate: Gate) -> list[str]:
    """Return the sentences under the table: why arms are inconclusive, then remarks."""
    unclear = [change for change in gate.changes if gate.finding(change) != "unchanged"]
    said = [
        f"{change.name}: {gate.finding(change)}: {reason}"
        for change in unclear
        if (reason := _reason(gate, change))
    ]
    return [*said, *(f"note: {remark}" for remark in gate.remarks)]


def junit(gate: Gate) -> str:
    """Return JUnit XML: a case for each arm, skipped where nothing sure can be said of it."""
    cases = {change.name: _case(gate, change) for change in gate.changes}
    cases |= {name: ("failure", f"failed: {why}") for name, why in gate.failures.items()}
    kinds = [kind for kind, _ in cases.values()]
    counts = {
        "tests": str(len(cases)),
        "failures": str(kinds.count("failure")),
        "errors": "0",
        "skipped": str(kinds.count("skipped")),
    }
    whole = ET.Element("testsuites", counts)
    session = gate.head.session
    about = attributes({"name": f"gate {session.spec_name}", "timestamp": session.started_at})
    suite = ET.SubElement(whole, "testsuite", {**about, **counts})
    for name, (kind, message) in cases.items():
        named = {"classname": f"gate.{session.spec_name}", "name": name}
        case = ET.SubElement(suite, "testcase", attributes(named))
        if kind:
            ET.SubElement(case, kind, attributes({"message": message}))
    ET.indent(whole)
    return ET.tostring(whole, encoding="unicode", xml_declaration=True) + "\n"


def _case(gate: Gate, change: Change) -> tuple[str, str]:
    """Return what a test case holds for an arm's time, "" where it passed, and the message."""
    finding = gate.finding(change)
    reason = _reason(gate, change)
    message = f"{finding}: {_interval(change.change)} times what it took" + (
        f"; {reason}" if reason else ""
    )
    return {"regressed": "failure", "inconclusive": "skipped", "suspected": "skipped"}.get(
        finding, ""
    ), message


def as_json(gate: Gate) -> str:
    """Return what has become of each arm, and which sessions say so."""
    whole = {
        "outcome": gate.outcome,
        "head": gate.head.session.run_id,
        "base": gate.base.session.run_id,
        "confirmation": gate.session_again or None,
        "arms": [
            {"finding": gate.finding(each), **asdict(each), "again": _again(gate, each)}
            for each in gate.changes
        ],
        "numbers": [
            {"failed": gate.failures.get(each.name, ""), **asdict(each)} for each in gate.numbers
        ],
        "remarks": gate.remarks,
    }
    return json.dumps(plain(whole), indent=1, allow_nan=False) + "\n"


def _again(gate: Gate, change: Change) -> dict[str, Any] | None:
    return asdict(gate.again[change.name]) if change.name in gate.again else None


def _row(gate: Gate, change: Change) -> tuple[str, ...]:
    second = gate.again.get(change.name) if change.name in gate.suspects else None
    then, now = change.n_generations
    intervals = (change.change, change.base, change.head, second.change if second else None)
    numbers = next(each for each in gate.numbers if each.name == change.name)
    ends = (f"{then} and {now}", numbers.accuracy or NONE, numbers.parity)
    return (change.name, gate.finding(change), *map(_interval, intervals), *ends)


def _reason(gate: Gate, change: Change) -> str:
    """Return why an arm has failed, or why nothing sure is said of it."""
    if change.name in gate.failures:
        return gate.failures[change.name]
    second = gate.again.get(change.name) if change.name in gate.suspects else None
    return short(second.reason if second else change.reason)


def _interval(interval: Interval | None) -> str:
    return (
        span(interval.low, interval.mid, interval.high, 3 if interval.mid < 10 else 1)
        if interval
        else NONE
    )
