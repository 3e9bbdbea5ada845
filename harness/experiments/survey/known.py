"""Differences of Keras's backends that are documented, with their reasons: known.toml."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.experiments.survey.departure import Departure

KNOWN = Path(__file__).parent / "known.toml"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a documented difference shows: patterns, all of which must match."""

    items: tuple[str, ...]
    what: tuple[str, ...] = ("*",)
    quantities: tuple[str, ...] = ("*",)
    below: float = float("inf")  # its size is less
    says: str = ""  # a regular expression of all that it says; "" where anything may be said

    def has(self, one: Departure) -> bool:
        """Return whether a departure is here."""
        return (
            matches(one.item, self.items)
            and matches(one.what, self.what)
            and matches(one.quantity, self.quantities)
            and (one.size is None or one.size < self.below)
            and (not self.says or bool(re.fullmatch(self.says, one.says)))
        )


@dataclass(frozen=True, slots=True)
class Known:
    """A difference that is documented, with its reason."""

    name: str
    reason: str
    places: tuple[Place, ...]
    backends: tuple[str, ...] = ("*",)  # frameworks that may be apart, as patterns
    new: bool = False  # found by this survey, and in no list of Keras's that was seen
    cause: str = ""
    newest: str = ""  # whether the newest Keras has it

    def explains(self, one: Departure, frameworks: Mapping[str, str]) -> bool:
        """Return whether a departure is this difference; of two backends neither is alone."""
        theirs = [matches(frameworks[backend], self.backends) for backend in one.apart]
        is_theirs = all(theirs) or (any(theirs) and len(frameworks) == len(theirs) == 2)
        return is_theirs and any(place.has(one) for place in self.places)

    def is_of(self, item: str) -> bool:
        """Return whether an item may show it."""
        return any(matches(item, place.items) for place in self.places)


def matches(text: str, patterns: Sequence[str]) -> bool:
    """Return whether a text is one of those that patterns mean."""
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def load_known() -> tuple[Known, ...]:
    """Return the differences that are documented, in known.toml."""
    tables = tomllib.loads(KNOWN.read_text(encoding="utf-8"))["known"]
    return tuple(map(_known, tables))


def _known(table: Mapping[str, Any]) -> Known:
    places = tuple(Place(**_frozen(place)) for place in table["places"])
    return Known(**_frozen(table) | {"places": places})


def _frozen(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(each) if isinstance(each, list) else each for key, each in table.items()}
