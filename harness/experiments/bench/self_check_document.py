"""Checks of the bench itself -> Document."""

from __future__ import annotations

from collections.abc import Sequence

from harness.experiments.bench.self_check import Check
from harness.report.document import Document, Heading, Sentence, Tone

MARKS: dict[bool | None, tuple[str, Tone]] = {
    True: ("holds", "good"),
    False: ("FAILS", "bad"),
    None: ("open ", "warning"),
}


def compose(checks: Sequence[Check], session_id: str) -> Document:
    """Return each promise with what was found, and what it was found in."""
    found = []
    for check in checks:
        mark, tone = MARKS[check.holds]
        found.append(Sentence(f"{mark} {check.promise}: {check.found}", tone))
    title = Heading(f"self-check of the bench, session {session_id or 'none'}")
    return Document((title, *found))
