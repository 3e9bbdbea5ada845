"""Bench -> Standing: each arm's steady epoch, its ratio to the baseline with an interval, a verdict, and who wins for how long."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.judge.bench_remarks import blind, remarks, why_invalid
from harness.judge.effect import Finding, from_positive, judged, over_generations, too_few, unsound
from harness.judge.lead import Line, Rival, break_even, reigns, sentence, with_fit
from harness.judge.limit import limit_s
from harness.judge.paired import Counted, counted
from harness.judge.statistics import Equivalence, Interval, tost
from harness.records.bench import Bench, End, Entrant, Rates
from harness.records.parity import Parity, Verdicts, verdict_in, verdicts_of

FIT = "keras"  # the implementation
MARGIN = 0.0025  # of test accuracy: a quarter of a point
Verdict = Literal["baseline", "faster", "slower", "same", "inconclusive", "set aside"]


@dataclass(frozen=True, slots=True)
class ArmStanding:
    """What a session says of one arm. Intervals are 95 % over generations; None where there are too few of them."""

    name: str
    device: str
    versions: dict[str, str]
    verdict: Verdict
    reason: str = ""  # of "inconclusive" and "set aside": what would have to be otherwise
    parity: str = "not checked"  # agrees, agrees (quick), departs, failed, not checked
    n_generations: int = 0  # that count: with half of their blocks valid
    n_blocks: int = 0  # valid ones, of those generations
    epoch_s: Interval | None = None  # steady epoch; low and high are nan with fewer than MIN_GENERATIONS generations
    ratio: Interval | None = None  # epoch to the baseline's, in pairs; the same
    to_fit: Interval | None = None  # epoch to that of the same backend's "keras" arm, in pairs; None where there is none, or it is this
    start_s: float | None = None  # median over processes: from nothing to the end of the first epoch
    compile_s: float | None = None  # median: first epoch less a steady one; never below 0
    break_even: float | None = (
        None  # epochs from which on it is never behind the baseline; inf: it falls behind for good; 1: from the first
    )
    share_of_limit: Interval | None = None  # the limit's seconds over the epoch's
    memory_bytes: dict[str, int] = field(default_factory=dict)  # largest of its processes, by label
    energy_j: float | None = None  # median of a turn; None: no counter
    test_accuracy: tuple[float, float] | None = None  # mean and sd over generations' seeds
    accuracy: Equivalence | None = None  # to the baseline's, paired by seed, margin 0.25 points; None for the baseline
    n_compiles_steady: int = 0  # in turns: 0, or its epochs hold compilation


@dataclass(frozen=True, slots=True)
class Reign:
    """The arm that has trained so many epochs first."""

    name: str
    from_epoch: int
    to_epoch: int | None  # None: for good


@dataclass(frozen=True, slots=True)
class Standing:
    """What a session says altogether."""

    session_id: str
    baseline: str
    arms: tuple[ArmStanding, ...]  # in the session's order, the duplicate left out
    floor: Interval | None  # ratio of the A/A pair: identical code; None with too few generations or without a pair
    reigns: tuple[Reign, ...]  # who is first, from 1 epoch on; arms that depart or are set aside never are
    sentence: str  # which arm wins for how many epochs, and how sure
    n_invalid: int  # blocks run again, or given up, by the limits
    why_invalid: tuple[str, ...]  # each reason with how often
    remarks: tuple[str, ...]
    own_cost: float | None  # share of the session's seconds that was neither a worker's start, turn nor end


def standing(bench: Bench, parities: Iterable[Parity] = (), own_cost: float | None = None) -> Standing:
    """Return what a session says: of each arm, of the pair of identical ones, and who trains first for how many epochs.

    Args:
        bench: however much of the session has been measured.
        parities: checks that say which arms compute the same model.
        own_cost: share of the session's seconds that was neither a worker's start, turn nor end, where it is known.
    """
    session, count, verdicts = bench.session, counted(bench), verdicts_of(parities)
    floor = over_generations(count.log_ratios(session.again, session.original).values()) if session.again else None
    arms = tuple(_arm(bench, count, entrant, floor, verdicts) for entrant in session.entrants if entrant.name != session.again)
    reign, said = _first(count, bench, arms, floor)
    reasons = why_invalid(bench)
    return Standing(
        session_id=session.run_id,
        baseline=session.baseline,
        arms=arms,
        floor=floor,
        reigns=reign,
        sentence=said,
        n_invalid=sum(bool(block.invalid) for block in bench.blocks),
        why_invalid=tuple(f"{reason} ({times} {'time' if times == 1 else 'times'})" for reason, times in reasons.items()),
        remarks=tuple(remarks(bench, count, floor, {arm.name: arm.parity for arm in arms})),
        own_cost=own_cost,
    )


def _arm(bench: Bench, count: Counted, entrant: Entrant, floor: Interval | None, verdicts: Verdicts) -> ArmStanding:
    name, baseline = entrant.name, bench.session.baseline
    starts = [start for start in bench.starts if start.name == name and start.status == "ok"]
    ends = [end for end in bench.ends if end.name == name and end.status == "ok"]
    turns, steady_s, logs = count.of(name), count.steady_s(name), count.log_ratios(name, baseline)
    each = list(itertools.chain.from_iterable(turns.values()))
    ratio, epoch_s = over_generations(logs.values()), from_positive(steady_s.values())
    first_s = _median(start.first_epoch_s for start in starts)
    line, base = _line(bench, count, name), _line(bench, count, baseline)
    accuracies = _accuracies(ends, name)
    verdict, reason = _verdict(bench, name, ratio, len(logs), floor)
    return ArmStanding(
        name=name,
        device=starts[-1].device if starts else "",
        versions=starts[-1].versions if starts else {},
        verdict=verdict,
        reason=reason,
        parity=verdict_in(bench.session, entrant, starts, verdicts),
        n_generations=len(turns),
        n_blocks=len(each),
        epoch_s=epoch_s,
        ratio=ratio,
        to_fit=_to_fit(bench, count, entrant),
        start_s=_median(start.total_s for start in starts),
        compile_s=max(0.0, first_s - epoch_s.mid) if first_s is not None and epoch_s else None,
        break_even=break_even(line, base) if line and base and name != baseline else None,
        share_of_limit=_share_of_limit(bench, name, steady_s),
        memory_bytes=_largest(ends),
        energy_j=_median(turn.energy_j for turn in each if turn.energy_j is not None),
        test_accuracy=_mean_and_sd(list(accuracies.values())),
        accuracy=None if name == baseline else _equivalence(accuracies, _accuracies(bench.ends, baseline)),
        n_compiles_steady=sum(turn.n_compiles for turn in each),
    )


def _verdict(bench: Bench, name: str, ratio: Interval | None, n_generations: int, floor: Interval | None) -> tuple[Verdict, str]:
    if name in bench.set_aside:
        return "set aside", bench.set_aside[name]
    if name == bench.session.baseline:
        return "baseline", ""
    return _judged(bench, ratio, n_generations, floor)


def _judged(bench: Bench, ratio: Interval | None, n_generations: int, floor: Interval | None) -> tuple[Finding, str]:
    """Return what a ratio says: nothing sure where the session's disturbances cannot be seen."""
    why = blind(bench)
    return ("inconclusive", why) if why else judged(ratio, n_generations, floor)


