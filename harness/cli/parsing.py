"""Values of options that are numbers, or a word in their place."""

from __future__ import annotations


def parse_threads(text: str | None) -> int | str | None:
    """Return the number that --threads names, or its text, for the protocol to accept or refuse."""
    return int(text) if text and is_count(text) else text


def is_count(text: str) -> bool:
    """Say whether a text is a number of things that a machine has, in plain digits."""
    return text.isascii() and text.isdecimal() and len(text) < 10
