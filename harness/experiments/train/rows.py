"""One arm's runs -> a row: accuracy over seeds, seconds of an epoch, memory."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.experiments.train.remarks import Arm
from harness.job.arm import ArmId
from harness.records.proof import DEPARTS
from harness.records.record import Record
from harness.statistics.intervals import Spread, median_of, median_spread


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
    # Of a user's own model, over seeds, in place of test accuracy.
    quality: tuple[tuple[str, float], ...]
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
    accuracies, quality = [*accuracy_by_seed(runs).values()], tuple(mean_quality(runs).items())
    epoch_s = median_spread(steady) if (steady := steady_seconds(runs)) else None
    first_s = [measured.epochs[0].seconds for _, measured in finished if measured.epochs]
    return ArmRow(
        arm=arm.id,
        device=arm.device,
        framework_version=arm.framework_version,
        content=context.content,
        parity=context.parity,
        status=_status(runs),
        n_seeds=len(finished_seeds(runs)),
        test_accuracy=_mean_spread(accuracies),
        test_accuracy_sd=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        test_loss=median_of(measured.test_loss for _, measured in finished),
        quality=quality,
        epoch_s=epoch_s,
        ratio=_quotient(epoch_s, context.baseline_s),
        to_native=_quotient(epoch_s, context.native_s),
        first_epoch_s=median_of(first_s),
        total_s=median_of(run.total_s for run, _ in finished),
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


def finished_seeds(runs: Sequence[Record]) -> frozenset[int]:
    """Return the seeds of which a run finished."""
    return frozenset(run.request.seed for run in runs if run.status == "ok")


def mean_quality(runs: Sequence[Record]) -> dict[str, float]:
    """Return the mean over seeds of each of a user's own model's loss and metrics; else none."""
    by_name: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if run.status == "ok" and run.measured and run.measured.quality:
            for name, value in run.measured.quality.values.items():
                by_name[name][run.request.seed].append(value)
    return {
        name: statistics.fmean(map(statistics.fmean, by_seed.values()))
        for name, by_seed in by_name.items()
    }


def _status(runs: Sequence[Record]) -> str:
    """Return how many runs came to what: "2 ok, 1 failed", "1 ok by lean", "departs from fit"."""
    found = Counter(map(_outcome, runs))
    return ", ".join(what if what == DEPARTS else f"{n} {what}" for what, n in found.items())


def _outcome(run: Record) -> str:
    if run.status == "failed" and run.reason.startswith(DEPARTS):
        return DEPARTS
    trained_by = run.measured.settings.get("trained_by") if run.measured else None
    other = trained_by not in (None, run.request.implementation)
    return f"{run.status} by {trained_by}" if other else run.status


def _mean_spread(values: Sequence[float]) -> Spread | None:
    return Spread(min(values), statistics.fmean(values), max(values)) if values else None


def _quotient(epoch_s: Spread | None, to_s: float | None) -> float | None:
    return epoch_s.mid / to_s if epoch_s and to_s else None


def _largest(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
