"""How long what is left will take, from how long the like has taken so far."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

STRETCH = 1.5


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a sitting takes: nothing begins that would end later."""

    seconds: float
    # Generations that are measured all the same, where STRETCH times the seconds are enough.
    least: int = 0


class Forecast:
    """The seconds that each kind of step has taken so far, for each who took it."""

    def __init__(self, budget: Budget | None = None) -> None:
        self.budget = budget
        self.budget_s = budget.seconds if budget else None
        self.busy_s = 0.0  # inside steps; the rest of elapsed_s is the caller's own
        self._began = time.monotonic()
        self._spent: dict[str, dict[str, list[float]]] = defaultdict(dict)

    @property
    def elapsed_s(self) -> float:
        """Seconds since this was made."""
        return time.monotonic() - self._began

    @contextmanager
    def step(self, kind: str, who: str) -> Iterator[None]:
        """Count the seconds of what is done inside."""
        began = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - began
            self.busy_s += spent
            self._spent[kind].setdefault(who, []).append(spent)

    def has_room(self, longest_s: float, n_done: int) -> bool:
        """Say whether another generation, as long as the longest so far, would end in time.

        Args:
            longest_s: seconds.
            n_done: generations that there are.
        """
        if self.budget is None:
            return True
        n_lacking, most_s = self.budget.least - n_done, STRETCH * self.budget.seconds
        fits = n_lacking > 0 and self.elapsed_s + longest_s * n_lacking <= most_s
        self.budget_s = most_s if fits else self.budget.seconds
        return self.elapsed_s + longest_s <= self.budget_s

    def left_s(self, steps: Iterable[tuple[str, str, int]]) -> float | None:
        """Return how long steps will take: medians of the same kind and arm, else of the same kind.

        Args:
            steps: kind, who takes it, and how often.

        Returns:
            Seconds, no more than the budget leaves; None before anything has been done.
        """
        if not self._spent:
            return None
        left = sum(n * self._expected(kind, who) for kind, who, n in steps)
        return (
            left if self.budget_s is None else max(0.0, min(left, self.budget_s - self.elapsed_s))
        )

    def _expected(self, kind: str, who: str) -> float:
        known = self._spent.get(kind, {})
        alike = known.get(who) or [seconds for several in known.values() for seconds in several]
        anything = [
            seconds
            for kinds in self._spent.values()
            for several in kinds.values()
            for seconds in several
        ]
        return statistics.median(alike or anything)
