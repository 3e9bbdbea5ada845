"""Values of options that are numbers, or a word in their place."""

from __future__ import annotations

from harness.errors import ConfigError, shown


def parse_threads(text: str | None) -> int | str | None:
    """Return the number that --threads names, or its text, for the protocol to accept or refuse."""
    return int(text) if text and is_count(text) else text


def is_count(text: str) -> bool:
    """Say whether a text is a number of things that a machine has, in plain digits."""
    return text.isascii() and text.isdecimal() and len(text) < 10


def parse_seconds(text: str) -> float:
    """Return the seconds that 90s, 10m or 1h say, as --budget has them."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], text[-1]) if text and text[-1] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 1e6:
        expected = "seconds, minutes or hours, as 90s, 10m or 1h"
        raise ConfigError(f"--budget: expected {expected}; received {shown(text)}")
    return seconds
