"""Bench -> Summary: each arm's epoch, its ratio and verdict, and who wins for how long."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from harness.experiments.bench.comparison import Judge
from harness.experiments.bench.family import family_of, pairs_of
from harness.experiments.bench.lead import Lead, Line, Reign, Rival, break_even, leaders
from harness.experiments.bench.numbers import (
    accuracies_of,
    mean_quality,
    paired_accuracy,
    paired_qualities,
)
from harness.experiments.bench.paired import ValidTurns, valid_turns
from harness.experiments.bench.remarks import remarks, why_blind, why_invalid
from harness.experiments.bench.summary import ArmSummary, Summary, Verdict
from harness.job.answers import Rates
from harness.records.bench import Bench, End, Entrant, Start, original_of
from harness.records.verdicts import NOT_CHECKED, Check, Verdicts, verdict_in, verdicts_of
from harness.spec.config import Spec
from harness.spec.model import check_command, own_model
from harness.spec.stack import optimizer_bytes, training_flops
from harness.statistics.intervals import Interval, median_of
from harness.statistics.verdict import (
    from_positive,
    over_generations,
    why_too_few,
    why_unsound,
)

FIT = "keras"  # the implementation


def summarize(
    bench: Bench, parities: Iterable[Check] = (), own_cost: float | None = None
) -> Summary:
    """Return what a session says of each arm, of identical code, and of who trains first.

    Args:
        bench: however much of the session has been measured.
        parities: checks that say which arms compute the same model.
        own_cost: share of the session's seconds that was neither a worker's start, turn nor end,
            where it is known.
    """
    session, count, verdicts = bench.session, valid_turns(bench), verdicts_of(parities)
    floors = {
        original_of(name): over_generations(count.log_ratios(name, original_of(name)).values())
        for name in session.duplicates
    }
    floor = floors.get(session.original)
    names = [each.name for each in session.originals if each.name not in bench.set_aside]
    judge = Judge(count, floor, floors, family_of(pairs_of(count, names)), why_blind(bench))
    arms = tuple(_arm(bench, judge, entrant, verdicts) for entrant in session.originals)
    return Summary(
        session_id=session.run_id,
        baseline=session.baseline,
        arms=arms,
        floor=floor,
        lead=_lead(judge, bench, arms),
        n_invalid=sum(bool(block.invalid) for block in bench.blocks),
        why_invalid=tuple(why_invalid(bench).items()),
        remarks=tuple(remarks(bench, count, floors, arms)),
        own_cost=own_cost,
        floors={name: each for name, each in floors.items() if name != session.original},
    )


def _arm(bench: Bench, judge: Judge, entrant: Entrant, verdicts: Verdicts) -> ArmSummary:
    name, baseline, count = entrant.name, bench.session.baseline, judge.count
    starts, ends = bench.started(name), bench.ended(name)
    turns, steady_s = count.of(name), count.steady_s(name)
    each = list(itertools.chain.from_iterable(turns.values()))
    compared, epoch_s = judge.compare(name, baseline), from_positive(steady_s.values())
    accuracies = accuracies_of(ends, name)
    verdict, reason = _verdict(bench, compared)
    return ArmSummary(
        name=name,
        device=starts[-1].device if starts else "",
        versions=starts[-1].versions if starts else {},
        verdict=verdict,
        reason=reason,
        parity=verdict_in(bench.session, entrant, starts, verdicts),
        n_generations=len(turns),
        n_blocks=len(each),
        epoch_s=epoch_s,
        ratio=compared.ratio,
        to_fit=_to_fit(bench, count, entrant),
        start_s=median_of(start.total_s for start in starts),
        compile_s=_compile_s(starts, epoch_s),
        break_even=_break_even(bench, count, name),
        share_of_limit=_share_of_limit(bench, entrant, steady_s),
        memory_bytes=_largest(ends),
        energy_j=median_of(turn.energy_j for turn in each),
        test_accuracy=_mean_and_sd(list(accuracies.values())),
        quality=mean_quality(ends),
        qualities=paired_qualities(bench, name),
        accuracy=None
        if name == baseline
        else paired_accuracy(accuracies, accuracies_of(bench.ends, baseline)),
        n_compiles_steady=sum(turn.n_compiles for turn in each),
        p_together=judge.family.get(frozenset((name, baseline))),
    )


def _verdict(bench: Bench, compared: Rival) -> tuple[Verdict, str]:
    if compared.name in bench.set_aside:
        return "set aside", bench.set_aside[compared.name]
    if compared.name == bench.session.baseline:
        return "baseline", ""
    return compared.finding, compared.reason


def _to_fit(bench: Bench, count: ValidTurns, entrant: Entrant) -> Interval | None:
    """Return an arm's epoch to that of its backend's `fit`; None where there is no other."""
    fits = [
        each.name
        for each in bench.session.entrants
        if each.backend == entrant.backend and each.implementation == FIT
    ]
    names = [name for name in fits if name not in (*bench.session.duplicates, entrant.name)]
    return over_generations(count.log_ratios(entrant.name, names[0]).values()) if names else None


def _compile_s(starts: Sequence[Start], epoch_s: Interval | None) -> float | None:
    """Return by how much the median first epoch is longer than a steady one."""
    first_s = median_of(start.first_epoch_s for start in starts)
    return None if first_s is None or epoch_s is None else max(0.0, first_s - epoch_s.mid)


def _break_even(bench: Bench, count: ValidTurns, name: str) -> float | None:
    """Return from which epoch on an arm is never behind the baseline; None where nothing says."""
    line, base = (_line(bench, count, each) for each in (name, bench.session.baseline))
    return break_even(line, base) if line and base and line != base else None


def _share_of_limit(
    bench: Bench, entrant: Entrant, steady_s: Mapping[int, float]
) -> Interval | None:
    """Return the share of an arm's epoch that the machine's own rates would take."""
    session, shares = bench.session, []
    if own_model(session.spec):  # whose operations nobody has counted
        return None
    kin = {each.name for each in session.entrants if each.backend == entrant.backend}
    for generation, seconds in steady_s.items():
        ends = [end for end in bench.ends if end.generation == generation and end.name in kin]
        if rates := _rates(ends, entrant.name):
            shares.append(
                limit_s(session.spec, session.data.n_inputs, session.data.n_train, rates) / seconds
            )
    return from_positive(shares)


def limit_s(spec: Spec, n_inputs: int, n_train: int, rates: Rates) -> float:
    """Return the seconds of an epoch that is only products, optimizer traffic and calls.

    The three follow one another here; where a framework overlaps them, an epoch can be shorter.

    Args:
        spec: what is trained.
        n_inputs: of one sample.
        n_train: samples of an epoch.
        rates: what the machine can do at most.
    """
    products_s = training_flops(spec, n_inputs) * n_train / rates.gemm_flops_per_s
    traffic_s = optimizer_bytes(spec, n_inputs, n_train) / rates.bandwidth_bytes_per_s
    return products_s + traffic_s + rates.n_dispatches * rates.dispatch_s


def _rates(ends: Sequence[End], name: str) -> Rates | None:
    """Return the best rates of a backend in a generation: a disturbed rate is no limit."""
    rates = [end.rates for end in ends if end.rates]
    own = [end.rates.n_dispatches for end in ends if end.rates and end.name == name]
    if not own:
        return None
    return Rates(
        gemm_flops_per_s=max(each.gemm_flops_per_s for each in rates),
        bandwidth_bytes_per_s=max(each.bandwidth_bytes_per_s for each in rates),
        dispatch_s=min(each.dispatch_s for each in rates),
        n_dispatches=own[-1],
    )


def _line(bench: Bench, count: ValidTurns, name: str) -> Line | None:
    """Return an arm's seconds to so many epochs, None where it has not come so far."""
    start_s = median_of(start.total_s for start in bench.started(name))
    epoch_s = from_positive(count.steady_s(name).values())
    return Line(name, start_s, epoch_s.mid) if start_s is not None and epoch_s else None


