"""Complete sessions of a sweep -> who wins in each cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.experiments.bench.judge import summarize
from harness.experiments.bench.lead import Reign
from harness.experiments.bench.paired import valid_turns
from harness.experiments.bench.remarks import VIRTUAL, is_virtual, why_blind
from harness.experiments.bench.summary import ArmSummary, Summary
from harness.experiments.sweep.compare import Compared, Timed, compare_cells
from harness.records.bench import Bench, original_of
from harness.records.verdicts import Check
from harness.spec.sweeps import Values


@dataclass(frozen=True, slots=True)
class CellVerdict:
    """What a cell's session says."""

    values: Values
    session: str
    machine: str  # cells of another description are another facet
    data: str  # name of what an epoch goes through
    n_train: int  # samples of it
    n_generations: int
    found: Compared
    epoch_s: Mapping[str, float]  # median, of every arm that can win
    reigns: tuple[Reign, ...]  # who has trained so many epochs first, by medians
    left_out: Mapping[str, str]  # arms of other numbers, or set aside, with why


@dataclass(frozen=True, slots=True)
class WinnerMap:
    """Who wins where."""

    sweep: str
    axes: Mapping[str, tuple[object, ...]]
    cells: tuple[CellVerdict, ...]
    missing: tuple[Values, ...]  # cells without a complete session
    n_comparisons: int
    strict: bool
    remarks: tuple[str, ...] = ()

    @property
    def n_twins(self) -> int:
        """Cells in which identical code was measured often enough to be judged."""
        return sum(bool(cell.found.twins) for cell in self.cells)

    @property
    def n_twins_differ(self) -> int:
        """Cells in which identical code is called different."""
        return sum(cell.found.twins_differ for cell in self.cells)


def judge_cells(
    benches: Iterable[Bench], checks: Iterable[Check] = (), *, strict: bool = False
) -> tuple[tuple[CellVerdict, ...], int]:
    """Return each cell's verdict, and the number of comparisons that were made.

    Args:
        benches: complete sessions, one a cell.
        checks: parity checks that say which arms compute the same model.
        strict: as for `compare_cells`.
    """
    checks = tuple(checks)
    summaries = [(bench, summarize(bench, checks)) for bench in benches]
    able = [[] if is_virtual(bench) else _able(summary.arms) for bench, summary in summaries]
    timed = [_timed(bench, arms) for (bench, _), arms in zip(summaries, able, strict=True)]
    compared = compare_cells(timed, strict=strict)
    given = zip(summaries, able, compared.cells, strict=True)
    cells = [_verdict(bench, summary, arms, found) for (bench, summary), arms, found in given]
    return tuple(cells), compared.n


def _verdict(
    bench: Bench, summary: Summary, able: list[ArmSummary], found: Compared
) -> CellVerdict:
    """Return what a cell's session says.

    Args:
        bench: the session.
        summary: of it alone.
        able: the arms that can win.
        found: how they compare.
    """
    cell, why = bench.session.cell, VIRTUAL if is_virtual(bench) else ""
    return CellVerdict(
        values=dict(cell.values) if cell else {},
        session=bench.session.run_id,
        machine=bench.session.host.machine,
        data=bench.session.data.name,
        n_train=bench.session.data.n_train,
        n_generations=max((arm.n_generations for arm in able or summary.arms), default=0),
        found=found,
        epoch_s={arm.name: arm.epoch_s.mid for arm in able if arm.epoch_s},
        reigns=() if why else summary.lead.reigns,
        left_out=_left_out(summary.arms, able, why),
    )


def _able(arms: Iterable[ArmSummary]) -> list[ArmSummary]:
    """Return the arms that can win, the fastest first."""
    able = [
        arm for arm in arms if arm.epoch_s and arm.verdict != "set aside" and not arm.other_numbers
    ]
    return sorted(able, key=lambda arm: arm.epoch_s.mid if arm.epoch_s else math.inf)


def _timed(bench: Bench, able: Iterable[ArmSummary]) -> Timed:
    again = () if is_virtual(bench) else bench.session.duplicates
    twins = {name: original_of(name) for name in again}
    names = tuple(arm.name for arm in able)
    return Timed(valid_turns(bench), names, twins, why_blind(bench))


def _left_out(arms: Iterable[ArmSummary], able: list[ArmSummary], every: str) -> dict[str, str]:
    """Return the arms that cannot win, each with why.

    Args:
        arms: of the cell.
        able: those that can.
        every: why none of them can, "" where that is not so.
    """
    left = (arm for arm in arms if arm not in able)
    return {
        arm.name: every or arm.other_numbers or arm.reason or "no turn that counts" for arm in left
    }
