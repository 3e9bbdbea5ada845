"""Records of a survey -> departures: which backend is alone, in what, and whether that is known."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from harness.experiments.survey.compare import FEW_UNITS, KERNEL, UNIT
from harness.experiments.survey.departure import GATE, Departure, What, shows
from harness.experiments.survey.known import Known, load_known, matches
from harness.records.survey import Item, Quantity, Surveyed

AMPLIFIED = 100 * 2.0**-53 / UNIT  # what float64's rounding may make of what float32's does
WIDE = ", float64"  # behind the name of an item that asks for it


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
    found_here = all_departures(surveyed)
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
    asked = any(known.is_of(item.name) for item in surveyed.items)
    return asked and any(matches(each, known.backends) for each in surveyed.survey.frameworks)


def all_departures(surveyed: Surveyed) -> list[Departure]:
    """Return every departure of a survey, item by item."""
    own = {item.name: item.quantities for item in surveyed.items}
    return [
        one
        for item in surveyed.items
        for one in _departures(item, surveyed, own.get(item.name.removesuffix(WIDE), ()))
    ]


def _departures(item: Item, surveyed: Surveyed, twin: Sequence[Quantity]) -> Iterator[Departure]:
    """Yield every departure of an item.

    Args:
        item: of the survey.
        surveyed: all of it.
        twin: the same item's quantities where float64 is not asked for.
    """
    backends = surveyed.survey.backends
    yield from _failures(item, backends)
    failed = {one for by_backend in item.failures.values() for one in by_backend}
    known = {each.name: _float32_errors(each) for each in twin}
    for one in item.quantities:
        if item.name.endswith(WIDE):
            yield from _short(item, one, backends, failed, known.get(one.name, ()))
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
        if stage.endswith(WIDE) or len(by_backend) == len(backends):
            continue
        what: What = "input" if " input " in f" {stage}" else "failure"
        apart = tuple(each for each in backends if each in by_backend)
        quantity = "output" if stage == "setup" else stage
        yield Departure(what, item.name, item.subject, quantity, apart, None, by_backend[apart[0]])


def _float32_errors(one: Quantity) -> list[float]:
    """Return how far each backend is from float64, and how far they are from each other in it."""
    return [each for each in (*one.rounded, *one.exact) if each is not None]


def _short(
    item: Item,
    one: Quantity,
    backends: Sequence[str],
    failed: set[str],
    own: Sequence[float],
) -> Iterator[Departure]:
    """Yield who computes with less than float64 where that is asked for.

    What is further off than float32 takes it is another value, and no less exact one.

    Args:
        item: that asks for float64.
        one: a quantity of it.
        backends: of the survey.
        failed: those that have not computed it.
        own: errors of the same quantity where float64 is not asked for.
    """
    errors = {
        backend: error
        for backend, error in zip(backends, one.rounded, strict=True)
        if backend not in failed and error is not None
    }
    apart = tuple(backend for backend, error in errors.items() if error > GATE)
    if apart:
        size = max(errors[backend] for backend in apart)
        about = (item.name, item.subject, one.name, apart, size)
        is_rounding = size <= KERNEL * max(*own, FEW_UNITS * UNIT, 0.0)
        what: What = "float64" if is_rounding else "value"
        yield Departure(what, *about, "", one.place, one.values)


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
            if not stage.endswith(WIDE) and len(by_backend) == len(surveyed.survey.backends):
                yield item.name, next(iter(by_backend.values()))
                break


def _unjudged(surveyed: Surveyed) -> Iterator[tuple[str, str, str]]:
    """Yield what one backend computes by itself, and cannot in float64."""
    for item in surveyed.items:
        for stage, by_backend in item.failures.items():
            own = item.failures.get(stage.removesuffix(WIDE), {})
            if stage.endswith(WIDE):
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
