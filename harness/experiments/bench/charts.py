"""Session -> charts of its answer: who wins, by how much, how stable, how near to the limit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from harness.experiments.bench.document import NO_PAIR, TONES
from harness.experiments.bench.paired import valid_turns
from harness.experiments.bench.summary import ArmSummary, Summary
from harness.records.bench import Bench
from harness.report.charts import (
    Axis,
    Bars,
    Chart,
    Curves,
    Estimate,
    Estimates,
    Part,
    Point,
    Tile,
    counted,
    tabulate,
)
from harness.report.document import NONE, Column, Table, Tone, listed, words
from harness.report.numbers import number, ratio, span
from harness.statistics.intervals import MARGIN, Interval
from harness.statistics.verdict import THRESHOLD, has_ends, percent

ARM = Column("arm", align="left")
ACCURACY_TONES: dict[str, Tone] = {
    "equivalent": "equal",
    "different": "bad",
    "inconclusive": "warning",
}
SETTLED = (1 / (1 + THRESHOLD), 1 + THRESHOLD)


def tiles(summary: Summary) -> tuple[Tile, ...]:
    """Return who wins, whether it is the same model, and how sure that is."""
    return (_winner(summary), _same_model(summary), _how_sure(summary))


def _winner(summary: Summary) -> Tile:
    question = "Which trains first?"
    if not summary.lead.reigns:
        return Tile(question, "nobody yet", tone="warning")
    name = summary.lead.reigns[-1].name
    if summary.lead.undecided:
        return Tile(question, f"{name}, so far", summary.lead.undecided, "warning")
    if close := summary.lead.close:
        more = f"not told apart; by medians {name}"
        return Tile(question, listed([name, *(rival.name for rival in close)]), more, "good")
    return Tile(question, name, f"{_epochs(summary)}", "good")


def _epochs(summary: Summary) -> str:
    first = summary.lead.reigns[-1].from_epoch
    return f"from {first} epochs on" if first > 1 else "for any number of epochs"


def _same_model(summary: Summary) -> Tile:
    question = "Is it the same model?"
    counts = Counter(arm.parity for arm in summary.arms)
    n_agree = counts["agrees"] + counts["agrees (quick)"]
    answer = "yes" if n_agree == len(summary.arms) else f"{n_agree} of {len(summary.arms)} arms"
    more = ", ".join(f"{n} arm{'s' * (n > 1)}: {parity}" for parity, n in counts.items())
    if counts["agrees"] == len(summary.arms):
        more = f"every update is the float64 referee's, on all of {len(summary.arms)} arms"
    bad = counts["departs"] + counts["failed"]
    tone: Tone = "bad" if bad else "good" if n_agree == len(summary.arms) else "warning"
    return Tile(question, answer if n_agree or bad else "not checked", more, tone)


def _how_sure(summary: Summary) -> Tile:
    question = "How sure is that?"
    most = max((arm.n_generations for arm in summary.arms), default=0)
    generations = f"{most} generations of fresh processes"
    if summary.lead.undecided:
        return Tile(question, "inconclusive", generations, "warning")
    floor = summary.floor
    more = (
        f"{generations}; identical code differs by {percent(floor.mid)}" if floor else generations
    )
    return Tile(question, "95 % confidence", more, "good")


def forest(summary: Summary) -> Chart | None:
    """Return by how much each arm's epoch differs from the baseline's."""
    arms = sorted((arm for arm in summary.arms if arm.ratio), key=_ratio_of)
    if not arms:
        return None
    rows = tuple(
        Estimate(arm.name, arm.ratio, _word(arm), TONES[arm.verdict]) for arm in arms if arm.ratio
    )
    table = Table(
        (ARM, *words("verdict"), Column("ratio"), Column("epoch", unit="s"), *words("why")),
        tuple(
            (arm.name, arm.verdict, ratio(arm.ratio), span(arm.epoch_s), arm.reason) for arm in arms
        ),
    )
    reading = (
        f"A mark left of 1 has a shorter epoch than {summary.baseline}; its line is the 95 % "
        f"interval, and the dashed lines are the threshold of {THRESHOLD:.0%}. "
    )
    floor = summary.floor if has_ends(summary.floor) else None
    reading += (
        "The grey band is by how much identical code differed. ◀ faster, ▶ slower, ■ the same, "
        "● not decided."
        if floor
        else f"{NO_PAIR}."
    )
    return Chart(
        "forest",
        "By how much, and how sure?",
        _forest_finding(summary, arms),
        reading,
        table,
        Estimates(
            rows,
            Axis(f"times {summary.baseline}'s epoch", "log"),
            (floor.low, floor.high) if floor else None,
            SETTLED,
            1.0,
        ),
    )


def _ratio_of(arm: ArmSummary) -> float:
    return arm.ratio.mid if arm.ratio else math.inf


def _word(arm: ArmSummary) -> str:
    if arm.verdict == "baseline":
        return "baseline"
    return f"{arm.verdict} {ratio(arm.ratio)}{' !' if arm.other_numbers else ''}"


def _forest_finding(summary: Summary, arms: Iterable[ArmSummary]) -> str:
    others = [arm for arm in arms if arm.name != summary.baseline]
    if not others:
        return f"{summary.baseline} is the only arm."
    told = counted(arm.verdict for arm in others)
    best = others[0]
    shortest = f"the shortest epoch is {best.name}'s, {ratio(best.ratio)} times that long"
    return f"Of {len(others)} arms beside {summary.baseline}, {told}; {shortest}."


def generations(bench: Bench, summary: Summary) -> Chart | None:
    """Return each arm's ratio in each generation."""
    count, baseline = valid_turns(bench), summary.baseline
    points = tuple(
        Point(arm.name, at, math.exp(log))
        for arm in summary.arms
        for at, log in count.log_ratios(arm.name, baseline).items()
        if arm.name != baseline
    )
    if not points:
        return None
    return Chart(
        "generations",
        "Is that stable?",
        _swings(points),
        f"Each dot is one generation of fresh processes: the median of an arm's epoch to "
        f"{baseline}'s in the same blocks. A level line is a stable ratio.",
        tabulate(points, lambda at: Column(f"generation {at:g}"), lambda value: number(value, 3)),
        Curves(points, Axis("generation"), Axis(f"times {baseline}'s epoch", "log")),
    )


