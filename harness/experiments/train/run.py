"""Runs -> records: what each was asked, where it ran, and what its worker saw."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import harness
from harness.engine.executor import Done, Executor, Hear
from harness.engine.plan import Planned
from harness.job.answers import Measured, Refusal
from harness.job.asked import Measure
from harness.records.record import Record, Request


def run_all(planned: Iterable[Planned], executor: Executor, hear: Hear) -> Iterator[Record]:
    """Yield the record of each run as it ends, also where it fails.

    Args:
        planned: the runs, and their workers' files.
        executor: that does them.
        hear: told what each worker is doing.

    Raises:
        ConfigError: there is no folder for a worker's files.
    """
    jobs = [Measure(**each.training()) for each in planned]
    began = datetime.now(UTC)
    for done in executor.submit(jobs, hear):
        yield make_record(done, began)
        began = datetime.now(UTC)


def make_record(done: Done[Measured], began: datetime) -> Record:
    """Return what is kept of a run."""
    request: Request = done.job.request  # type: ignore[attr-defined]
    arm = request.arm.name.replace("/", "-")
    return Record(
        harness=harness.__version__,
        run_id=f"{began:%Y%m%dT%H%M%SZ}-{arm}-s{request.seed}-{secrets.token_hex(3)}",
        request=request,
        host=done.host,
        started_at=began.isoformat(timespec="milliseconds"),
        total_s=done.total_s,
        environment_sha256=done.content_of(request.module),
        **_outcome(done.answer),
    )


def _outcome(answer: Measured | Refusal) -> Mapping[str, Any]:
    """Return status, reason, the end of the log and what was measured."""
    if isinstance(answer, Refusal):
        return {"status": "failed", "reason": answer.reason, "log_tail": answer.log_tail}
    status = "diverged" if answer.diverged else "ok"
    return {"status": status, "reason": answer.diverged, "measured": answer.measurement}