def _lines(bench: Bench, count: ValidTurns, arms: Sequence[ArmSummary]) -> dict[str, Line]:
    """Return the lines of all arms that have one, by name; without those that are set aside."""
    running = [arm.name for arm in arms if arm.verdict != "set aside"]
    return {name: line for name in running if (line := _line(bench, count, name))}


def _lead(judge: Judge, bench: Bench, arms: Sequence[ArmSummary]) -> Lead:
    """Return who has trained so many epochs first, and what keeps that from being sure."""
    baseline, timed = bench.session.baseline, _lines(bench, judge.count, arms)
    able = {arm.name: arm for arm in arms if arm.name in timed and not arm.other_numbers}
    lines = {name: timed[name] for name in able}
    if not lines:
        return Lead(baseline, barred=bool(timed))
    reigns = tuple(Reign(*each) for each in leaders(lines.values()))
    leader = able[reigns[-1].name]
    too_few = why_too_few(leader.n_generations)
    return Lead(
        baseline,
        reigns,
        leader.ratio,
        tuple(judge.compare_all(lines, leader.name)),
        too_few or judge.unseen or why_unsound(judge.floor),
        fit=_with_fit(judge, bench, lines),
        unchecked=tuple(name for name, arm in able.items() if arm.parity == NOT_CHECKED),
        n_arms=len(able),
        check=check_command(bench.session.spec),
    )


def _with_fit(
    judge: Judge, bench: Bench, lines: Mapping[str, Line]
) -> tuple[str, tuple[Rival, ...]] | None:
    """Return the first of the arms that train by `fit`, and the others; None if all do, or none."""
    fits = {
        each.name for each in bench.session.entrants if each.implementation == FIT
    } & lines.keys()
    if not fits or fits == lines.keys():
        return None
    first = min(fits, key=lambda name: lines[name].epoch_s)
    return first, tuple(judge.compare_all(fits, first))


def _mean_and_sd(values: Sequence[float]) -> tuple[float, float] | None:
    if not values:
        return None
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan


def _largest(ends: Iterable[End]) -> dict[str, int]:
    """Return the most memory that any process took, by label."""
    largest: dict[str, int] = {}
    for end in ends:
        largest |= {
            label: max(n_bytes, largest.get(label, 0))
            for label, n_bytes in end.memory_bytes.items()
        }
    return largest
