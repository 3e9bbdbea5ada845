"""What makes a bench session less sure, or its arms less comparable, than they look."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from harness.errors.safe import short
from harness.experiments.bench.limits import Broken, broken_limit
from harness.experiments.bench.paired import ValidTurns
from harness.experiments.bench.summary import ArmSummary
from harness.records.bench import Bench, End, Start, original_of
from harness.records.verdicts import NOT_CHECKED
from harness.report.remarks import Remark, arithmetic, departed, recompiled, replaced, torn_down
from harness.spec.model import check_command, own_model
from harness.statistics.intervals import Interval
from harness.statistics.verdict import has_ends, why_unsound

VIRTUAL = "its devices are virtual, parts of one processor, whose times say nothing of several"
NO_COMPARISON = "so it cannot lead: a time for other numbers is no comparison"
SENTENCES = {
    "blind": "{0}: nothing here is surer than inconclusive",
    "other numbers": "{names}: {0}, " + NO_COMPARISON,
    "no pair": "no arm is in it twice, so nothing says how far identical code differs here, and no "
    "arm is called faster or slower",
    "pair set aside": "{names} was set aside, and with it what says how far identical code "
    "differs: {0}",
    "unsound pair": "{names}: {0}; look for what disturbs it, and run it again",
    "process failed": "{names}: 1 process failed and began anew: {1}",
    "processes failed": "{names}: {0} processes failed and began anew: {1}",
    "generation lost": "generation {names} does not count: fewer than half of {0} blocks are "
    "valid; a quiet machine would give more",
    "generations lost": "generations {names} do not count: fewer than half of {0} blocks are "
    "valid; a quiet machine would give more",
    "inputs": "inputs differ: processes of one generation did not start from the same weights, or "
    "saw other samples or another order",
    "devices": "devices differ, so arms are compared with what they ran on: {0}",
    "keras": "Keras differs between environments ({names})",
    "no such metric": "margin: no metric is called {names}; expected one of {0}",
    "versions": "{names}: its processes ran under different versions of {0}: its generations are "
    "not of one arm",
}


def why_invalid(bench: Bench) -> Counter[Broken]:
    """Return the limits that turns of invalid blocks broke, without a figure, and how often."""
    found: Counter[Broken] = Counter()
    n_cores: dict[tuple[int, str, int], int] = {}  # of each process, in its first turn
    for block in bench.blocks:
        broken = []
        for name, turn in block.turns.items():
            process = block.generation, name, block.processes.get(name, 1)
            first = n_cores.setdefault(process, turn.n_cores)
            if limit := broken_limit(turn, bench.session.limits, first):
                broken.append(limit._replace(figure=0.0))
        if len(block.turns) < len(block.order):
            broken.append(Broken("ended", 0.0, 0.0))
        found.update(broken if block.invalid else ())
    return found


def remarks(
    bench: Bench,
    count: ValidTurns,
    floors: Mapping[str, Interval | None],
    arms: Sequence[ArmSummary],
) -> Iterable[Remark]:
    """Say what would make a session less sure, or its arms less comparable, than they look.

    Args:
        bench: the session.
        count: what counts of it.
        floors: the ratio of each pair of identical arms, by the arm's name.
        arms: what the session says of each arm.
    """
    starts = [start for start in bench.starts if start.status == "ok"]
    yield from departed([arm.name for arm in arms if arm.parity == "departs"])
    if why := why_blind(bench):
        yield Remark("blind", values=(why,))
    yield from (*_unchecked(bench, arms), *_other_numbers(arms), *_replaced(bench))
    yield from (*_unknown_metrics(bench), *_identical_code(bench, floors))
    yield from (*_processes(bench), *_lost(bench, count))
    yield from (*_inputs(bench, starts), *_surroundings(starts))
    yield from arithmetic([start.settings for start in starts])
    yield from _turns(bench, count, arms)


def is_virtual(bench: Bench) -> bool:
    """Say whether a session's devices are parts of one processor."""
    return any(start.settings.get("virtual_devices") for start in bench.starts)


def why_blind(bench: Bench) -> str:
    """Return why a session's times decide nothing: "" where they can.

    Its devices are virtual, or disturbances cannot be seen. Then its blocks are valid whatever
    happened beside them, and nothing surer than "inconclusive" follows from them.
    """
    if is_virtual(bench):
        return VIRTUAL
    turns = (turn for block in bench.blocks if not block.invalid for turn in block.turns.values())
    if all(turn.others_s is not None for turn in turns):
        return ""
    return "this system does not show what other processes do, so disturbances cannot be seen"


def _unchecked(bench: Bench, arms: Iterable[ArmSummary]) -> Iterable[Remark]:
    """Say which arms no check has looked at, and what to type."""
    if names := tuple(arm.name for arm in arms if arm.parity == NOT_CHECKED):
        spec = bench.session.spec
        kind = "own not checked" if own_model(spec) else "not checked"
        yield Remark(kind, names, (check_command(spec),))


