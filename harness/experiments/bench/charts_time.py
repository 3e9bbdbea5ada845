"""Session -> charts of its seconds: what disturbed it, for how many epochs, where a start goes."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from harness.errors.safe import short
from harness.experiments.bench.charts import ARM
from harness.experiments.bench.lead import Line, Reign
from harness.experiments.bench.summary import ArmSummary, Summary
from harness.records.bench import Bench, Block, Start
from harness.report.charts import (
    Axis,
    Bars,
    Chart,
    Curves,
    Mark,
    Part,
    Point,
    Reach,
    tabulate,
)
from harness.report.document import Column, Table, words
from harness.report.numbers import number

PHASES = {
    "spawn_s": "start Python",
    "import_s": "import",
    "data_s": "open the data",
    "build_s": "build the model",
    "feed_s": "feed",
}
COMPILE, EPOCH, REST = "compile", "first epoch", "rest"
TOLD = (1, 5, 10, 50, 100, 500, 1000)  # epochs of which the table tells
N_SHOWN = 24  # points of a curve of seconds


def clock(bench: Bench) -> Chart | None:
    """Return each epoch's seconds by the time of day, with what was run again."""
    if not bench.blocks:
        return None
    times = [datetime.fromisoformat(block.started_at) for block in bench.blocks]
    began = min(times)
    minutes = [(time - began).total_seconds() / 60 for time in times]
    blocks = list(zip(bench.blocks, minutes, strict=True))
    n_invalid = sum(bool(block.invalid) for block in bench.blocks)
    finding = f"All {len(blocks)} blocks count: nothing beside them broke a limit."
    if n_invalid:
        broke = "broke a limit that was set beforehand, and do not count"
        finding = f"{n_invalid} of {len(blocks)} blocks {broke}."
    columns = (Column("minute"), Column("generation"), Column("block"))
    return Chart(
        "clock",
        "What disturbed it?",
        finding,
        "Each mark is an epoch, by when it began; hollow marks are of blocks that do not count, "
        "and the table says why. A drift of all arms together is the machine's.",
        Table((*columns, *words("counts", "why not")), tuple(_row(*each) for each in blocks)),
        Curves(
            tuple(point for each in blocks for point in _turns(*each)),
            Axis("minutes since the first block"),
            Axis("seconds of an epoch", "log"),
            joined=False,
        ),
    )


def _row(block: Block, minutes: float) -> tuple[str, ...]:
    counts = "no" if block.invalid else "yes"
    place = (f"{minutes:.1f}", str(block.generation), str(block.block))
    return (*place, counts, short(block.invalid))


def _turns(block: Block, minutes: float) -> list[Point]:
    """Return the turns of a block, one after another."""
    points = []
    for name in block.order:
        if (turn := block.turns.get(name)) and turn.seconds > 0:
            shown = name.removesuffix(" again")
            points.append(Point(shown, minutes, turn.seconds, counts=not block.invalid))
            minutes += turn.around_s / 60
    return points


def cumulative(summary: Summary) -> Chart | None:
    """Return each arm's seconds to so many epochs, and who is first."""
    lines = {
        arm.name: Line(arm.name, arm.start_s, arm.epoch_s.mid)
        for arm in summary.arms
        if arm.start_s is not None and arm.epoch_s and arm.verdict != "set aside"
    }
    if not lines or not summary.lead.reigns:
        return None
    last = max(1000, 3 * summary.lead.reigns[-1].from_epoch)
    shown = sorted({round(last ** (n / (N_SHOWN - 1))) for n in range(N_SHOWN)})
    return Chart(
        "cumulative",
        "For how many epochs?",
        _reigns(summary),
        "Seconds from nothing to the end of so many epochs, start and compilation inside; the "
        "lowest line is first. The ribbon below is in the colour of whoever is first.",
        tabulate(_seconds(lines, TOLD), _column, number),
        Curves(
            _seconds(lines, shown),
            Axis("epochs", "log"),
            Axis("seconds", "log"),
            marks=tuple(_crossings(summary, lines)),
            first=tuple(_reach(each, last) for each in summary.lead.reigns),
        ),
    )


