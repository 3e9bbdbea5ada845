"""Remarks that more than one experiment makes: what makes a time less comparable than it looks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

SENTENCES = {
    "departed": "{names}: departs from the referee (harness parity says where), and a time for "
    "other numbers is no comparison",
    "not checked": "{names}: parity is not checked, so a time may be that of other numbers. Type: "
    "harness parity --quick",
    "own not checked": "{names}: parity is not checked, so a time may be that of other numbers. "
    "Type: {0}",
    "by lean": "{names}: lean took its place: {0}",
    "quality of training": "quality is that on the training data: data() gives no validation_data",
    "arithmetic": "{0} differs ({names}): these rows are not of one arithmetic",
    "teardown": "{names}: {0:.0%} of its epoch time is fit taking its input pipeline down "
    "(teardown_s in results/README.md)",
    "recompiled": "compiled after the first epoch, so its epoch time holds compilation: {names}",
    "native inputs": "native inputs: each framework drew its own weights and order, as the spec "
    "asks, so accuracies are of different draws",
}


@dataclass(frozen=True, slots=True)
class Remark:
    """What a reader must be told, without prose: its kind, whom it is about, and its figures."""

    kind: str
    names: tuple[str, ...] = ()
    values: tuple[str | float, ...] = ()


class Timed(Protocol):
    """An epoch, or a turn of one, with the part of it that lies after the last update."""

    @property
    def seconds(self) -> float:
        """All of it."""

    @property
    def teardown_s(self) -> float:
        """What lies after the last update."""


def sentence_of(remark: Remark, sentences: Mapping[str, str]) -> str:
    """Return a remark in words.

    Args:
        remark: its names stand for {names}, its values for {0}, {1} and so on.
        sentences: those of an experiment's own kinds, beside `SENTENCES`.
    """
    form = sentences.get(remark.kind) or SENTENCES[remark.kind]
    return form.format(*remark.values, names=", ".join(remark.names))


def departed(names: Sequence[str]) -> Iterable[Remark]:
    """Say which times are of other numbers."""
    if names:
        yield Remark("departed", tuple(names))


def arithmetic(settings: Collection[Mapping[str, object]]) -> Iterable[Remark]:
    """Say where processes computed in different precisions."""
    for name in ("tf32", "precision"):
        values = {str(each.get(name)) for each in settings}
        if len(values) > 1:
            yield Remark("arithmetic", tuple(sorted(values)), (name,))


def torn_down(name: str, epochs: Collection[Timed]) -> Iterable[Remark]:
    """Say which share of an arm's epochs lies after the last update, where it is over 5 %."""
    total_s = sum(epoch.seconds for epoch in epochs)
    share = sum(epoch.teardown_s for epoch in epochs) / total_s if total_s else 0.0
    if share > 0.05:
        yield Remark("teardown", (name,), (share,))


def recompiled(names: Collection[str]) -> Iterable[Remark]:
    """Say whose epochs compiled though they were not the first."""
    if names:
        yield Remark("recompiled", tuple(sorted(names)))


def replaced(refusals: Iterable[tuple[str, object]], data: Collection[str]) -> Iterable[Remark]:
    """Say where lean took compiled's place, and why; and that quality is of the training data.

    Args:
        refusals: an arm's name, and why compiled was refused there, if it was.
        data: on which qualities were computed.
    """
    several = {(name, str(why)) for name, why in refusals if why}
    yield from (Remark("by lean", (name,), (why,)) for name, why in sorted(several))
    if "training data" in data:
        yield Remark("quality of training")
