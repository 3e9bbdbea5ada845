"""Arms of one table -> Answer: which backend should train this Keras model?

As far as runs that followed one another can say.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.experiments.train.remarks import Arm, Arms
from harness.experiments.train.rows import accuracy_by_seed, finished_seeds, steady_seconds
from harness.spec.model import check_command
from harness.statistics.intervals import MARGIN, Spread, median_spread, tost

# Modules; the others are the network without Keras.
TRAINS_KERAS = ("keras_fit", "compiled.", "train_step")
GROSS = 0.01  # of test accuracy: with one seed, a smaller difference may be that of the draw
BARRED = ("departs", "failed")  # by parity


@dataclass(frozen=True, slots=True)
class Candidate:
    """An arm that trained the Keras model and has an epoch time."""

    name: str  # "jax/keras", and what tells it from another arm of that name
    parity: str  # agrees, departs, failed, not checked
    n_seeds: int
    epoch_s: Spread  # of all epochs after each run's first
    accuracy: float | None  # mean over seeds; None of a user's own model
    # else, against that arm: equivalent, inconclusive, different
    accuracy_verdict: str = "reference"

    @property
    def barred(self) -> bool:
        """Whether it is known to train another model, so that it cannot win."""
        return self.parity in BARRED or self.accuracy_verdict == "different"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the runs say of the question, and what they leave out.

    Kinds: `no keras`, no arm trains the Keras model; `no time`, none has an epoch after its first;
    `none equal`, every one is barred; `alone`, one is left; `close`, the epochs of the first and of
    others overlap; `ahead`, they do not; `virtual`, no time says anything of their devices.
    """

    kind: Literal["no keras", "no time", "none equal", "alone", "close", "ahead", "virtual"]
    candidates: tuple[Candidate, ...] = ()  # those that may win, the shortest median epoch first
    barred: tuple[Candidate, ...] = ()  # parity departs or failed, or accuracy is different
    without_time: tuple[str, ...] = ()  # arms of which no run finished an epoch after the first
    check: str = "nox -s parity"  # what says whether it is the same model

    @property
    def close(self) -> tuple[Candidate, ...]:
        """The candidates whose epochs overlap with the first one's, itself among them."""
        high_s = self.candidates[0].epoch_s.high
        return tuple(each for each in self.candidates if each.epoch_s.low <= high_s)


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
    found = _candidates(training, names, parities)
    without = tuple(names[arm] for arm in training if arm not in found)
    if not found:
        return Answer("no time" if training else "no keras", without_time=without)
    judged = sorted(_with_accuracy(found, training), key=lambda each: (each.epoch_s.mid, each.name))
    barred = tuple(each for each in judged if each.barred)
    may_win = tuple(each for each in judged if not each.barred)
    check = check_command(next(iter(training.values()))[0].request.spec)
    return Answer(_kind(may_win), may_win, barred, without, check)


def _candidates(
    arms: Arms, names: Mapping[Arm, str], parities: Mapping[Arm, str]
) -> dict[Arm, Candidate]:
    """Return what is known of each arm that has an epoch time."""
    found = {}
    for arm, runs in arms.items():
        if steady := steady_seconds(runs):
            accuracies = [*accuracy_by_seed(runs).values()]
            mean = statistics.fmean(accuracies) if accuracies else None
            about = names[arm], parities[arm], len(finished_seeds(runs))
            found[arm] = Candidate(*about, median_spread(steady), mean)
    return found


def _kind(may_win: Sequence[Candidate]) -> Literal["none equal", "alone", "close", "ahead"]:
    if len(may_win) < 2:
        return "alone" if may_win else "none equal"
    return "close" if may_win[1].epoch_s.low <= may_win[0].epoch_s.high else "ahead"


def _with_accuracy(found: Mapping[Arm, Candidate], arms: Arms) -> list[Candidate]:
    """Return the candidates with their accuracy's verdict, to the best that parity does not bar."""
    accuracies = {arm: accuracy_by_seed(arms[arm]) for arm in found}
    if not any(accuracies.values()):
        return list(found.values())
    sound = [arm for arm in found if found[arm].parity not in BARRED] or list(found)
    best = max(sound, key=lambda arm: found[arm].accuracy or 0.0)
    return [
        each
        if arm == best
        else replace(each, accuracy_verdict=_verdict(accuracies[arm], accuracies[best]))
        for arm, each in found.items()
    ]


def _verdict(mine: Mapping[int, float], best: Mapping[int, float]) -> str:
    """Return whether accuracies, by seed, are another arm's: in pairs, from two seeds on."""
    common = sorted(mine.keys() & best.keys())
    if len(common) > 1:
        return tost([mine[seed] - best[seed] for seed in common], MARGIN).verdict
    difference = statistics.fmean(mine.values()) - statistics.fmean(best.values())
    return "different" if abs(difference) > GROSS else "inconclusive"


def _names(arms: Arms) -> dict[Arm, str]:
    """Return a name for each arm, with what tells it from another arm of the same name."""
    forms = {arm: _forms(arm) for arm in arms}
    used = Counter(form for several in forms.values() for form in several)
    return {
        arm: next(form for form in several if used[form] == 1) for arm, several in forms.items()
    }


def _forms(arm: Arm) -> tuple[str, ...]:
    """Return an arm's name in forms that say more and more."""
    sha256 = arm.environment_sha256
    content = f"content {sha256[:8]}" if sha256 else "content unknown"
    full = f"{arm.name} {arm.framework_version} on {arm.device}"
    asked = f"({arm.id.asked})", f"({arm.id.asked}, {content})"
    return arm.name, f"{arm.name} on {arm.device}", full, *(f"{full} {each}" for each in asked)
