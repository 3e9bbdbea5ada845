"""Arms as runs of MLflow: an experiment a spec, a parent run a session, a child run an arm.

Into a database in a folder, or where MLFLOW_TRACKING_URI says. Needs the extra `mlflow`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from harness.errors.safe import short
from harness.report.arm_run import ArmRun

N_AT_ONCE = 1000  # metrics of one call, as MLflow bounds it; of params it is 100
LONGEST = 500  # characters of a param or a tag
RECORD = "harness.record"  # the tag that says which record a run is of
PARENT = "mlflow.parentRunId"
Page = Callable[[str, Path], Path | None]
"""Writes the page of a session into a folder; None where it cannot be drawn here."""


def write(runs: Iterable[ArmRun], folder: Path, page: Page) -> dict[Path | str, str]:
    """Write each run that is not there yet, and return where they are and how many.

    Args:
        runs: those of one session follow one another.
        folder: of the database, and of its artefacts.
        page: of a session, which its run keeps.
    """
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    local = folder / "mlflow.db"
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{local.absolute()}"
    client = MlflowClient(uri)
    store = _Store(client, folder, page)
    n_new = sum(store.add(run) for run in runs)
    return {uri: f"{n_new} arms and runs, {store.n_known} were there"}


class _Store:
    """A tracking store, and what of this export is in it already."""

    def __init__(self, client: MlflowClient, folder: Path, page: Page) -> None:
        self.client, self.folder, self.page = client, folder, page
        self.experiments: dict[str, str] = {}
        self.parents: dict[str, str] = {}
        self.known: dict[str, set[str]] = {}
        self.n_known = 0

    def add(self, run: ArmRun) -> bool:
        """Add a run with its parent; return whether it was new."""
        experiment = self._experiment(run.experiment)
        mine = f"{run.record} {run.arm}"
        if mine in self.known[experiment]:
            self.n_known += 1
            return False
        tags = {f"harness.{name}": value for name, value in run.tags.items()} | {RECORD: mine}
        if run.in_session:
            tags[PARENT] = self._parent(experiment, run)
        run_id = self._create(experiment, run.arm if run.in_session else run.record, run, tags)
        _log(self.client, run_id, run)
        self.client.set_terminated(run_id, "FINISHED", _milliseconds(run, run.total_s))
        return True

    def _experiment(self, name: str) -> str:
        """Return the id of an experiment, which is made where it is missing."""
        name = short(name, 200)
        if name not in self.experiments:
            found = self.client.get_experiment_by_name(name)
            if found is None:
                place = (self.folder / "artifacts").absolute().as_uri()
                local = "MLFLOW_TRACKING_URI" not in os.environ
                known = self.client.create_experiment(name, place if local else None)
            else:
                known = found.experiment_id
            self.experiments[name], self.known[known] = known, self._records(known)
        return self.experiments[name]

    def _records(self, experiment: str) -> set[str]:
        """Return which records an experiment holds."""
        found, token = set(), None
        while True:
            page = self.client.search_runs([experiment], max_results=N_AT_ONCE, page_token=token)
            found |= {run.data.tags.get(RECORD, "") for run in page}
            token = page.token
            if not token:
                return found

    def _parent(self, experiment: str, run: ArmRun) -> str:
        """Return the id of the run of a session, which keeps the session's page."""
        if run.record not in self.parents:
            run_id = self._create(experiment, run.record, run, {RECORD: run.record})
            target = self.folder / "pages"
            target.mkdir(exist_ok=True)
            if file := self.page(run.record, target):
                self.client.log_artifact(run_id, str(file))
            self.client.set_terminated(run_id, "FINISHED", _milliseconds(run, run.total_s))
            self.parents[run.record] = run_id
        return self.parents[run.record]

    def _create(self, experiment: str, name: str, run: ArmRun, tags: Mapping[str, str]) -> str:
        shown = {tag: short(value, LONGEST) for tag, value in tags.items()}
        began = _milliseconds(run)
        made = self.client.create_run(experiment, began, shown, run_name=short(name, 200))
        return str(made.info.run_id)


def _log(client: MlflowClient, run_id: str, run: ArmRun) -> None:
    """Log what was asked, the figures, and each epoch's."""
    at = _milliseconds(run)
    metrics = [Metric(name, value, at, 0) for name, value in run.figures.items()]
    for step, values in run.steps.items():
        metrics += [Metric(name, value, at, step) for name, value in values.items()]
    params = [Param(name, short(value, LONGEST)) for name, value in run.params.items()]
    client.log_batch(run_id, params=params[:100], tags=[RunTag("harness.arm", short(run.arm))])
    for first in range(0, len(metrics), N_AT_ONCE):
        client.log_batch(run_id, metrics=metrics[first : first + N_AT_ONCE])


def _milliseconds(run: ArmRun, after_s: float = 0.0) -> int:
    """Return a time since 1970, so many seconds after a run has begun."""
    try:
        began = datetime.fromisoformat(run.started_at).timestamp()
    except ValueError:
        began = 0.0
    return int(1000 * (began + after_s))
