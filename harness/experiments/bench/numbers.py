"""Are an arm's numbers known to be others than they should be? Equal numbers first, then speed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from harness.errors.safe import short
from harness.records.bench import Bench, End, Entrant
from harness.records.verdicts import Check, Verdicts, verdict_in, verdicts_of
from harness.report.remarks import Remark
from harness.spec.model import own_model
from harness.statistics.intervals import MARGIN, Equivalence, tost

EARLIER, BASELINE = "in the earlier session", "the baseline's"  # what an arm is compared with


def accuracies_of(ends: Iterable[End], name: str) -> dict[int, float]:
    """Return an arm's test accuracy in each generation; of several processes the last one's."""
    return _by_generation(ends, name, lambda end: end.test_accuracy)


def _by_generation(
    ends: Iterable[End], name: str, read: Callable[[End], float | None]
) -> dict[int, float]:
    mine = (end for end in ends if end.name == name and end.status == "ok")
    known = {end.generation: read(end) for end in sorted(mine, key=lambda end: end.process)}
    return {generation: value for generation, value in known.items() if value is not None}


def paired_qualities(bench: Bench, name: str) -> dict[str, Equivalence]:
    """Return whether what an arm comes to is what the baseline does, by each metric with a margin.

    Only a spec that is a model of the user's own declares margins. Paired by generation.
    """
    baseline = bench.session.baseline
    if name == baseline:
        return {}
    return _compare_qualities(bench, (bench.ends, name), (bench.ends, baseline))


Ends = tuple[Iterable[End], str]
"""The ends of a session, and the name of the arm whose are meant."""


def _compare_qualities(bench: Bench, one: Ends, other: Ends) -> dict[str, Equivalence]:
    """Return whether two arms come to the same, by each metric with a margin in the session."""
    own, found = own_model(bench.session.spec), dict[str, Equivalence]()
    for metric, margin in own.margin.items() if own else ():

        def read(end: End, metric: str = metric) -> float | None:
            return end.quality.values.get(metric) if end.quality else None

        mine, others = (_by_generation(*each, read) for each in (one, other))
        if differences := _differences(mine, others):
            found[metric] = tost(differences, margin)
    return found


def mean_quality(ends: Iterable[End]) -> dict[str, float]:
    """Return the means over ends of a user's own model's loss and metrics; else none."""
    found: dict[str, list[float]] = {}
    for end in ends:
        for name, value in end.quality.values.items() if end.quality else ():
            found.setdefault(name, []).append(value)
    return {name: statistics.fmean(values) for name, values in found.items()}


def paired_accuracy(mine: Mapping[int, float], other: Mapping[int, float]) -> Equivalence | None:
    """Return whether two arms' accuracies are the same, paired by generation: seeds are shared."""
    differences = _differences(mine, other)
    return tost(differences, MARGIN) if differences else None


def _differences(mine: Mapping[int, float], other: Mapping[int, float]) -> list[float]:
    return [mine[generation] - other[generation] for generation in mine if generation in other]


def why_other_numbers(
    parity: str,
    accuracies: Mapping[str, Equivalence | None],
    qualities: Mapping[str, Mapping[str, Equivalence]] = MappingProxyType({}),
) -> str:
    """Return why an arm's numbers are known to be other ones, "" where that is not known.

    Args:
        parity: the newest verdict on the arm.
        accuracies: its accuracy compared, by what it is compared with: "the baseline's".
        qualities: its loss and metrics compared, by what they are compared with, then by name.
    """
    if parity == "departs":
        return "it departs from the referee (harness parity says where)"
    if parity == "failed":
        return "its parity check failed (harness parity says why)"
    for whose, found in accuracies.items():
        if found and found.verdict == "different":
            mean = found.mean
            points = f"{100 * abs(mean.mid):.2f} points {'lower' if mean.mid < 0 else 'higher'}"
            return (
                f"its accuracy is different: {points} than {whose} ({100 * mean.low:+.2f} to "
                f"{100 * mean.high:+.2f})"
            )
    different = (
        _say_difference(metric, whose, found)
        for whose, several in qualities.items()
        for metric, found in several.items()
        if found.verdict == "different"
    )
    return next(different, "")


