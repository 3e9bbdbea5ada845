"""What `harness report` shows: the page that a results folder makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from harness.errors import StoreError, choice
from harness.report.charts import Chart, Page, Tile

if TYPE_CHECKING:
    from harness.experiments.gate.judge import Gate
    from harness.records.bench import Bench
    from harness.records.files import Rejected
    from harness.records.parity import ArmParity, Parity
    from harness.records.record import Record
    from harness.records.user_model import ModelParity
    from harness.spec.config import Spec

NOTHING = (
    "nothing to report: no bench session, no run and no parity check. Run: nox, or nox -s bench"
)
WITHOUT = {  # a chart that is not there, and what would make it
    "forest": "by how much, and how sure: no bench session with a ratio. Run: nox -s bench",
    "accuracy": "accuracy: no bench session compared any",
    "parity": "parity: no check of this spec. Run: nox -s parity",
    "drift": "drift of whole trainings: none was followed. Run: nox -s parity -- --full",
    "layers": "layers of your own model: none checked. Run: harness parity FILE",
    "change": "change since an earlier session: no earlier one may be compared with this one",
}


@dataclass(frozen=True, slots=True)
class Records:
    """All that a results folder holds."""

    sessions: tuple[Bench, ...]  # newest first
    runs: tuple[Record, ...]
    checks: tuple[Parity, ...]
    models: tuple[ModelParity, ...]
    rejected: tuple[Rejected, ...]
    again: tuple[Bench, ...]  # in which a gate looked again

    @property
    def all_checks(self) -> tuple[Parity | ModelParity, ...]:
        """All parity checks: of stacks and of models of the user's own."""
        return (*self.checks, *self.models)


def gather(results: Path, session_id: str | None = None, gate: Gate | None = None) -> Page:
    """Return the page of a results folder.

    Args:
        results: the folder.
        session_id: of the bench session in question; by default the newest.
        gate: what has become of that session's arms since an earlier one; by default since the
            newest earlier one of the folder that it may be compared with.

    Raises:
        StoreError: there is nothing to show, or no such session.
    """
    records = load(results)
    bench = _chosen(records, results, session_id)
    if bench is not None:
        page = _of_session(bench, records, gate)
    elif records.runs:
        page = _of_runs(records)
    elif records.checks:
        checks = _of_spec(records.checks, records.checks[-1].spec)
        page = _of_checks(checks, records, (*WITHOUT,))
    elif records.models:
        page = _of_model(records.models[-1], records, (*WITHOUT,))
    else:
        raise StoreError(f"{results}: {NOTHING}")
    return page


def gather_check(results: Path, run_id: str) -> Page:
    """Return the page of a parity check, whatever else the results folder holds.

    Raises:
        StoreError: there is no such check.
    """
    from harness.records.parity import Parity

    records = load(results)
    check = next((each for each in records.all_checks if each.run_id == run_id), None)
    if check is None:
        raise StoreError(f"{results}: no parity check {run_id}")
    if isinstance(check, Parity):
        return _of_checks([check], records, ("parity", "drift"))
    return _of_model(check, records, ("layers",))


def load(results: Path) -> Records:
    """Return all that a results folder holds, and what is left out."""
    from harness.records import sessions, store

    loaded, benches = store.load_all(results), sessions.load_all(results)
    return Records(
        tuple(bench for bench in benches.sessions if bench.blocks),
        loaded.records,
        loaded.parities,
        loaded.models,
        (*benches.rejected, *loaded.rejected),
        sessions.load_all(results / "confirm").sessions,
    )


def _chosen(records: Records, results: Path, session_id: str | None) -> Bench | None:
    """Return the session that is asked for, else the newest."""
    known = {bench.session.run_id: bench for bench in records.sessions}
    if session_id is None:
        return next(iter(known.values()), None)
    if session_id not in known:
        hint = choice(known, session_id) if known else "there is no bench session"
        raise StoreError(f"--session: {results}: {hint}")
    return known[session_id]


def _of_session(bench: Bench, records: Records, gate: Gate | None) -> Page:
    """Return the page of a bench session, with what other records say of its arms."""
    from harness.experiments.bench import charts, charts_learning, charts_time, document, export
    from harness.experiments.bench.judge import summarize
    from harness.experiments.bench.lead_document import lead_sentences
    from harness.experiments.gate.charts import changes

    summary = summarize(bench, records.all_checks, own_cost=bench.own_cost)
    checks = _of_spec(records.checks, bench.session.spec)
    gate = gate or _gate(bench, records)
    made = (
        charts.forest(summary),
        charts.generations(bench, summary),
        charts_time.clock(bench),
        charts_time.cumulative(summary),
        charts_time.starts(bench, summary),
        charts.limit(summary),
        charts.memory(summary),
        charts_learning.losses(bench, summary),
        charts.accuracy(summary),
        *_parity_charts(checks, [arm.name for arm in summary.arms]),
        _layers(records),
        charts_learning.setup(bench, summary),
        changes(gate) if gate else None,
    )
    return _page(
        document.heading(bench),
        lead_sentences(summary.lead),
        charts.tiles(summary),
        made,
        records,
        [line.text for line in document.lines(summary, bench)],
        {"bench": export.findings(summary, bench)},
    )


