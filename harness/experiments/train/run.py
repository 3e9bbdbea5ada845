"""Runs -> records: what each was asked, where it ran, and what its worker saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from harness.engine.executor import Done, Executor, Hear
from harness.engine.plan import Planned
from harness.job.answers import Measured, Refusal
from harness.job.asked import Measure
from harness.job.request import Request
from harness.records.observation import identify
from harness.records.record import Record


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
    return Record(
        **identify(began, request.arm.name.replace("/", "-"), f"s{request.seed}"),
        request=request,
        host=done.host,
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
