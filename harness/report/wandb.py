"""Arms as offline runs of Weights & Biases: a project a spec, a group a session, a job type an arm.

`wandb sync FOLDER/wandb/offline-run-*` sends them. Needs the extra `wandb`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import wandb

from harness.errors.safe import short
from harness.report.arm_run import ArmRun, plain

OFFLINE = "offline"


def write(runs: Iterable[ArmRun], folder: Path) -> dict[Path, str]:
    """Write each run, and return where they are and how many. Nothing is sent.

    Args:
        runs: each is a run there too, whose id follows from the record: sent again, it is the same.
        folder: in which wandb makes its own.
    """
    n_runs = 0
    for run in runs:
        _write(run, folder)
        n_runs += 1
    place = folder / "wandb"
    return {place: f"{n_runs} offline runs. To send them: wandb sync {place}/offline-run-*"}


def _write(run: ArmRun, folder: Path) -> None:
    settings = wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        x_disable_stats=True,
        x_disable_meta=True,
    )
    digest = hashlib.sha256(f"{run.record} {run.arm}".encode(errors="replace")).hexdigest()
    with wandb.init(
        project=plain(run.experiment),
        group=plain(run.record),
        job_type=plain(run.arm, 64),
        name=short(run.arm if run.in_session else run.record, 100),
        id=digest[:16],
        dir=os.fspath(folder),
        config={"arm": run.arm, **run.params},
        tags=[short(f"{name} {value}", 60) for name, value in run.tags.items()],
        mode=OFFLINE,
        settings=settings,
    ) as writer:
        for step, values in run.steps.items():
            writer.log(dict(values), step=step)
        writer.summary.update(dict(run.figures))
