"""Gate -> Document: the outcome, each arm, and what makes it less sure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from harness.errors.safe import short
from harness.experiments.bench.lead_document import unchecked_sentence
from harness.experiments.gate.judge import Gate
from harness.experiments.gate.regression import Change
from harness.records.verdicts import NOT_CHECKED
from harness.report.document import (
    NONE,
    Case,
    Cell,
    Column,
    Document,
    Heading,
    Paragraph,
    Sentence,
    Suite,
    Table,
    Tone,
    sentences,
)
from harness.report.numbers import ratio
from harness.report.remarks import Remark, sentence_of

TONES: dict[str, Tone] = {
    "regressed": "bad",
    "failed": "bad",
    "suspected": "warning",
    "inconclusive": "warning",
    "slower within tolerance": "warning",
    "improved": "good",
    "unchanged": "equal",
}
OUTCOMES: dict[str, Tone] = {"passed": "good", "regressed": "bad", "inconclusive": "warning"}
COLUMNS = (
    Column("arm", align="left"),
    Column("verdict", align="left"),
    Column("change"),
    Column("ratio then", 3),
    Column("ratio now", 2),
    Column("change again", 1),
    Column("generations", 4),
    Column("accuracy", 6, align="left"),
    Column("parity", 5, align="left"),
)
SEE_ALL = "harness gate --markdown FILE"
SENTENCES = {
    "another machine": "machine: not the same one there and here, only its description agrees",
    "machine described": "machine: only its description is known to agree: a session says nothing "
    "else of it",
    "differs": "{0}: {1} there, {2} here",
    "no common arm": "no arm is in both",
    "one session only": "{names}: only {0}, so nothing is said of it",
    "another arm": "{names}: {0} there, {1} here, so it is another arm",
    "unpaired": "{names}: accuracy is not compared with the earlier session's: {0}",
    "accuracy unclear": "{names}: equal accuracy is not known, or an equal metric with a margin: "
    "too few generations, or too much noise (TOST is inconclusive)",
}
LEGEND = (
    "ratio: an arm's epoch to the baseline's, in pairs; change: the ratio now to the ratio then, "
    "with 95 % intervals over generations, each by itself. regressed: the interval excludes 1, "
    "by more than the threshold and than identical code differed by in either session, with 95 % "
    "confidence for all changes together, does so again in fresh blocks (change again), and "
    "reaches beyond the tolerance; slower within tolerance: the same, but a slowdown by more "
    "than the tolerance is excluded; not confirmed: fresh blocks do not say so. unchanged: a "
    "slowdown by more than the tolerance is excluded. failed: it no longer trains, its accuracy "
    "is different, or its parity departs or failed, whatever its time. accuracy: paired by seed, "
    "to the earlier session's and to the baseline's, the worse of the two (TOST, 0.25 points; of a "
    "model of your own each metric with a margin). "
    "generations: then and now."
)


def compose(gate: Gate) -> Document:
    """Return the outcome, each arm, and what makes it less sure."""
    return Document(
        (
            Heading(heading(gate)),
            Paragraph((verdict(gate),), OUTCOMES[gate.outcome]),
            Table(COLUMNS, tuple(row_of(gate, each) for each in gate.changes), SEE_ALL),
            *sentences(lines(gate), "warning"),
            Paragraph((LEGEND,), "aside"),
        ),
        data=_findings(gate),
        suite=_suite(gate),
    )


def refusal(sentence: str, differences: tuple[str, ...]) -> Document:
    """Return why two sessions must not be compared."""
    title = Heading("gate: not comparable")
    return Document((title, Paragraph((sentence,)), *map(Sentence, differences)))


def told(remarks: Iterable[Remark]) -> tuple[str, ...]:
    """Return remarks of a gate in words."""
    return tuple(sentence_of(remark, SENTENCES) for remark in remarks)


def heading(gate: Gate) -> str:
    """Return what was compared, in one line."""
    now, then = gate.head.session, gate.base.session
    return (
        f"gate of {now.spec_name}, {now.host.machine}: session {now.run_id} against "
        f"{then.run_id}, ratios to {now.baseline}"
    )


def verdict(gate: Gate) -> str:
    """Return the outcome in one sentence; where something is left to do, what to type."""
    by_finding: dict[str, list[Change]] = defaultdict(list)
    for change in gate.changes:
        by_finding[gate.finding(change)].append(change)
    if gate.failures:
        return f"FAILED: {'; '.join(_failed(gate, name) for name in gate.failures)}"
    if gate.outcome == "regressed":
        takes = "; ".join(map(_takes, by_finding["regressed"]))
        return f"REGRESSED, confirmed in fresh blocks: {takes}"
    if suspected := by_finding["suspected"]:
        names = ", ".join(change.name for change in suspected)
        return (
            f"INCONCLUSIVE: {names} may have regressed, which fresh blocks have not confirmed. "
            f"Run harness gate without --no-confirm"
        )
    if gate.outcome == "inconclusive":
        names = ", ".join(map(_could, by_finding["inconclusive"]))
        return (
            f"INCONCLUSIVE: nothing is known to have regressed, but a slowdown of "
            f"{gate.tolerance:.0%} is not excluded for {names}"
        )
    return _passed(gate, by_finding["slower within tolerance"])


def _passed(gate: Gate, slower: list[Change]) -> str:
    what = f"none of {len(gate.changes)} arms is" if len(gate.changes) > 1 else "the arm is not"
    limit = f"slower by more than {gate.tolerance:.0%}, with 95 % confidence each"
    passed = f"PASSED: {what} {limit}"
    if slower:
        last = (_second(gate, change) or change for change in slower)
        passed += f"; slower within the tolerance: {', '.join(map(_takes, last))}"
    open_ones = [each.name for each in gate.numbers if each.parity == NOT_CHECKED]
    unchecked = unchecked_sentence(open_ones, len(gate.numbers), "nox -s parity")
    return f"{passed}. {unchecked}" if unchecked else passed


def _takes(change: Change) -> str:
    return f"{change.name} takes {ratio(change.change)} times what it took"


def _failed(gate: Gate, name: str) -> str:
    """Return an arm with why it has failed."""
    which = f"{name}, the baseline of all ratios" if name == gate.head.session.baseline else name
    return f"{which}{' ' if name in gate.head.set_aside else ': '}{short(gate.failures[name])}"


def _could(change: Change) -> str:
    """Return an arm with the least slowdown that its two sessions exclude."""
    if change.change is None or not math.isfinite(change.change.high):
        return change.name
    return f"{change.name} (one of {change.change.high - 1:.0%} is)"


def lines(gate: Gate) -> list[str]:
    """Return the sentences under the table: why arms are inconclusive, then remarks."""
    found = []
    for change in gate.changes:
        finding, reason = gate.finding(change), _reason(gate, change)
        if finding != "unchanged" and reason:
            found.append(f"{change.name}: {finding}: {reason}")
    return [*found, *(f"note: {remark}" for remark in told(gate.remarks))]


def _suite(gate: Gate) -> Suite:
    """Return a case for each arm, skipped where nothing sure can be said of it."""
    cases = {change.name: _case(gate, change) for change in gate.changes}
    for name, why in gate.failures.items():
        cases[name] = Case(name, "failure", f"failed: {why}")
    session = gate.head.session
    return Suite("gate", session.spec_name, session.started_at, tuple(cases.values()))


def _case(gate: Gate, change: Change) -> Case:
    """Return the test case of an arm's time."""
    finding, reason = gate.finding(change), _reason(gate, change)
    message = f"{finding}: {ratio(change.change)} times what it took"
    message += f"; {reason}" if reason else ""
    if finding == "regressed":
        return Case(change.name, "failure", message)
    open_ = finding in ("inconclusive", "suspected")
    return Case(change.name, "skipped" if open_ else "", message)