def _other_numbers(arms: Iterable[ArmSummary]) -> Iterable[Remark]:
    """Say whose numbers are known to be others than they should be, though parity does not."""
    for arm in arms:
        if arm.parity != "departs" and (why := arm.other_numbers):
            yield Remark("other numbers", (arm.name,), (why,))


def _replaced(bench: Bench) -> Iterable[Remark]:
    """Say where lean took compiled's place, and of which data quality is."""
    refusals = ((start.name, start.settings.get("refused")) for start in bench.starts)
    return replaced(refusals, {end.quality.of for end in bench.ends if end.quality})


def _turns(bench: Bench, count: ValidTurns, arms: Iterable[ArmSummary]) -> Iterable[Remark]:
    """Say whose turns hold more than training: the end of an input pipeline, or compilation."""
    turns = {
        entrant.name: list(chain.from_iterable(count.of(entrant.name).values()))
        for entrant in bench.session.entrants
    }
    for arm in arms:
        yield from torn_down(arm.name, turns[arm.name])
    yield from recompiled([name for name in turns if any(turn.n_compiles for turn in turns[name])])


def _unknown_metrics(bench: Bench) -> Iterable[Remark]:
    """Say for which metrics a margin is declared though the model has none of that name."""
    own, ends = own_model(bench.session.spec), [end.quality for end in bench.ends if end.quality]
    known = dict.fromkeys(name for quality in ends for name in quality.values)
    unknown = [name for name in (own.margin if own else ()) if name not in known]
    if known and unknown:
        yield Remark("no such metric", tuple(map(short, unknown)), (", ".join(map(short, known)),))


def _identical_code(bench: Bench, floors: Mapping[str, Interval | None]) -> Iterable[Remark]:
    """Say that nothing, or something bad, is known of how far identical code differs here."""
    if not floors:
        yield Remark("no pair")
    for name in bench.session.duplicates:
        original = original_of(name)
        floor = floors[original]
        if name in bench.set_aside:
            yield Remark("pair set aside", (name,), (bench.set_aside[name],))
        elif has_ends(floor) and (why := why_unsound(floor)):
            yield Remark("unsound pair", (original,), (why,))


def _processes(bench: Bench) -> Iterable[Remark]:
    """Say whose processes failed, and were started again."""
    failed: dict[str, list[str]] = defaultdict(list)
    processes: tuple[Start | End, ...] = (*bench.starts, *bench.ends)
    for each in processes:
        if each.status == "failed" and each.name not in bench.set_aside:
            failed[each.name].append(each.reason)
    for name, reasons in failed.items():
        kind = "process failed" if len(reasons) == 1 else "processes failed"
        yield Remark(kind, (name,), (len(reasons), reasons[-1]))


def _lost(bench: Bench, count: ValidTurns) -> Iterable[Remark]:
    """Say which generations do not count, though they were begun and are over."""
    begun = {block.generation for block in bench.blocks if block.block == bench.session.n_blocks}
    lost = [
        generation
        for generation in sorted(begun)
        if len(count.turns.get(generation, ())) < count.n_least
    ]
    if lost:
        kind = "generation lost" if len(lost) == 1 else "generations lost"
        yield Remark(kind, tuple(map(str, lost)), (bench.session.n_blocks,))


def _inputs(bench: Bench, starts: Iterable[Start]) -> Iterable[Remark]:
    """Say that processes of one generation differ in weights, samples or their order."""
    digests: dict[int, set[tuple[str | None, ...]]] = defaultdict(set)
    for start in starts:
        digests[start.generation].add((start.data_sha256, start.weights_sha256, start.order_sha256))
    if any(len(several) > 1 for several in digests.values()):
        native = bench.session.spec.inputs == "native"
        yield Remark("native inputs" if native else "inputs")


def _surroundings(starts: Iterable[Start]) -> Iterable[Remark]:
    """Say that arms ran on different devices, or one of them under different versions."""
    devices: dict[str, set[str]] = defaultdict(set)
    versions: dict[str, set[tuple[tuple[str, str], ...]]] = defaultdict(set)
    keras: set[str] = set()
    for start in starts:
        devices[start.device].add(start.name)
        versions[start.name].add(tuple(sorted(start.versions.items())))
        keras |= {start.versions["keras"]} if "keras" in start.versions else set()
    if len(devices) > 1:
        each = (f"{device}: {', '.join(sorted(devices[device]))}" for device in sorted(devices))
        yield Remark("devices", values=("; ".join(each),))
    if len(keras) > 1:
        yield Remark("keras", tuple(sorted(keras)))
    for name, several in versions.items():
        first = set(next(iter(several)))
        differing = sorted({key for one in several for key, _ in first ^ set(one)})
        if differing:
            yield Remark("versions", (name,), (", ".join(differing),))
