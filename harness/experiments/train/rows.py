"""One arm's runs -> a row: accuracy over seeds, seconds of an epoch, memory."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.experiments.train.remarks import Arm
from harness.records.arm import ArmId
from harness.records.record import Record
from harness.statistics.intervals import Spread, median_spread


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One arm's runs, put together. Figures are None where no run of it finished."""

    arm: ArmId
    device: str
    framework_version: str
    content: str  # of its environment, in a few digits, where rows differ in nothing else
    parity: str  # agrees, agrees (quick), departs, failed, not checked: the worst of its runs
    status: str  # "3 ok", "2 ok, 1 failed"
    n_seeds: int
    test_accuracy: Spread | None  # over seeds; each seed counts once, however often it ran
    test_accuracy_sd: float | None  # over seeds, from two on
    test_loss: float | None
    epoch_s: Spread | None  # all epochs after each run's first
    ratio: float | None  # epoch_s to the baseline's
    to_native: float | None  # epoch_s to that of the same backend's native arm, without Keras
    first_epoch_s: float | None
    total_s: float | None
    peak_rss_bytes: int | None

    @property
    def name(self) -> str:
        """As `--baseline` takes it: "jax/keras"."""
        return self.arm.name


@dataclass(frozen=True, slots=True)
class Context:
    """What an arm's row says beyond the arm's own runs."""

    parity: str
    content: str  # see `ArmRow`
    baseline_s: float | None  # median epoch of the arms that ratios are to
    native_s: float | None


def row_of(arm: Arm, runs: Sequence[Record], context: Context) -> ArmRow:
    """Return an arm's row.

    Args:
        arm: whose runs they are.
        runs: all of them, those that failed too.
        context: what other arms and checks say.
    """
    finished = [(run, run.measured) for run in runs if run.status == "ok" and run.measured]
    accuracies = [*accuracy_by_seed(runs).values()]
    epoch_s = median_spread(steady) if (steady := steady_seconds(runs)) else None
    first_s = [measured.epochs[0].seconds for _, measured in finished if measured.epochs]
    return ArmRow(
        arm=arm.id,
        device=arm.device,
        framework_version=arm.framework_version,
        content=context.content,
        parity=context.parity,
        status=_status(runs),
        n_seeds=len(accuracies),
        test_accuracy=_mean_spread(accuracies),
        test_accuracy_sd=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        test_loss=_median(measured.test_loss for _, measured in finished),
        epoch_s=epoch_s,
        ratio=_quotient(epoch_s, context.baseline_s),
        to_native=_quotient(epoch_s, context.native_s),
        first_epoch_s=_median(first_s),
        total_s=_median(run.total_s for run, _ in finished),
        peak_rss_bytes=_largest(measured.peak_rss_bytes for _, measured in finished),
    )


def steady_seconds(runs: Sequence[Record]) -> list[float]:
    """Return the seconds of each epoch after a finished run's first."""
    return [seconds for run in runs if run.status == "ok" for seconds in run.steady_s]


def accuracy_by_seed(runs: Sequence[Record]) -> Mapping[int, float]:
    """Return each seed's test accuracy: the mean, where a seed ran more than once."""
    by_seed: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        if run.status == "ok" and run.measured and run.measured.test_accuracy is not None:
            by_seed[run.request.seed].append(run.measured.test_accuracy)
    return {seed: statistics.fmean(values) for seed, values in by_seed.items()}


def _status(runs: Sequence[Record]) -> str:
    counts = {
        status: sum(run.status == status for run in runs) for status in ("ok", "diverged", "failed")
    }
    return ", ".join(f"{n} {status}" for status, n in counts.items() if n)


def _mean_spread(values: Sequence[float]) -> Spread | None:
    return Spread(min(values), statistics.fmean(values), max(values)) if values else None


def _quotient(epoch_s: Spread | None, to_s: float | None) -> float | None:
    return epoch_s.mid / to_s if epoch_s and to_s else None


def _largest(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
