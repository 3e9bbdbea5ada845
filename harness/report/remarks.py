"""Remarks that more than one experiment makes: what makes a time less comparable than it looks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from harness.records.bench import Turn
from harness.records.observation import Epoch, Value


def departed(names: Collection[str]) -> Iterable[str]:
    """Say which times are of other numbers."""
    if names:
        yield f"{', '.join(names)}: departs from the referee (harness parity says where), and a time for other numbers is no comparison"


def not_checked(names: Sequence[str]) -> Iterable[str]:
    """Say of which arms nobody knows whether they compute the same model."""
    if names:
        yield f"{', '.join(names)}: parity is not checked, so a time may be that of other numbers. Type: harness parity --quick"


def arithmetic(settings: Collection[Mapping[str, Value]]) -> Iterable[str]:
    """Say where processes computed in different precisions."""
    for name in ("tf32", "precision"):
        values = {str(each.get(name)) for each in settings}
        if len(values) > 1:
            yield f"{name} differs ({', '.join(sorted(values))}): these rows are not of one arithmetic"


def taken_down(name: str, epochs: Collection[Epoch | Turn]) -> Iterable[str]:
    """Say which share of an arm's epoch time lies after its last update, where that is more than a twentieth."""
    whole = sum(epoch.seconds for epoch in epochs)
    share = sum(epoch.teardown_s for epoch in epochs) / whole if whole else 0.0
    if share > 0.05:
        yield f"{name}: {share:.0%} of its epoch time is fit taking its input pipeline down (teardown_s in results/README.md)"


def recompiled(names: Collection[str]) -> Iterable[str]:
    """Say whose epochs compiled though they were not the first."""
    if names:
        yield f"compiled after the first epoch, so its epoch time holds compilation: {', '.join(sorted(names))}"
