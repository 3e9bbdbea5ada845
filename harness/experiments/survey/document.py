"""Verdict -> Document: what of Keras differs between backends, and what it was computed from."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from harness.errors.safe import short
from harness.experiments.survey.catalogue import load
from harness.experiments.survey.coverage import coverage
from harness.experiments.survey.departure import Departure
from harness.experiments.survey.judge import Group, Verdict
from harness.records.keras_versions import first_apart, rising
from harness.report.document import (
    NONE,
    Block,
    Case,
    Code,
    Column,
    Document,
    Heading,
    Paragraph,
    Sentence,
    Suite,
    Table,
    listed,
    some,
    words,
)

COVERED = (Column("of Keras", align="left"), Column("covered"), Column("of"), Column("share"))
FOUND = (*words("what", "quantity", "apart"), Column("size"), Column("items"), *words("which"))
KNOWN = (*words("known difference", "apart"), Column("size"), Column("items"), *words("why"))
LEGEND = (
    "Each item is computed in float64 on every backend, and as Keras does there by itself. "
    "value: float64 itself is another number (gate 1e-10), which is no rounding. "
    "float32: a backend is more than 5 times as far from float64 as the others are. "
    "float64: less is computed than the float64 that is asked for. failure: it raises there. "
    "input: an argument is changed in place. apart: who is alone; all where every backend differs. "
    "size: the largest relative difference."
)
MOST = 8  # items that are named


def compose(verdict: Verdict) -> Document:
    """Return coverage, departures without a reason, known ones, and what could not be judged."""
    survey = verdict.surveyed.survey
    groups = {kind: list(found) for kind, found in _sorted(verdict).items()}
    blocks: list[Block] = [
        Heading(f"survey of Keras: {len(verdict.surveyed.items):,} items"),
        Sentence(_who(verdict)),
        *_coverage(verdict),
        Sentence(_summary(verdict, groups), "bad" if groups["unknown"] else "good"),
        *_departures("Differences found", groups["new"], survey.backends),
        *_departures("Differences without a known reason", groups["unknown"], survey.backends),
        *_known(groups["known"]),
        *_list("First changed", _first_changes(verdict)),
        *_again(verdict),
        *_list("Rounding of gradients", map(_line, groups["remarks"])),
        *_list("Not shown by their scripts, so not reported", map(_line, groups["unshown"])),
        *_list("Failed on every backend", [f"{name}: {said}" for name, said in verdict.everywhere]),
        *_list("Not judged, since float64 does not run there", _unjudged(verdict)),
        *_left_out(verdict),
        Paragraph((LEGEND,), "aside"),
    ]
    return Document(tuple(blocks), data=_data(verdict), suite=_suite(verdict, groups["unknown"]))


def _who(verdict: Verdict) -> str:
    survey = verdict.surveyed.survey
    versions = [
        f"{backend}: {each['framework_version']}, Keras {each['keras']}"
        for backend, each in zip(survey.backends, survey.versions, strict=True)
    ]
    return "; ".join(versions)


def _sorted(verdict: Verdict) -> dict[str, list[Group]]:
    """Return the groups by what they are to a reader, the largest first."""
    found: dict[str, list[Group]] = {
        name: [] for name in ("new", "unknown", "known", "remarks", "unshown")
    }
    for group in verdict.groups:
        if group.known and not (group.known.new and group.confirmed is False):
            found["new" if group.known.new else "known"].append(group)
        elif group.worst.is_remark:
            found["remarks"].append(group)
        else:
            found["unshown" if group.confirmed is False else "unknown"].append(group)
    for groups in found.values():
        groups.sort(key=lambda each: (each.worst.what, -(each.worst.size or math.inf)))
    return found


def _summary(verdict: Verdict, groups: dict[str, list[Group]]) -> str:
    agreeing = {item.name for item in verdict.surveyed.items}
    agreeing -= {one.item for group in verdict.groups for one in group.found}
    return (
        f"{len(agreeing):,} items are the same on {listed(verdict.surveyed.survey.backends)}; "
        f"{len(groups['unknown'])} kinds of difference have no known reason, "
        f"{len(groups['new'])} were found by this survey, {len(groups['known'])} are known"
    )


def _coverage(verdict: Verdict) -> list[Block]:
    rows = [
        (f"keras.{each.module}", str(len(each.done)), str(each.n_all), f"{each.share:.0%}")
        for each in coverage(verdict.surveyed, load())
    ]
    return [Table(COVERED, tuple(rows))]


def _left_out(verdict: Verdict) -> Iterator[Block]:
    by_reason: dict[str, list[str]] = defaultdict(list)
    for each in coverage(verdict.surveyed, load()):
        for name, reason in each.left_out:
            by_reason[reason].append(name)
    lines = [f"{', '.join(names)}: {reason}" for reason, names in by_reason.items()]
    yield from _list("Left out", lines)


def _departures(title: str, groups: Sequence[Group], backends: Sequence[str]) -> Iterator[Block]:
    """Yield a table of groups, and behind it each one's script with what it printed."""
    if not groups:
        return
    yield Heading(f"{title}: {len(groups)}")
    yield Table(FOUND, tuple(_row(group) for group in groups))
    for group in groups:
        known = group.known
        if known:
            yield Heading(known.name)
            yield Paragraph(tuple(filter(None, (known.reason, known.cause, known.newest))), "plain")
        if group.script:
            if not known:
                yield Heading(
                    f"{group.worst.subject}, {group.worst.quantity}: {_apart(group.worst)}"
                )
            yield Code(group.script)
            printed = zip(backends, group.lines, strict=True)
            yield Sentence(
                "prints " + "; ".join(f"{name}: {short(line)}" for name, line in printed)
            )


