"""Records -> each arm of each session, and each run, for trackers of experiments."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from harness.report.arm_run import ArmRun, Value, plain

if TYPE_CHECKING:
    from harness.cli.report_page import Records
    from harness.experiments.bench.summary import ArmSummary
    from harness.job.own_model import Quality
    from harness.records.bench import Bench
    from harness.records.record import Record
    from harness.records.verdicts import Verdicts

Row = Mapping[str, object]
LOGGED = {"loss": "loss", "accuracy": "accuracy", "seconds": "epoch_s"}
MEDIAN = {"epoch_s": "epoch_s_mid"}  # a run's; epoch_s is each epoch's
ASKED = ("seed", "epochs", "threads", "threads_requested", "n_parameters")
KEPT_ELSEWHERE = ("session", "run_id", "started_at", "total_s", "spec", "arm", "reason")


def arm_runs(records: Records) -> Iterator[ArmRun]:
    """Yield each arm of each session, then each run that came to its end."""
    from harness.records.verdicts import verdicts_of

    verdicts = verdicts_of(records.all_checks)
    for bench in records.sessions:
        yield from _of_session(bench, records)
    for run in records.runs:
        if run.measured:
            yield _of_run(run, verdicts)


def _of_session(bench: Bench, records: Records) -> Iterator[ArmRun]:
    from harness.experiments.bench import export
    from harness.experiments.bench.judge import summarize
    from harness.records.long import epochs_of_session

    summary = summarize(bench, records.all_checks, own_cost=bench.own_cost)
    epochs = _medians(row for row in epochs_of_session(bench) if row["counts"])
    backends = {entrant.name: entrant.backend for entrant in bench.session.entrants}
    for arm, row in zip(summary.arms, export.rows(summary, bench), strict=True):
        params, figures = _parted({**row, "backend": backends[arm.name]})
        last = 1 + bench.session.n_blocks
        mine = epochs.get(arm.name, {})
        validated = _validated_in(bench, arm)
        yield ArmRun(
            experiment=bench.session.spec_name,
            record=bench.session.run_id,
            arm=arm.name,
            in_session=True,
            started_at=bench.session.started_at,
            total_s=sum(sitting.total_s for sitting in bench.sittings),
            params=params,
            tags={
                "backend": backends[arm.name],
                "version": arm.versions.get("framework_version", ""),
                "verdict": arm.verdict,
                "parity": arm.parity,
            },
            epochs=_with(mine, last, validated),
            figures=figures,
        )


def _of_run(run: Record, verdicts: Verdicts) -> ArmRun:
    from harness.records.frame import row
    from harness.records.long import epochs_of_runs
    from harness.records.verdicts import verdict_on

    parity = verdict_on(run, verdicts)
    params, figures = _parted(row(run, parity))
    epochs = _medians(epochs_of_runs([run])).get(run.arm.name, {})
    last, measured = max(epochs, default=1), run.measured
    known = {"loss": measured.test_loss, "accuracy": measured.test_accuracy} if measured else {}
    validated = {f"val_{name}": value for name, value in known.items() if value is not None}
    validated |= _quality(measured.quality if measured else None)
    return ArmRun(
        experiment=run.request.spec_name,
        record=run.run_id,
        arm=run.arm.name,
        in_session=False,
        started_at=run.started_at,
        total_s=run.total_s,
        params=params,
        tags={
            "backend": run.request.backend,
            "version": measured.versions.get("framework_version", "") if measured else "",
            "verdict": run.status,
            "parity": parity,
        },
        epochs=_with(epochs, last, validated),
        figures=figures,
    )


def _medians(rows: Iterable[Row]) -> dict[str, dict[int, dict[str, float]]]:
    """Return by arm and epoch the median of each figure, under its name in Keras's logs."""
    known: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    for row in rows:
        for name, logged in LOGGED.items():
            if isinstance(value := row[name], float):
                known[str(row["arm"]), int(str(row["epoch"])), logged].append(value)
    found: dict[str, dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for (arm, epoch, logged), values in known.items():
        found[arm][epoch][logged] = statistics.median(values)
    return found


def _with(
    epochs: Mapping[int, Mapping[str, float]], last: int, validated: Mapping[str, float]
) -> Mapping[int, Mapping[str, float]]:
    """Return the epochs, with what the last one came to on other data."""
    return {**epochs, last: {**epochs.get(last, {}), **validated}} if validated else epochs


def _validated_in(bench: Bench, arm: ArmSummary) -> dict[str, float]:
    """Return what the arm's trained models came to on other data: means over generations."""
    ends = [end for end in bench.ends if end.name == arm.name and end.status == "ok"]
    known = {"val_accuracy": "test_accuracy", "val_loss": "test_loss"}
    found: dict[str, float] = {}
    for logged, name in known.items():
        values = [value for end in ends if (value := getattr(end, name)) is not None]
        found |= {logged: statistics.fmean(values)} if values else {}
    own = next((end.quality for end in ends if end.quality), None)
    return found | (_quality(own, arm.quality) if own else {})


def _quality(
    quality: Quality | None, values: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return what a user's own model came to on its validation data, as `fit` names it.

    Args:
        quality: of one training.
        values: those of all of them together; by default this one's.
    """
    if quality is None or quality.of != "validation data":
        return {}
    return {f"val_{plain(name)}": value for name, value in (values or quality.values).items()}


def _parted(row: Row) -> tuple[dict[str, Value], dict[str, float]]:
    """Return of a row what was asked or is text, and what was measured."""
    params: dict[str, Value] = {}
    figures: dict[str, float] = {}
    for name, value in row.items():
        if name in KEPT_ELSEWHERE or value is None:
            continue
        if isinstance(value, bool | str) or name in ASKED:
            params[plain(name)] = value if isinstance(value, bool | int | float) else str(value)
        elif isinstance(value, int | float):
            figures[plain(MEDIAN.get(name, name))] = float(value)
    return params, figures