def _swings(points: Iterable[Point]) -> str:
    """Return which arm's ratio varies most, and which least."""
    ratios: dict[str, list[float]] = {}
    for point in points:
        ratios.setdefault(point.series, []).append(point.y)
    swings = {name: max(values) / min(values) for name, values in ratios.items()}
    least, most = min(swings, key=swings.__getitem__), max(swings, key=swings.__getitem__)
    n_most = max(map(len, ratios.values()))
    return (
        f"{most} varies most, by a factor of {swings[most]:.2f} over {n_most} generations; "
        f"{least} least, by {swings[least]:.2f}."
    )


def limit(summary: Summary) -> Chart | None:
    """Return how near each arm's epoch is to what its arithmetic must take."""
    shares = {arm.name: in_points(arm.share_of_limit) for arm in summary.arms if arm.share_of_limit}
    if not shares:
        return None
    best = max(shares, key=lambda each: shares[each].mid)
    least = min(shares, key=lambda each: shares[each].mid)
    finding = (
        f"{best} is nearest: the arithmetic of its epoch, at the rates that its framework reaches, "
        f"would take {shares[best].mid:.0f} % of it; {least} is farthest, at "
        f"{shares[least].mid:.0f} %."
    )
    rows = tuple(Estimate(name, each, f"{each.mid:.0f} %") for name, each in shares.items())
    return Chart(
        "limit",
        "How far from the limit?",
        finding,
        "A bar to 100 % would be an epoch of nothing but its products, its optimizer's traffic and "
        "its calls; what is missing is spent elsewhere. The line is the 95 % interval.",
        Table(
            (ARM, Column("of limit")),
            tuple((name, span(share, 0, " %")) for name, share in shares.items()),
        ),
        Estimates(rows, Axis("share of the epoch, %"), lines=(100.0,)),
    )


def memory(summary: Summary) -> Chart | None:
    """Return the most memory that any process of an arm took."""
    parts = tuple(
        Part(arm.name, label, n_bytes / 2**20)
        for arm in summary.arms
        for label, n_bytes in arm.memory_bytes.items()
    )
    if not parts:
        return None
    first = [part for part in parts if part.part == parts[0].part]
    least = min(first, key=lambda part: part.value)
    most = max(first, key=lambda part: part.value)
    return Chart(
        "memory",
        "How much memory?",
        f"{least.name} takes least, {least.value:.0f} MiB ({least.part}); {most.name} most, "
        f"{most.value:.0f} MiB.",
        "Each bar is the most of any of an arm's processes; libraries and data are in it.",
        Table(
            (ARM, *words("kind"), Column("most", unit="MiB")),
            tuple((part.name, part.part, number(part.value, 0)) for part in parts),
        ),
        Bars(parts, Axis("MiB"), stacked=False),
    )


def accuracy(summary: Summary) -> Chart | None:
    """Return by how much each arm's test accuracy differs from the baseline's."""
    found = {arm.name: arm.accuracy for arm in summary.arms if arm.accuracy}
    if not found:
        return None
    rows = tuple(
        Estimate(name, in_points(each.mean), each.verdict, ACCURACY_TONES[each.verdict])
        for name, each in found.items()
    )
    band = 100 * MARGIN
    return Chart(
        "accuracy",
        "Is it as accurate?",
        f"Of {len(found)} arms compared with {summary.baseline} on the test set, "
        f"{counted(row.word for row in rows)}.",
        f"Points of test accuracy more (right) or less (left) than {summary.baseline}, paired by "
        f"seed, with the 90 % interval; inside the band of ±{band:g} points accuracies are the "
        "same (TOST).",
        _accuracy_table(rows, summary),
        Estimates(rows, Axis("points of test accuracy"), (-band, band), (), 0.0),
    )


def _accuracy_table(rows: Iterable[Estimate], summary: Summary) -> Table:
    known = {arm.name: arm.test_accuracy for arm in summary.arms}
    columns = (ARM, *words("verdict"), Column("difference, points (90 %)"), Column("accuracy"))
    means = {name: f"{found[0]:.4f}" if found else NONE for name, found in known.items()}
    cells = ((row.name, row.word, span(row.interval, 3), means[row.name]) for row in rows)
    return Table(columns, tuple(cells))


def in_points(share: Interval) -> Interval:
    """Return a share and its interval in per cent."""
    return Interval(100 * share.low, 100 * share.mid, 100 * share.high)