def _row(group: Group) -> tuple[str, ...]:
    worst = group.worst
    return (
        worst.what,
        f"{worst.subject} {worst.quantity}",
        _apart(worst),
        _size(worst),
        str(len({one.item for one in group.found})),
        _names(group),
    )


def _apart(one: Departure) -> str:
    return ", ".join(one.apart)


def _size(one: Departure) -> str:
    if one.size is None:
        return NONE
    return "not finite" if one.size > 1e200 else f"{one.size:.1e}"


def _names(group: Group) -> str:
    return some(dict.fromkeys(one.item for one in group.found), MOST, "; ")


def _known(groups: Sequence[Group]) -> Iterator[Block]:
    if groups:
        yield Heading(f"Known differences, found again: {len(groups)}")
        rows = []
        for group in groups:
            known = group.known
            apart = sorted({backend for one in group.found for backend in one.apart})
            n_items = str(len({one.item for one in group.found}))
            reason = known.reason if known else ""
            name = known.name if known else ""
            rows.append((name, ", ".join(apart), _size(group.worst), n_items, reason))
        yield Table(KNOWN, tuple(rows))


def _first_changes(verdict: Verdict) -> Iterator[str]:
    """Yield each difference with the first Keras that shows it, where several are compared."""
    survey = verdict.surveyed.survey
    order = rising(survey.versions, survey.backends)
    versions = dict(zip(survey.backends, survey.versions, strict=True))
    for group in verdict.groups:
        first = first_apart(order, group.worst.apart)
        if first:
            yield f"Keras {versions[first]['keras']}: {_line(group)}"


def _again(verdict: Verdict) -> Iterator[Block]:
    lines = [f"{known.name}: {known.reason}" for known in verdict.not_found]
    yield from _list("Known, and not found any more", lines)


def _line(group: Group) -> str:
    worst = group.worst
    start = f"{worst.what}: {worst.item}, {worst.quantity}: {_apart(worst)} {_size(worst)}"
    return f"{start} ({len(group.found)} in all){f': {short(worst.says)}' if worst.says else ''}"


def _unjudged(verdict: Verdict) -> list[str]:
    by_reason: dict[tuple[str, str], list[str]] = defaultdict(list)
    for item, backend, said in verdict.unjudged:
        by_reason[backend, said.partition(":")[0]].append(item)
    return [
        f"{backend}, {said}: {some(items, MOST, '; ')}"
        for (backend, said), items in by_reason.items()
    ]


def _list(title: str, lines: Iterable[str]) -> Iterator[Block]:
    found = list(lines)
    if found:
        yield Heading(f"{title}: {len(found)}")
        yield from (Sentence(short(line, 600)) for line in found)


def _data(verdict: Verdict) -> dict[str, object]:
    return {
        "survey": verdict.surveyed.survey,
        "coverage": coverage(verdict.surveyed, load()),
        "groups": verdict.groups,
        "not_found": verdict.not_found,
        "failed_everywhere": verdict.everywhere,
        "not_judged": verdict.unjudged,
    }


def _suite(verdict: Verdict, unknown: Sequence[Group]) -> Suite:
    survey = verdict.surveyed.survey
    failed = {group.worst.subject: group for group in unknown}
    subjects = dict.fromkeys(item.subject for item in verdict.surveyed.items)
    cases = tuple(
        Case(each, "failure", _line(failed[each]), failed[each].script)
        if each in failed
        else Case(each)
        for each in subjects
    )
    return Suite("survey", "Keras", survey.started_at, cases)
