"""Checks of the bench itself -> terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from harness.judge.self_check import Check

MARKS = {True: ("holds ", "green"), False: ("FAILS ", "red"), None: ("open  ", "yellow")}


def terminal(checks: Sequence[Check], session_id: str) -> RenderableType:
    """Return what a terminal shows: each promise with what was found, and what it was found in."""
    lines: list[RenderableType] = [Text(f"self-check of the bench, session {session_id or 'none'}", style="bold")]
    for check in checks:
        mark, style = MARKS[check.holds]
        lines.append(Text.assemble((mark, style), f"{check.promise}: {check.found}"))
    return Group(*lines)
