"""Checks of the bench itself -> terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType

from harness.experiments.bench.self_check import Check
from harness.report.fitting import Sentence

MARKS = {True: ("holds", "green"), False: ("FAILS", "red"), None: ("open ", "yellow")}


def terminal(checks: Sequence[Check], session_id: str) -> RenderableType:
    """Return what a terminal shows: each promise with what was found, and what it was found in."""
    title = Sentence(f"self-check of the bench, session {session_id or 'none'}", "bold")
    marked = [(check, *MARKS[check.holds]) for check in checks]
    return Group(
        title,
        *(
            Sentence(f"{mark} {check.promise}: {check.found}", style)
            for check, mark, style in marked
        ),
    )
