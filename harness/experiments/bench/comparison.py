"""How two arms of a session compare: by pairs, by A/A floors, in the family of all pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.experiments.bench.family import Family
from harness.experiments.bench.lead import Rival
from harness.experiments.bench.paired import ValidTurns
from harness.statistics.intervals import Interval
from harness.statistics.verdict import judge_ratio, over_generations, worst_floor


@dataclass(frozen=True, slots=True)
class Judge:
    """What every comparison of a session is judged by."""

    count: ValidTurns
    floor: Interval | None  # the ratio of the baseline's pair of identical arms
    floors: Mapping[str, Interval | None]  # the same of every arm that runs twice, by its name
    family: Family
    unseen: str  # why disturbances could not be seen, so that nothing is sure; "" where they could

    def compare(self, name: str, other: str) -> Rival:
        """Return how an arm's epoch compares with another's."""
        logs = self.count.log_ratios(name, other)
        ratio = over_generations(logs.values())
        if self.unseen:
            return Rival(name, ratio, "inconclusive", self.unseen)
        p_together = self.family.get(frozenset((name, other)), 1.0)
        return Rival(
            name, ratio, *judge_ratio(ratio, len(logs), self._floor_of(name, other), p_together)
        )

    def _floor_of(self, name: str, other: str) -> Interval | None:
        """Return the worst floor of a comparison: of the baseline's, and those of both backends."""
        backends = {each.split("/")[0] for each in (name, other)}
        floors = [
            floor for repeated, floor in self.floors.items() if repeated.split("/")[0] in backends
        ]
        return worst_floor([self.floor, *floors])

    def compare_all(self, names: Iterable[str], leader: str) -> list[Rival]:
        """Return how every other arm compares with the leader, the nearest first."""
        rivals = (self.compare(name, leader) for name in names if name != leader)
        return sorted(rivals, key=lambda rival: rival.ratio.mid if rival.ratio else math.inf)
