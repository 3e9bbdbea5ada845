"""Arms as runs of trackio: a project a spec, a group a session, a run an arm, in a local folder.

`TRACKIO_DIR=FOLDER trackio show` shows them. Needs the extra `trackio`, which reads TRACKIO_DIR as
it is imported: import this module after that is set.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path

import trackio

from harness.report.arm_run import ArmRun, plain

OF = " of "  # between an arm and its session: a project has a name once


def write(runs: Iterable[ArmRun], folder: Path) -> dict[Path, str]:
    """Write each run that is not there yet, and return where they are and how many.

    Args:
        runs: each is a run there too.
        folder: what TRACKIO_DIR was when trackio was imported.
    """
    counts = {True: 0, False: 0}
    with redirect_stdout(io.StringIO()):  # it announces each run
        for run in runs:
            counts[_write(run)] += 1
    shown = f"To see them: TRACKIO_DIR={folder} trackio show"
    return {folder: f"{counts[True]} arms and runs, {counts[False]} were there. {shown}"}


def _write(run: ArmRun) -> bool:
    """Write a run; return whether it was new."""
    project = plain(run.experiment)
    name = plain(run.arm) + OF + plain(run.record) if run.in_session else plain(run.record)
    if name in _names(project):
        return False
    writer = trackio.init(
        project=project,
        name=name,
        group=plain(run.record),
        config={"arm": run.arm, "job_type": plain(run.arm), **run.params, **run.tags},
        embed=False,
        auto_log_gpu=False,
        auto_log_cpu=False,
    )
    for step, values in run.steps.items():
        writer.log(dict(values), step=step)
    writer.log(dict(run.figures), step=max(run.steps, default=0))
    trackio.finish()
    return True


def _names(project: str) -> set[str]:
    """Return which runs a project holds."""
    try:
        return {run.name for run in trackio.Api().runs(project)}
    except ValueError:  # there is no such project
        return set()
