"""Which points a spec's gate has, and which of them a check looks at.

The whole gate, its quick form, or a part.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

EPOCH = "epoch"  # the whole first epoch, see harness.referee.epoch
# Updates before which a state is checked, besides those around the ends of epochs.
EARLY = (2, 3, 10, 100)
QUICK = (10, 100)
Scope = Literal["whole", "quick", "part"]
"""What of the gate a check covers: all of it; at least its quick form; less."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The points of a spec's gate, by name."""

    every: tuple[str, ...]
    quick: tuple[str, ...]  # of its quick form

    def scope(self, only: Collection[str]) -> Scope:
        """Return what of the gate those points are; none named: all of them."""
        if not only or set(only) >= set(self.every):
            return "whole"
        return "quick" if set(only) >= set(self.quick) else "part"


def gate_of(n_updates: int, n_epochs: int) -> Gate:
    """Return the points of a training's gate.

    `resync-T` is the state before update T, 1 for the first, which is `init`.

    The quick form has the initial state, the adversarial one, two along the first epoch, and its
    last, short batch.

    Args:
        n_updates: of an epoch.
        n_epochs: of the training.
    """
    ends = (n_updates - 1, n_updates, n_updates + 1, 2 * n_updates, n_epochs * n_updates)
    along = sorted({number for number in (*EARLY, *ends) if 1 < number <= n_epochs * n_updates})
    quick = [number for number in along if number in (*QUICK, n_updates)]
    named = [[f"resync-{number}" for number in several] for several in (along, quick)]
    return Gate(("init", "adversarial", *named[0], EPOCH), ("init", "adversarial", *named[1]))


def update_of(point: str) -> int:
    """Return the update that a point lies before.

    Of `init` 1, of a point that is no state along the training 0.
    """
    number = point.removeprefix("resync-")
    return 1 if point == "init" else int(number) if number != point else 0
