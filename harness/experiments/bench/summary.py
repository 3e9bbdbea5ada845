"""What a session says of each arm, and altogether: the values, without how they are found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from harness.experiments.bench.lead import Lead
from harness.experiments.bench.limits import Broken
from harness.experiments.bench.numbers import BASELINE, why_other_numbers
from harness.report.remarks import Remark
from harness.statistics.intervals import Equivalence, Interval

Verdict = Literal["baseline", "faster", "slower", "same", "inconclusive", "set aside"]


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """What a session says of one arm. Intervals are 95 %, over generations; None if too few."""

    name: str
    device: str
    versions: dict[str, str]
    verdict: Verdict
    reason: str = ""  # of "inconclusive" and "set aside": what would have to be otherwise
    parity: str = "not checked"  # agrees, agrees (quick), departs, failed, not checked
    n_generations: int = 0  # that count: with half of their blocks valid
    n_blocks: int = 0  # valid ones, of those generations
    epoch_s: Interval | None = None  # steady; ends are nan with fewer than MIN_GENERATIONS
    ratio: Interval | None = None  # epoch to the baseline's, in pairs; the same
    to_fit: Interval | None = None  # epoch to that of its backend's other arm "keras", in pairs
    start_s: float | None = None  # median: from nothing to the end of the first epoch
    compile_s: float | None = None  # median: first epoch less a steady one; never below 0
    # epochs from which on it is never behind the baseline; inf: it falls behind for good
    break_even: float | None = None
    share_of_limit: Interval | None = None  # the limit's seconds over the epoch's
    memory_bytes: dict[str, int] = field(default_factory=dict)  # largest of its processes, by label
    energy_j: float | None = None  # median of a turn; None: no counter
    test_accuracy: tuple[float, float] | None = None  # mean and sd over generations' seeds
    quality: dict[str, float] = field(default_factory=dict)  # of a user's own model: means
    # To the baseline's, paired by seed, of each metric with a margin of the user's.
    qualities: dict[str, Equivalence] = field(default_factory=dict)
    # To the baseline's, paired by seed, margin 0.25 points; None for the baseline.
    accuracy: Equivalence | None = None
    n_compiles_steady: int = 0  # in turns: 0, or its epochs hold compilation
    p_together: float | None = None  # of `ratio` being 1, adjusted for all comparisons

    @property
    def other_numbers(self) -> str:
        """Why its numbers are known to be wrong, so that it cannot lead; "" if they are not."""
        accuracies, qualities = {BASELINE: self.accuracy}, {BASELINE: self.qualities}
        return why_other_numbers(self.parity, accuracies, qualities)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a session says altogether."""

    session_id: str
    baseline: str
    arms: tuple[ArmSummary, ...]  # in the session's order, the duplicate left out
    # Ratio of the A/A pair: identical code; None with too few generations or without a pair.
    floor: Interval | None
    lead: Lead  # which arm wins for how many epochs, and how sure
    n_invalid: int  # blocks run again, or given up, by the limits
    why_invalid: tuple[tuple[Broken, int], ...]  # limits, without a figure, and how often
    remarks: tuple[Remark, ...]
    # Share of the session's seconds that was neither a worker's start, turn nor end.
    own_cost: float | None
    # As `floor`, of each other arm that ran twice, by its name.
    floors: dict[str, Interval | None] = field(default_factory=dict)