def _findings(gate: Gate) -> dict[str, Any]:
    """Return what has become of each arm, and which sessions say so."""
    again = {name: asdict(change) for name, change in gate.again.items()}
    return {
        "outcome": gate.outcome,
        "head": gate.head.session.run_id,
        "base": gate.base.session.run_id,
        "confirmation": gate.session_again or None,
        "arms": [
            {"finding": gate.finding(each), **asdict(each), "again": again.get(each.name)}
            for each in gate.changes
        ],
        "numbers": [
            {"failed": gate.failures.get(each.name, ""), **asdict(each)} for each in gate.numbers
        ],
        "remarks": told(gate.remarks),
    }


def _second(gate: Gate, change: Change) -> Change | None:
    """Return the second look at a suspect, where there was one."""
    return gate.again.get(change.name) if change.name in gate.suspects else None


def row_of(gate: Gate, change: Change) -> tuple[str | Cell, ...]:
    """Return an arm's change as text, in the order of COLUMNS."""
    second, finding = _second(gate, change), gate.finding(change)
    then, now = change.n_generations
    intervals = (change.change, change.base, change.head, second.change if second else None)
    numbers = next(each for each in gate.numbers if each.name == change.name)
    ends = (f"{then} and {now}", numbers.accuracy or NONE, numbers.parity)
    verdict = Cell(finding, TONES.get(finding, "plain"))
    return (change.name, verdict, *map(ratio, intervals), *ends)


def _reason(gate: Gate, change: Change) -> str:
    """Return why an arm has failed, or why nothing sure is said of it."""
    if change.name in gate.failures:
        return gate.failures[change.name]
    return short((_second(gate, change) or change).reason)
