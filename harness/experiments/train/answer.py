"""Arms of one table -> Answer: which backend should train this Keras model, as far as runs that followed one another can say."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.experiments.train.remarks import Arm, Arms
from harness.records.record import Record
from harness.statistics.intervals import MARGIN, tost

TRAINS_KERAS = (
    "keras_fit",
    "compiled.",
)  # modules that train the Keras model; the others are the network without Keras
GROSS = 0.01  # of test accuracy: with one seed, a smaller difference may be that of the draw
BARRED = ("departs", "failed")  # by parity


@dataclass(frozen=True, slots=True)
class Candidate:
    """An arm that trained the Keras model and has an epoch time."""

    name: str  # "jax/keras", and what tells it from another arm of that name
    parity: str  # agrees, departs, failed, not checked
    n_seeds: int
    low_s: float  # of all epochs after each run's first
    mid_s: float
    high_s: float
    accuracy: float  # mean over seeds
    accuracy_verdict: str = (
        "reference"  # else, against that arm: equivalent, inconclusive, different
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What the runs say of the question, and what they leave out.

    Kinds: `no keras`, no arm trains the Keras model; `no time`, none has an epoch after its first; `none equal`, every one is
    barred; `alone`, one is left; `close`, the epochs of the first and of others overlap; `ahead`, they do not.
    """

    kind: Literal["no keras", "no time", "none equal", "alone", "close", "ahead"]
    candidates: tuple[Candidate, ...] = ()  # those that may win, the shortest median epoch first
    barred: tuple[
        Candidate, ...
    ] = ()  # their parity departs or failed, or their accuracy is different
    without_time: tuple[str, ...] = ()  # arms of which no run finished an epoch after the first

    @property
    def close(self) -> tuple[Candidate, ...]:
        """The candidates whose epochs overlap with the first one's, itself among them."""
        return tuple(each for each in self.candidates if each.low_s <= self.candidates[0].high_s)


def answer(arms: Arms, parities: Mapping[Arm, str]) -> Answer:
    """Return what the arms of one table say of the question.

    Args:
        arms: The runs of each arm. Arms that do not train the Keras model are passed over.
        parities: The verdict on each arm: agrees, departs, failed, or not checked.
    """
    training = {
        arm: runs for arm, runs in arms.items() if runs[0].request.module.startswith(TRAINS_KERAS)
    }
    names = _names(training)
    accuracies = {arm: by_seed for arm, runs in training.items() if (by_seed := _accuracies(runs))}
    timed = {arm: steady for arm in accuracies if (steady := _steady(training[arm]))}
    without = tuple(names[arm] for arm in training if arm not in timed)
    if not timed:
        return Answer("no time" if training else "no keras", without_time=without)
    found = {
        arm: Candidate(
            names[arm],
            parities[arm],
            len(accuracies[arm]),
            min(steady),
            statistics.median(steady),
            max(steady),
            statistics.fmean(accuracies[arm].values()),
        )
        for arm, steady in timed.items()
    }
    judged = sorted(_with_accuracy(found, accuracies), key=lambda each: (each.mid_s, each.name))
    barred = tuple(
        each for each in judged if each.parity in BARRED or each.accuracy_verdict == "different"
    )
    may_win = tuple(each for each in judged if each not in barred)
    return replace(Answer("ahead", may_win, barred, without), kind=_kind(may_win))


def _kind(may_win: Sequence[Candidate]) -> Literal["none equal", "alone", "close", "ahead"]:
    if len(may_win) < 2:
        return "alone" if may_win else "none equal"
    return "close" if may_win[1].low_s <= may_win[0].high_s else "ahead"


def _with_accuracy(
    found: Mapping[Arm, Candidate], accuracies: Mapping[Arm, Mapping[int, float]]
) -> list[Candidate]:
    """Return the candidates with what their accuracy is to the best one's, of those whose parity does not bar them."""
    sound = [arm for arm in found if found[arm].parity not in BARRED] or list(found)
    best = max(sound, key=lambda arm: found[arm].accuracy)
    return [
        each
        if arm == best
        else replace(each, accuracy_verdict=_verdict(accuracies[arm], accuracies[best]))
        for arm, each in found.items()
    ]


def _verdict(mine: Mapping[int, float], best: Mapping[int, float]) -> str:
    """Return whether accuracies, by seed, are another arm's: seed by seed, where both have two seeds and more."""
    common = sorted(mine.keys() & best.keys())
    if len(common) > 1:
        return tost([mine[seed] - best[seed] for seed in common], MARGIN).verdict
    difference = statistics.fmean(mine.values()) - statistics.fmean(best.values())
    return "different" if abs(difference) > GROSS else "inconclusive"


def _names(arms: Arms) -> dict[Arm, str]:
    """Return a name for each arm: with its device and version where another arm has the same name without them."""
    forms: list[Callable[[Arm], str]] = [
        lambda arm: f"{arm.backend}/{arm.implementation}",
        lambda arm: f"{arm.backend}/{arm.implementation} on {arm.device}",
        lambda arm: f"{arm.backend}/{arm.implementation} {arm.framework_version} on {arm.device}",
        lambda arm: (
            f"{arm.backend}/{arm.implementation} {arm.framework_version} on {arm.device} ({arm.asked})"
        ),
        lambda arm: (
            f"{arm.backend}/{arm.implementation} {arm.framework_version} on {arm.device} ({arm.asked}, {_content(arm)})"
        ),
    ]
    used = [Counter(map(form, arms)) for form in forms]
    return {
        arm: next(
            form(arm) for form, times in zip(forms, used, strict=True) if times[form(arm)] == 1
        )
        for arm in arms
    }


def _content(arm: Arm) -> str:
    return f"content {arm.environment_sha256[:8]}" if arm.environment_sha256 else "content unknown"


def _steady(runs: Sequence[Record]) -> list[float]:
    return [seconds for run in runs if run.status == "ok" for seconds in run.steady_s]


def _accuracies(runs: Sequence[Record]) -> dict[int, float]:
    """Return each seed's test accuracy: the mean, where a seed ran more than once."""
    by_seed: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        if run.status == "ok" and run.measured and run.measured.test_accuracy is not None:
            by_seed[run.request.seed].append(run.measured.test_accuracy)
    return {seed: statistics.fmean(values) for seed, values in by_seed.items()}
