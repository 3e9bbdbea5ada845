"""Records of a survey -> departures: which backend is alone, in what, and whether that is known."""

from __future__ import annotations

import fnmatch
import statistics
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from harness.experiments.survey.compare import FEW_UNITS, KERNEL, UNIT
from harness.experiments.survey.departure import GATE, Departure, What, shows
from harness.records.survey import Item, Quantity, Surveyed

AMPLIFIED = 100 * 2.0**-53 / UNIT  # what float64's rounding may make of what float32's does
KNOWN = Path(__file__).parent / "known.toml"


@dataclass(frozen=True, slots=True)
class Known:
    """A difference that is documented, with its reason."""

    name: str
    reason: str
    items: tuple[str, ...]  # patterns
    backends: tuple[str, ...] = ("*",)  # frameworks that may be apart, as patterns
    what: tuple[str, ...] = ("*",)
    quantities: tuple[str, ...] = ("*",)
    below: float = float("inf")  # its size is less
    new: bool = False  # found by this survey, and in no list of Keras's that was seen
    cause: str = ""
    newest: str = ""  # whether the newest Keras has it

    def explains(self, one: Departure, frameworks: Mapping[str, str]) -> bool:
        """Return whether a departure is this difference."""
        return (
            _matches(one.item, self.items)
            and _matches(one.what, self.what)
            and _matches(one.quantity, self.quantities)
            and (one.size is None or one.size < self.below)
            and all(_matches(frameworks[backend], self.backends) for backend in one.apart)
        )