def _to_fit(bench: Bench, count: Counted, entrant: Entrant) -> Interval | None:
    """Return an arm's epoch to that of its backend's `fit`, None where there is none or it is this."""
    fits = [each.name for each in bench.session.entrants if each.backend == entrant.backend and each.implementation == FIT]
    names = [name for name in fits if name not in (bench.session.again, entrant.name)]
    return over_generations(count.log_ratios(entrant.name, names[0]).values()) if names else None


def _share_of_limit(bench: Bench, name: str, steady_s: Mapping[int, float]) -> Interval | None:
    """Return the share of an arm's epoch that the machine's own rates would take."""
    session, shares = bench.session, []
    for generation, seconds in steady_s.items():
        if rates := _rates(bench, name, generation):
            shares.append(limit_s(session.spec, session.data.n_inputs, session.data.n_train, rates) / seconds)
    return from_positive(shares)


def _rates(bench: Bench, name: str, generation: int) -> Rates | None:
    """Return what an arm's backend reached at best in any of its processes of a generation: a rate that was disturbed is no limit."""
    backends = {entrant.name: entrant.backend for entrant in bench.session.entrants}
    found = [end for end in bench.ends if end.generation == generation and end.rates and backends[end.name] == backends[name]]
    own = [end.rates.n_dispatches for end in found if end.rates and end.name == name]
    if not own:
        return None
    rates = [end.rates for end in found if end.rates]
    return Rates(
        gemm_flops_per_s=max(each.gemm_flops_per_s for each in rates),
        bandwidth_bytes_per_s=max(each.bandwidth_bytes_per_s for each in rates),
        dispatch_s=min(each.dispatch_s for each in rates),
        n_dispatches=own[-1],
    )


