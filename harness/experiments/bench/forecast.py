"""How long what is left will take, from how long the like has taken so far."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Forecast:
    """The seconds that each kind of step has taken so far, for each who took it."""

    def __init__(self, budget_s: float | None = None) -> None:
        self.budget_s = budget_s
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
