"""catalogue.toml -> entries: what is computed, with which arguments and inputs."""

from __future__ import annotations

import fnmatch
import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "catalogue.toml"
SECTIONS = (  # of catalogue.toml that have entries, which are modules of Keras
    *("layers", "activations", "losses", "metrics", "optimizers", "optimizers.schedules"),
    *("regularizers", "constraints", "initializers", "ops", "ops.image"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the catalogue, with what its section says beside it."""

    module: str
    name: str
    number: int  # among those of its name, from 1
    arguments: str
    inputs: tuple[str, ...]
    call: str
    then: str = ""
    variations: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """What of Keras it is of: "layers.Dense"."""
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True)
class Program:
    """Lines that are no call of one thing: a model that is trained, say."""

    name: str
    inputs: tuple[str, ...]
    setup: tuple[str, ...]
    call: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a survey can compute, and what it leaves out."""

    entries: tuple[Entry, ...]
    programs: tuple[Program, ...]
    no_computation: Mapping[str, str]  # patterns of names, and why they are not counted
    not_covered: Mapping[str, str]  # the same, and why they are left out
    quick: frozenset[str]
    digest: str

    def reason_of(self, name: str) -> str:
        """Return why something of Keras, as "layers.Layer", is left out; "" where nothing says."""
        return _reason(name, self.not_covered)

    def is_counted(self, name: str) -> bool:
        """Return whether something of Keras, as "layers.Layer", computes something by itself."""
        return not _reason(name, self.no_computation)


def _reason(name: str, reasons: Mapping[str, str]) -> str:
    """Return the reason beside the first pattern that means a name; "" where there is none."""
    last = name.rpartition(".")[2]
    for pattern, reason in reasons.items():
        if fnmatch.fnmatchcase(name, pattern) or pattern == f"* {last}":
            return reason
    return ""


def load() -> Catalogue:
    """Return the catalogue that comes with the harness."""
    content = FILE.read_bytes()
    tables = tomllib.loads(content.decode())
    programs = tuple(
        Program(name, _inputs(table.get("inputs", "")), tuple(table["setup"]), table["call"])
        for name, table in tables["programs"].items()
    )
    return Catalogue(
        entries=tuple(entry for module in SECTIONS for entry in _entries(module, tables)),
        programs=programs,
        no_computation=tables["no_computation"],
        not_covered=tables["not_covered"],
        quick=frozenset(tables["quick"]["names"].split()),
        digest=hashlib.sha256(content).hexdigest(),
    )


def _entries(module: str, tables: Mapping[str, Any]) -> Iterator[Entry]:
    """Yield the entries of one section, those of one name together."""
    section = dict(tables[module])
    varied = tables["variations"].get(module, "")
    lines: dict[str, list[str]] = {}
    variations: dict[str, str] = {}
    for line in section.pop("like", []):
        names, bar, rest = line.partition("|")
        text, _, own = rest.rpartition("|") if bar else ("", "", varied)
        for name in names.split():
            lines[name] = [text]
            variations[name] = own
    for name, own_lines in section.items():
        lines.setdefault(name, []).extend(own_lines)
    for name, texts in lines.items():
        parsed = dict.fromkeys(_parse(text, tables["defaults"][module]) for text in texts)
        for number, parts in enumerate(parsed, start=1):
            first = tuple(variations.get(name, varied).split()) if number == 1 else ()
            yield Entry(module, name, number, *parts, variations=first)


def _parse(text: str, default: str) -> tuple[str, tuple[str, ...], str, str]:
    """Return arguments, inputs, call and statement of an entry; its section's where it has none."""
    usual, given = _parts(default), _parts(text) if text else []
    arguments, inputs, call, then, *_ = [*given, *usual[len(given) :], "", "", ""]
    return arguments, _inputs(inputs), call, then


def _parts(text: str) -> list[str]:
    """Return the parts of an entry; its first one may be empty."""
    return [part.strip() for part in f" {text} ".split("| ")]


def _inputs(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())
