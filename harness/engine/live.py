"""A worker that stays alive: told what to do next, one thing at a time, while all others sleep."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.engine import ask
from harness.engine.plan import Planned
from harness.engine.process import (
    Worker,
    explain_failure,
    explain_no_start,
    parse_event,
    start_worker,
)
from harness.environments.content import content_digest
from harness.errors import EnvironmentMissing

MOST_BYTES = 1 << 20  # of one event; a whole one has some thousands


class Gone(Exception):
    """A live worker is no more, or never was: why, and the end of its log."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.reason, self.log = reason, log


class LiveWorker:
    """A live worker: it does what it is told, and sleeps in a read between."""

    def __init__(self, worker: Worker, planned: Planned, limit_s: float) -> None:
        self.worker, self.planned, self.limit_s = worker, planned, limit_s
        self.pid = worker.popen.pid
        self._unread, self._last = b"", "starting"

    def tell(self, verb: str) -> dict[str, Any]:
        """Return what the worker says of a thing it is told to do: "turn", "evaluate" or "rates".

        Raises:
            Gone: it ended instead, took longer than its limit, or what it said is no event.
        """
        stdin = self.worker.popen.stdin
        try:
            if stdin:
                stdin.write(json.dumps({"do": verb}).encode() + b"\n")
                stdin.flush()
        except BrokenPipeError:
            raise self._gone(timed_out=False) from None
        return self.hear()

    def hear(self) -> dict[str, Any]:
        """Sleep until the worker has done what it was told, or started; return what it says.

        Raises:
            Gone: it ended instead, took longer than its limit, or what it said is no event.
        """
        while True:
            line = self._line()
            try:
                event = parse_event(line)
            except ValueError as error:
                raise self._refused(str(error)) from None
            if "done" in event:
                self._last = str(event.pop("done"))
                return event
            self._last = str(event.get("phase", self._last))

    def close(self) -> None:
        """Let the worker end by itself."""
        if self.worker.popen.stdin:
            self.worker.popen.stdin.close()
        self.worker.wait()

    def _line(self) -> bytes:
        deadline = time.monotonic() + self.limit_s
        while b"\n" not in self._unread:
            if len(self._unread) > MOST_BYTES:
                raise self._refused(f"what it said is no event: more than {MOST_BYTES:,} bytes")
            left_s = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self.worker.events], [], [], left_s)
            more = os.read(self.worker.events, 65536) if ready else b""
            if not more:
                raise self._gone(timed_out=not ready)
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _refused(self, reason: str) -> Gone:
        """End a worker that says what means nothing, and return why it is gone."""
        self.worker.kill()
        return Gone(reason, self.worker.wait_for_end(self._last, timed_out=False).log)

    def _gone(self, *, timed_out: bool) -> Gone:
        if timed_out:
            self.worker.kill()
        ended = self.worker.wait_for_end(self._last, timed_out=timed_out)
        if ended.result and "refused" in ended.result:
            return Gone(str(ended.result["refused"]), ended.log)
        return Gone(explain_failure(ended, self.planned.backend, self.limit_s), ended.log)


@contextmanager
def start_live_worker(
    planned: Planned, root: Path, variables: Mapping[str, str], cores: tuple[int, ...] = ()
) -> Iterator[tuple[LiveWorker, dict[str, Any]]]:
    """Start a live worker; give it, and what it says of its start and first epoch.

    It never outlives this context.

    Args:
        planned: what it is to train.
        root: the folder whose .nox holds its environment.
        variables: beside those that every worker of its backend has.
        cores: that it is kept to; those of the request where none are named.

    Raises:
        Gone: it did not come so far.
    """
    request, backend = planned.request, planned.backend
    try:
        python = ask.python_of(backend, root)
        whole = (
            ask.worker_variables(backend, request.device, request.threads)
            | backend.shared_variables
            | dict(variables)
        )
        task = ask.job(planned) | {"task": "live", "cores": cores}
        content = content_digest(python, whole)
        with start_worker(python, task, whole, subprocess.PIPE) as worker:
            alive = LiveWorker(worker, planned, request.time_limit_s)
            told = alive.hear()
            told |= {"total_s": time.monotonic() - worker.began, "environment_sha256": content}
            yield alive, told
    except EnvironmentMissing as error:
        raise Gone(explain_no_start(error, backend)) from None
