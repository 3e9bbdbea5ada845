"""Gate -> terminal, Markdown, JSON, JUnit XML."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType

from harness.judge.gate import Gate
from harness.judge.regression import Change
from harness.judge.statistics import Interval
from harness.report.bench import plain
from harness.report.fitting import NONE, Fitting, Sentence, columns_of, span
from harness.report.table import bar

STYLES = {"regressed": "red", "failed": "red", "suspected": "yellow", "inconclusive": "yellow", "improved": "green", "unchanged": "cyan"}
OUTCOMES = {"passed": "green", "regressed": "red", "inconclusive": "yellow"}
WORDS = ("arm", "verdict")
HEADER = ("arm", "verdict", "change", "ratio then", "ratio now", "change again", "generations")
MAY_BE_LEFT_OUT = ("change again", "ratio now", "ratio then", "generations")
WHOLE = "harness gate --markdown FILE"
LEGEND = (
    "ratio: an arm's epoch to the baseline's, in pairs; change: the ratio now to the ratio then, with 95 % intervals over generations. "
    "regressed: the interval excludes 1, by more than the threshold and than identical code differed by in either session, and does so "
    "again in fresh blocks (change again); not confirmed: there it does not. unchanged: a slowdown by more than the tolerance is excluded. "
    "generations: then and now."
)


def terminal(gate: Gate) -> RenderableType:
    """Return what a terminal shows: what it comes to, what has become of each arm, and what makes it less sure."""
    return Group(
        Sentence(heading(gate), "bold"),
        Sentence(verdict(gate), OUTCOMES[gate.outcome]),
        Fitting(columns_of(HEADER, WORDS, MAY_BE_LEFT_OUT), tuple(_row(gate, each) for each in gate.changes), STYLES, WHOLE),
        *(Sentence(line, "yellow") for line in lines(gate)),
        Sentence(LEGEND, "dim"),
    )


def markdown(gate: Gate) -> str:
    """Return the same as GitHub-flavoured Markdown."""
    text = [f"**{heading(gate)}**", "", verdict(gate), "", bar(HEADER), bar(["---" if name in WORDS else "---:" for name in HEADER])]
    text += [*(bar(_row(gate, change)) for change in gate.changes), ""]
    return "\n".join([*text, *(f"- {line.removeprefix('! ')}" for line in lines(gate)), "", LEGEND, ""])


def heading(gate: Gate) -> str:
    """Return what was compared, in one line."""
    now, then = gate.head.session, gate.base.session
    return f"gate of {now.spec_name}, {now.host.machine}: session {now.run_id} against {then.run_id}, ratios to {now.baseline}"


def verdict(gate: Gate) -> str:
    """Return what the gate comes to, in one sentence; where something is left to do, what to type."""
    named = {finding: [change for change in gate.changes if gate.finding(change) == finding] for finding in ("regressed", "suspected")}
    failed = [f"{change.name} no longer trains: {change.reason}" for change in gate.changes if gate.finding(change) == "failed"]
    if failed:
        return f"FAILED: {'; '.join(failed)}"
    if gate.outcome == "regressed":
        said = [f"{change.name} takes {_interval(change.change)} times what it took" for change in named["regressed"]]
        return f"REGRESSED, confirmed in fresh blocks: {'; '.join(said)}"
    if named["suspected"]:
        names = ", ".join(change.name for change in named["suspected"])
        return f"INCONCLUSIVE: {names} may have regressed, which fresh blocks have not confirmed. Run harness gate without --no-confirm"
    if gate.outcome == "inconclusive":
        names = ", ".join(_could(change) for change in gate.changes if gate.finding(change) == "inconclusive")
        return f"INCONCLUSIVE: nothing is known to have regressed, but a slowdown of {gate.tolerance:.0%} is not excluded for {names}"
    what = f"none of {len(gate.changes)} arms is" if len(gate.changes) > 1 else "the arm is not"
    return f"PASSED: {what} slower by more than {gate.tolerance:.0%}, with 95 % confidence each"


def _could(change: Change) -> str:
    """Return an arm with the least slowdown that its two sessions exclude."""
    known = change.change is not None and math.isfinite(change.change.high)
    return f"{change.name} (one of {change.change.high - 1:.0%} is)" if change.change and known else change.name


def lines(gate: Gate) -> list[str]:
    """Return the sentences under the table: why arms are inconclusive, then remarks."""
    unclear = [change for change in gate.changes if gate.finding(change) != "unchanged"]
    said = [f"{change.name}: {gate.finding(change)}: {reason}" for change in unclear if (reason := _reason(gate, change))]
    return [*said, *(f"note: {remark}" for remark in gate.remarks)]


def junit(gate: Gate) -> str:
    """Return JUnit XML: a test case an arm, skipped where nothing sure can be said of it."""
    found = [(change, gate.finding(change)) for change in gate.changes]
    n_failures = sum(finding in ("regressed", "failed") for _, finding in found)
    n_skipped = sum(finding in ("inconclusive", "suspected") for _, finding in found)
    counts = {"tests": str(len(found)), "failures": str(n_failures), "errors": "0", "skipped": str(n_skipped)}
    whole = ET.Element("testsuites", counts)
    session = gate.head.session
    suite = ET.SubElement(whole, "testsuite", {"name": f"gate {session.spec_name}", "timestamp": session.started_at, **counts})
    for change, finding in found:
        case = ET.SubElement(suite, "testcase", classname=f"gate.{session.spec_name}", name=change.name)
        message = f"{finding}: {_interval(change.change)} times what it took" + (f"; {reason}" if (reason := _reason(gate, change)) else "")
        if finding in ("regressed", "failed", "inconclusive", "suspected"):
            ET.SubElement(case, "failure" if finding in ("regressed", "failed") else "skipped", message=message)
    ET.indent(whole)
    return ET.tostring(whole, encoding="unicode", xml_declaration=True) + "\n"


def as_json(gate: Gate) -> str:
    """Return what has become of each arm, and which sessions say so."""
    whole = {
        "outcome": gate.outcome,
        "head": gate.head.session.run_id,
        "base": gate.base.session.run_id,
        "confirmation": gate.session_again or None,
        "arms": [{"finding": gate.finding(each), **asdict(each), "again": _again(gate, each)} for each in gate.changes],
        "remarks": gate.remarks,
    }
    return json.dumps(plain(whole), indent=1, allow_nan=False) + "\n"


def _again(gate: Gate, change: Change) -> dict[str, Any] | None:
    return asdict(gate.again[change.name]) if change.name in gate.again else None


def _row(gate: Gate, change: Change) -> tuple[str, ...]:
    second = gate.again.get(change.name) if change.name in gate.suspects else None
    then, now = change.n_generations
    intervals = (change.change, change.base, change.head, second.change if second else None)
    return (change.name, gate.finding(change), *map(_interval, intervals), f"{then} and {now}")


def _reason(gate: Gate, change: Change) -> str:
    """Return why nothing sure is said of an arm: in the first look, or in the second."""
    second = gate.again.get(change.name) if change.name in gate.suspects else None
    return second.reason if second else change.reason


def _interval(interval: Interval | None) -> str:
    return span(interval.low, interval.mid, interval.high, 3 if interval.mid < 10 else 1) if interval else NONE