def _of_runs(records: Records) -> Page:
    """Return the page of runs that followed one another."""
    from harness.experiments.train import charts, document, judge

    table = judge.compare(records.runs, parities=records.all_checks)[0]
    members = [
        run
        for run in records.runs
        if run.request.spec_name == table.key.spec
        and run.request.data.sha256 == table.key.data_sha256
    ]
    checks = _of_spec(records.checks, members[-1].request.spec)
    made = (
        charts.epochs(table),
        charts.losses(members),
        *_parity_charts(checks, [row.name for row in table.rows]),
        _layers(records),
    )
    which, sure = charts.tiles(table)
    same = _same_model(checks, [row.name for row in table.rows])
    found = document.compose((table,))
    tiles = (which, *([same] if same else []), sure)
    page = (document.heading(table), charts.headline(table), tiles, made, records)
    return _page(*page, document.remarks_of(table), {"runs": found.data})


def _of_checks(checks: Sequence[Parity], records: Records, expected: Sequence[str]) -> Page:
    """Return the page of parity checks of one spec alone, the newest one last."""
    from harness.experiments.parity import document

    newest = checks[-1]
    names = list(dict.fromkeys(arm.name for check in checks for arm in check.arms))
    same, parts = _same_model(checks, names), _parity_charts(checks, names)
    headline = parts[0].finding if parts[0] else newest.verdict
    lines = [line.text for line in document.lines(newest)]
    made = (*parts, _layers(records) if "layers" in expected else None)
    given = document.heading(newest), headline, (same,) if same else (), made, records, lines
    return _page(*given, {"parity": newest}, expected)


def _of_model(check: ModelParity, records: Records, expected: Sequence[str]) -> Page:
    """Return the page of the check of a user's own model."""
    from harness.experiments.parity import model_charts, model_document

    headline, *lines = model_document.sentences(check)
    given = f"parity of {check.model}", headline, (), (model_charts.layers(check),), records, lines
    return _page(*given, {"parity": check}, expected)


def _parity_charts(checks: Sequence[Parity], names: Iterable[str]) -> tuple[Chart | None, ...]:
    from harness.experiments.parity import charts

    return charts.heat(_arms(checks, names)), charts.drift(checks)


def _arms(checks: Sequence[Parity], names: Iterable[str]) -> Mapping[str, ArmParity]:
    """Return the newest check of each of these arms."""
    from harness.experiments.parity.charts import newest_of

    found = newest_of(checks)
    return {name: found[name] for name in names if name in found}


def _same_model(checks: Sequence[Parity], names: Iterable[str]) -> Tile | None:
    from harness.experiments.parity.charts import tile

    arms = _arms(checks, names)
    return tile(arms.values()) if arms else None


def _layers(records: Records) -> Chart | None:
    from harness.experiments.parity.model_charts import layers

    return layers(records.models[-1]) if records.models else None


def _of_spec(checks: Iterable[Parity], spec: Spec) -> list[Parity]:
    """Return the checks of a spec, whatever its dataset and number of epochs are called."""
    from harness.spec.model import content_of

    return [each for each in checks if content_of(each.spec) == content_of(spec)]


def _gate(bench: Bench, records: Records) -> Gate | None:
    """Return what has become of a session's arms since an earlier one; None where there is none."""
    from harness.experiments.gate.judge import judge_gate
    from harness.experiments.gate.regression import arm_changes, why_incomparable

    def fits(other: Bench) -> bool:
        return not why_incomparable(bench, other) and bool(arm_changes(bench, other))

    began = bench.session.started_at
    earlier = [each for each in records.sessions if each.session.started_at < began and fits(each)]
    if not earlier:
        return None
    later = [
        each
        for each in records.again
        if each.blocks and each.session.started_at > began and fits(each)
    ]
    again = later[0] if later else None
    return judge_gate(bench, earlier[0], again, parities=records.all_checks)


def _page(
    title: str,
    headline: str,
    tiles: tuple[Tile, ...],
    made: Iterable[Chart | None],
    records: Records,
    remarks: Iterable[str],
    data: Mapping[str, object],
    expected: Iterable[str] = WITHOUT,
) -> Page:
    """Return the page, with those charts that are expected and are not there."""
    from harness.records.files import left_out

    charts = tuple(filter(_is_there, made))
    names = {chart.name for chart in charts}
    without = [WITHOUT[name] for name in expected if name not in names]
    shown = {chart.name: {"finding": chart.finding, "table": chart.table} for chart in charts}
    return Page(
        title,
        headline,
        tiles,
        charts,
        tuple(remarks),
        (*without, *map(left_out, records.rejected)),
        {**data, "charts": shown},
    )


def _is_there(chart: Chart | None) -> TypeGuard[Chart]:
    return chart is not None