def _say_difference(metric: str, whose: str, found: Equivalence) -> str:
    mean, way = found.mean, "lower" if found.mean.mid < 0 else "higher"
    return (
        f"its {short(metric, 40)} is different: {abs(mean.mid):.4f} {way} than {whose} "
        f"({mean.low:+.4f} to {mean.high:+.4f})"
    )


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a session says of one arm's numbers, beside an earlier session."""

    name: str
    parity: str  # the newest verdict: agrees, departs, failed, not checked
    to_baseline: Equivalence | None  # accuracy to its baseline's, by generation; None: it is this
    to_base: Equivalence | None  # to its own in the earlier session; None: nothing can be paired
    unpaired: str = ""  # why nothing can be paired with the earlier session
    # Of a user's own model, each metric with a margin, by what it is compared with, then by name.
    qualities: Mapping[str, Mapping[str, Equivalence]] = field(default_factory=dict)

    @property
    def why_failed(self) -> str:
        """Why the numbers are known to be other ones, "" where that is not known."""
        whose = {EARLIER: self.to_base, BASELINE: self.to_baseline}
        return why_other_numbers(self.parity, whose, self.qualities)

    @property
    def accuracy(self) -> str:
        """The worst of the verdicts on accuracy, or on metrics with a margin; "" without any."""
        metrics = (each for several in self.qualities.values() for each in several.values())
        compared = (self.to_baseline, self.to_base, *metrics)
        found = {each.verdict for each in compared if each}
        order = ("different", "inconclusive", "equivalent")
        return next((verdict for verdict in order if verdict in found), "")


def numbers_of(head: Bench, base: Bench, parities: Iterable[Check]) -> tuple[Numbers, ...]:
    """Return what is known of the numbers of each arm of a session, its baseline among them.

    Args:
        head: the session in question.
        base: an earlier one; where its models had the same weights, samples and order,
            accuracies are paired with its own.
        parities: checks that say which arms of `head` compute the same model.
    """
    verdicts = verdicts_of(parities)
    return tuple(_numbers_of_arm(each, head, base, verdicts) for each in head.session.originals)


def _numbers_of_arm(entrant: Entrant, head: Bench, base: Bench, verdicts: Verdicts) -> Numbers:
    name, baseline = entrant.name, head.session.baseline
    mine = accuracies_of(head.ends, name)
    unpaired = _why_unpaired(head, base, name) if entrant in base.session.entrants else ""
    shared = _shared(head, base, name) if entrant in base.session.entrants and not unpaired else ()
    earlier = [end for end in base.ends if end.generation in shared]
    qualities = {
        EARLIER: _compare_qualities(head, (head.ends, name), (earlier, name)),
        BASELINE: paired_qualities(head, name),
    }
    return Numbers(
        name=name,
        parity=verdict_in(
            head.session, entrant, [start for start in head.starts if start.name == name], verdicts
        ),
        to_baseline=None
        if name == baseline
        else paired_accuracy(mine, accuracies_of(head.ends, baseline)),
        to_base=paired_accuracy(mine, accuracies_of(earlier, name)),
        unpaired=unpaired,
        qualities=qualities,
    )


def remarks_on(numbers: Iterable[Numbers]) -> Iterable[Remark]:
    """Say of which arms equal accuracy is not known, and why."""
    several = tuple(numbers)
    for why in dict.fromkeys(each.unpaired for each in several if each.unpaired):
        names = tuple(each.name for each in several if each.unpaired == why)
        yield Remark("unpaired", names, (why,))
    unclear = tuple(each.name for each in several if each.accuracy == "inconclusive")
    if unclear:
        yield Remark("accuracy unclear", unclear)


def _why_unpaired(head: Bench, base: Bench, name: str) -> str:
    """Return why no generation can be paired with one of the earlier session, or ""."""
    here, there = head.session.n_blocks, base.session.n_blocks
    if here != there:
        return f"models trained {1 + there} epochs there, {1 + here} here"
    return (
        ""
        if _shared(head, base, name)
        else "seeds are not shared: no generation began with the same weights, samples and order"
    )


def _shared(head: Bench, base: Bench, name: str) -> frozenset[int]:
    """Return the generations with the same weights, samples and order in both, by digests."""
    here, there = _inputs(head, name), _inputs(base, name)
    return frozenset(each for each in here if here[each] == there.get(each))


def _inputs(bench: Bench, name: str) -> dict[int, tuple[str, str, str]]:
    """Return the digests of what an arm began with in each generation, where they are known."""
    return {
        start.generation: (start.weights_sha256, start.order_sha256, start.data_sha256)
        for start in bench.started(name)
        if start.weights_sha256 and start.order_sha256 and start.data_sha256
    }
