"""GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from harness.safe import for_markdown, short


def bar(values: Sequence[str]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(for_markdown(short(value)) for value in values)} |"
