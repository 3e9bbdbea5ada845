"""Checks of the bench itself -> terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from harness.judge.self_check import Check
from harness.safe import one_line

MARKS = {True: ("holds ", "green"), False: ("FAILS ", "red"), None: ("open  ", "yellow")}


def terminal(checks: Sequence[Check], session_id: str) -> RenderableType:
    """Return what a terminal shows: each promise with what was found, and what it was found in."""
    title = one_line(f"self-check of the bench, session {session_id or 'none'}")
    lines: list[RenderableType] = [Text(title, style="bold")]
    for check in checks:
        mark, style = MARKS[check.holds]
        lines.append(Text.assemble((mark, style), one_line(f"{check.promise}: {check.found}")))
    return Group(*lines)