def _seconds(lines: Mapping[str, Line], epochs: Iterable[int]) -> tuple[Point, ...]:
    """Return each arm's seconds to these numbers of epochs."""
    places = tuple(epochs)
    return tuple(Point(name, n, line.total_s(n)) for name, line in lines.items() for n in places)


def _column(epochs: float) -> Column:
    return Column(f"{epochs:g} epochs" if epochs > 1 else "1 epoch", unit="s")


def _crossings(summary: Summary, lines: Mapping[str, Line]) -> Iterator[Mark]:
    """Yield where another arm becomes the first."""
    for each in summary.lead.reigns[1:]:
        at = each.from_epoch
        yield Mark(at, lines[each.name].total_s(at), f"{at}: {each.name}")


def _reach(reign: Reign, last: float) -> Reach:
    """Return a reign as it is drawn: from half an epoch before it to half an epoch after."""
    end = reign.to_epoch + 0.5 if reign.to_epoch else last
    return Reach(reign.name, max(1, reign.from_epoch - 0.5), end)


def _reigns(summary: Summary) -> str:
    """Return who is first for how many epochs, by medians."""
    parts = []
    for each in summary.lead.reigns:
        if each.to_epoch is None:
            when = (
                f"from {each.from_epoch} on" if each.from_epoch > 1 else "for any number of epochs"
            )
        else:
            when = f"for {each.from_epoch} to {each.to_epoch} epochs"
        parts.append(f"{each.name} {when}")
    return f"By medians the first is {', then '.join(parts)}."


def starts(bench: Bench, summary: Summary) -> Chart | None:
    """Return where the seconds go from nothing to the end of the first epoch."""
    of_arm: dict[str, list[Start]] = defaultdict(list)
    for start in bench.starts:
        if start.status == "ok":
            of_arm[start.name].append(start)
    parts = {
        arm.name: _phases(of_arm[arm.name], arm) for arm in summary.arms if of_arm.get(arm.name)
    }
    if not parts:
        return None
    names = (*PHASES.values(), COMPILE, EPOCH, REST)
    drawn = tuple(Part(arm, name, found[name]) for arm, found in parts.items() for name in names)
    return Chart(
        "start",
        "Where does the start go?",
        _start_finding(parts),
        "Medians over fresh processes, one after another. “compile” is the first epoch less a "
        "steady one; “rest” is what no clock of the worker's own saw.",
        Table(
            (ARM, *(Column(name, unit="s") for name in (*names, "sum"))),
            tuple(_start_row(arm, found, names) for arm, found in parts.items()),
        ),
        Bars(drawn, Axis("seconds"), stacked=True),
    )


def _start_row(arm: str, found: Mapping[str, float], names: Iterable[str]) -> tuple[str, ...]:
    total_s = math.fsum(found.values())
    return (arm, *(number(found[name], 2) for name in names), number(total_s, 2))


def _start_finding(parts: Mapping[str, Mapping[str, float]]) -> str:
    """Return whose start is shortest and longest, and what that one spends it on."""
    totals = {name: math.fsum(found.values()) for name, found in parts.items()}
    first, last = min(totals, key=totals.__getitem__), max(totals, key=totals.__getitem__)
    largest = max(parts[last], key=parts[last].__getitem__)
    return (
        f"{first} has trained its first epoch after {totals[first]:.2f} s, {last} after "
        f"{totals[last]:.2f} s; the largest part of that is “{largest}”, "
        f"{parts[last][largest]:.2f} s."
    )


def _phases(several: list[Start], arm: ArmSummary) -> dict[str, float]:
    """Return the medians of a start's phases in their order; together they are the median start."""
    found = {
        name: statistics.median(getattr(start, field) for start in several)
        for field, name in PHASES.items()
    }
    first_s = statistics.median(start.first_epoch_s for start in several)
    steady_s = min(first_s, arm.epoch_s.mid) if arm.epoch_s else first_s
    found |= {COMPILE: first_s - steady_s, EPOCH: steady_s}
    total_s = statistics.median(start.total_s for start in several)
    return found | {REST: max(0.0, total_s - math.fsum(found.values()))}