def _matches(text: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def load_known() -> tuple[Known, ...]:
    """Return the differences that are documented, in known.toml."""
    tables = tomllib.loads(KNOWN.read_text(encoding="utf-8"))["known"]
    return tuple(map(_known, tables))


def _known(table: Mapping[str, Any]) -> Known:
    fields: dict[str, Any] = {
        key: tuple(each) if isinstance(each, list) else each for key, each in table.items()
    }
    return Known(**fields)


@dataclass(slots=True)
class Group:
    """Departures of one kind: the same thing of Keras, the same quantities, the same backends."""

    known: Known | None
    found: list[Departure] = field(default_factory=list)
    confirmed: bool | None = None  # by its script; None where none has run
    script: str = ""
    lines: tuple[str, ...] = ()  # what it printed, by backend

    @property
    def worst(self) -> Departure:
        """The departure that a script is made of: the largest one that has a number."""
        return max(self.found, key=lambda one: (one.size or 0.0, one.kind == "output"))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a survey says."""

    surveyed: Surveyed
    groups: tuple[Group, ...]
    not_found: tuple[Known, ...]  # that should have been found again
    everywhere: tuple[tuple[str, str], ...]  # items that fail on every backend, and what is said
    unjudged: tuple[tuple[str, str, str], ...]  # what float64 cannot run there: item, backend, why

    @property
    def unknown(self) -> tuple[Group, ...]:
        """What no reason is known for, confirmed by its script."""
        return tuple(each for each in self.groups if not each.known and _counts(each))


def _counts(group: Group) -> bool:
    return group.confirmed is not False and not group.worst.is_remark


def judge(surveyed: Surveyed) -> Verdict:
    """Return what a survey says, each departure with its reason where one is known."""
    survey = surveyed.survey
    frameworks = dict(zip(survey.backends, survey.frameworks, strict=True))
    known = load_known()
    groups: dict[tuple[object, ...], Group] = {}
    found_here = [one for item in surveyed.items for one in departures(item, surveyed)]
    for one in found_here:
        reason = _reason_of(one, known, frameworks)
        key = (reason.name,) if reason else (one.what, one.subject, one.kind, one.apart)
        groups.setdefault(key, Group(reason)).found.append(one)
    found = tuple(groups.values())
    _add_scripts(found, surveyed)
    names = {each.known.name for each in found if each.known}
    return Verdict(
        surveyed,
        found,
        tuple(each for each in known if each.name not in names and _was_asked(each, surveyed)),
        tuple(_everywhere(surveyed)),
        tuple(_unjudged(surveyed)),
    )


def _reason_of(
    one: Departure, known: Sequence[Known], frameworks: Mapping[str, str]
) -> Known | None:
    return next((each for each in known if each.explains(one, frameworks)), None)


def _was_asked(known: Known, surveyed: Surveyed) -> bool:
    """Return whether a survey computed something that a known difference is of, where it is."""
    asked = any(_matches(item.name, known.items) for item in surveyed.items)
    return asked and any(_matches(each, known.backends) for each in surveyed.survey.frameworks)


def departures(item: Item, surveyed: Surveyed) -> Iterator[Departure]:
    """Yield every departure of an item."""
    backends = surveyed.survey.backends
    yield from _failures(item, backends)
    asks_float64 = item.name.endswith(", float64")
    failed = {one for by_backend in item.failures.values() for one in by_backend}
    for one in item.quantities:
        if asks_float64:
            yield from _short(item, one, backends, failed)
            continue
        apart, size = _alone(one, surveyed)
        about = (item.name, item.subject, one.name)
        if apart:
            yield Departure("value", *about, apart, size, "", one.place, one.values)
        else:
            yield from _kernel(item, one, backends)
        yield from _unlike("shape", item, one.name, one.shapes, backends, failed)
        yield from _unlike("dtype", item, one.name, one.dtypes, backends, failed)


def _failures(item: Item, backends: Sequence[str]) -> Iterator[Departure]:
    for stage, by_backend in item.failures.items():
        if stage.endswith(", float64") or len(by_backend) == len(backends):
            continue
        what: What = "input" if " input " in f" {stage}" else "failure"
        apart = tuple(each for each in backends if each in by_backend)
        quantity = "output" if stage == "setup" else stage
        yield Departure(what, item.name, item.subject, quantity, apart, None, by_backend[apart[0]])


def _short(
    item: Item, one: Quantity, backends: Sequence[str], failed: set[str]
) -> Iterator[Departure]:
    """Yield who computes with less than float64 where that is asked for."""
    errors = {
        backend: error
        for backend, error in zip(backends, one.rounded, strict=True)
        if backend not in failed and error is not None
    }
    apart = tuple(backend for backend, error in errors.items() if error > GATE)
    if apart:
        size = max(errors[backend] for backend in apart)
        about = (item.name, item.subject, one.name, apart, size)
        yield Departure("float64", *about, "", one.place, one.values)


def _alone(one: Quantity, surveyed: Surveyed) -> tuple[tuple[str, ...], float]:
    """Return who is not the others in float64, all where nobody is alone, and how far it is."""
    known = dict(zip(surveyed.pairs, one.exact, strict=True))
    errors = {pair: error for pair, error in known.items() if error is not None}
    gate = _gate(one)
    far = {pair: error for pair, error in errors.items() if error > gate}
    if not far:
        return (), 0.0
    near = set(chain.from_iterable(errors.keys() - far.keys()))
    parted = dict.fromkeys(chain.from_iterable(far))
    alone = tuple(backend for backend in parted if backend not in near)
    return alone if len(alone) == 1 else tuple(parted), max(far.values())


def _gate(one: Quantity) -> float:
    """Return what float64 may be off; more where float32 shows that a quantity magnifies."""
    noise = [each for each in one.rounded if each is not None and each < 1]
    return max(GATE, AMPLIFIED * (statistics.median(noise) if noise else 0.0))


def _kernel(item: Item, one: Quantity, backends: Sequence[str]) -> Iterator[Departure]:
    """Yield who is further from float64 than rounding takes the others."""
    errors = dict(zip(backends, one.rounded, strict=True))
    known = {backend: error for backend, error in errors.items() if error is not None}
    for backend, error in known.items():
        others = [each for other, each in known.items() if other != backend]
        if others and error > KERNEL * max(*others, UNIT) and error > FEW_UNITS * UNIT:
            about = (item.name, item.subject, one.name, (backend,), error)
            yield Departure("float32", *about, "", one.place, one.values)


def _unlike(
    what: What,
    item: Item,
    quantity: str,
    texts: Sequence[str],
    backends: Sequence[str],
    failed: set[str],
) -> Iterator[Departure]:
    """Yield whose shape or dtype is another one."""
    there = {
        backend: text
        for backend, text in zip(backends, texts, strict=False)
        if backend not in failed
    }
    counts = [list(there.values()).count(text) for text in there.values()]
    if len(set(there.values())) < 2 or (what == "shape" and "setup" in item.failures):
        return
    rare = tuple(each for each, count in zip(there, counts, strict=True) if count == 1)
    apart = rare if len(rare) == 1 else tuple(there)
    says = ", ".join(f"{backend} {text}" for backend, text in there.items())
    yield Departure(what, item.name, item.subject, quantity, apart, None, says)


def _everywhere(surveyed: Surveyed) -> Iterator[tuple[str, str]]:
    """Yield what fails on every backend, and what one of them says."""
    for item in surveyed.items:
        for stage, by_backend in item.failures.items():
            if not stage.endswith(", float64") and len(by_backend) == len(surveyed.survey.backends):
                yield item.name, next(iter(by_backend.values()))
                break


def _unjudged(surveyed: Surveyed) -> Iterator[tuple[str, str, str]]:
    """Yield what one backend computes by itself, and cannot in float64."""
    for item in surveyed.items:
        for stage, by_backend in item.failures.items():
            own = item.failures.get(stage.removesuffix(", float64"), {})
            if stage.endswith(", float64"):
                for backend in sorted(set(by_backend) - set(own)):
                    yield item.name, backend, by_backend[backend]


def _add_scripts(groups: Sequence[Group], surveyed: Surveyed) -> None:
    """Put beside each group what its script printed, and whether that shows the difference."""
    printed = {(each.item, each.quantity): each for each in surveyed.scripts}
    for group in groups:
        found = printed.get((group.worst.item, group.worst.quantity))
        if found:
            group.script, group.lines = found.script, found.lines
            group.confirmed = shows(
                group.worst, surveyed.survey.backends, found.lines, found.failed
            )