def _line(bench: Bench, count: Counted, name: str) -> Line | None:
    """Return an arm's seconds to so many epochs, None where it has not come so far."""
    start_s = _median(start.total_s for start in bench.starts if start.name == name and start.status == "ok")
    epoch_s = from_positive(count.steady_s(name).values())
    return Line(name, start_s, epoch_s.mid) if start_s is not None and epoch_s else None


def _first(count: Counted, bench: Bench, arms: Sequence[ArmStanding], floor: Interval | None) -> tuple[tuple[Reign, ...], str]:
    """Return who has trained so many epochs first, and the sentence that says so."""
    lines = {
        arm.name: line for arm in arms if arm.parity != "departs" and arm.verdict != "set aside" and (line := _line(bench, count, arm.name))
    }
    reign = reigns(lines.values())
    leader = next((arm for arm in arms if reign and arm.name == reign[-1][0]), None)
    rivals = (
        sorted((_rival(bench, count, name, leader.name, floor) for name in lines if name != leader.name), key=_distance) if leader else []
    )
    undecided = (too_few(leader.n_generations) or blind(bench) or unsound(floor)) if leader else ""
    said = [] if undecided else [_with_fit(count, bench, lines, floor)]
    said += [sentence(reign, bench.session.baseline, leader.ratio if leader else None, rivals, undecided)]
    return tuple(Reign(*each) for each in reign), " ".join(each for each in said if each)


def _with_fit(count: Counted, bench: Bench, lines: Mapping[str, Line], floor: Interval | None) -> str:
    """Return what the session says to those who train by `fit`; nothing where there is no other arm to take it for."""
    fits = {each.name for each in bench.session.entrants if each.implementation == FIT} & lines.keys()
    if not fits or fits == lines.keys():
        return ""
    first = min(fits, key=lambda name: lines[name].epoch_s)
    return with_fit(first, sorted((_rival(bench, count, name, first, floor) for name in fits - {first}), key=_distance))


def _rival(bench: Bench, count: Counted, name: str, leader: str, floor: Interval | None) -> Rival:
    logs = count.log_ratios(name, leader)
    ratio = over_generations(logs.values())
    return Rival(name, ratio, *_judged(bench, ratio, len(logs), floor))


def _distance(rival: Rival) -> float:
    return rival.ratio.mid if rival.ratio else math.inf


def _accuracies(ends: Iterable[End], name: str) -> dict[int, float]:
    """Return an arm's test accuracy in each generation; of several processes the last one's."""
    found = sorted((end for end in ends if end.name == name and end.status == "ok"), key=lambda end: end.process)
    return {end.generation: end.test_accuracy for end in found if end.test_accuracy is not None}


def _equivalence(mine: Mapping[int, float], base: Mapping[int, float]) -> Equivalence | None:
    """Return whether two arms' accuracies are the same, paired by generation: one seed gave both their weights and samples."""
    differences = [mine[generation] - base[generation] for generation in mine if generation in base]
    return tost(differences, MARGIN) if differences else None


def _mean_and_sd(values: Sequence[float]) -> tuple[float, float] | None:
    if not values:
        return None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan


def _largest(ends: Iterable[End]) -> dict[str, int]:
    """Return the most memory that any process took, by label."""
    largest: dict[str, int] = {}
    for end in ends:
        largest |= {label: max(n_bytes, largest.get(label, 0)) for label, n_bytes in end.memory_bytes.items()}
    return largest


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return statistics.median(known) if known else None
