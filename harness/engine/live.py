"""A worker that stays alive: told what to do next, one thing at a time, while all others sleep."""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Mapping
from typing import Any, TypeVar

from harness.engine.answers import Nonsense, read_answer, read_line
from harness.engine.process import Worker, explain_failure
from harness.job.answers import Evaluated, Phase, Rates, Refusal, Started, Turned

A = TypeVar("A")
MOST_BYTES = 1 << 20  # of one event; a whole one has some thousands
VERBS: Mapping[type[Any], str] = {Turned: "turn", Evaluated: "evaluate", Rates: "rates"}


class Gone(Exception):
    """A live worker is no more, or never was: why, and the end of its log."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.reason, self.log = reason, log


class LiveWorker:
    """A live worker: it does what it is told, and sleeps in a read between."""

    def __init__(self, worker: Worker, mend: str, limit_s: float) -> None:
        self.worker, self.mend, self.limit_s = worker, mend, limit_s
        self.pid = worker.popen.pid
        self._unread, self._last = b"", "starting"

    def begin(self, environment_sha256: str | None) -> None:
        """Sleep until the worker has started, and keep what it says of it.

        Raises:
            Gone: it ended instead, took longer than its limit, or what it said is no start.
        """
        self.started = self.ask(Started)
        self.total_s = time.monotonic() - self.worker.began
        self.environment_sha256 = environment_sha256

    def ask(self, kind: type[A]) -> A:
        """Have the worker do what is answered by that kind, sleep meanwhile, return the answer.

        Each of its events is a line. A bench's turn waits here: this calls nothing that waits.

        Raises:
            Gone: it ended instead, took longer than its limit, or what it said is no such answer.
        """
        if kind in VERBS:
            self._tell(VERBS[kind])
        deadline = time.monotonic() + self.limit_s
        while True:
            line, newline, rest = self._unread.partition(b"\n")
            if newline:
                self._unread = rest
                if (answer := self._read(kind, line)) is not None:
                    return answer
                deadline = time.monotonic() + self.limit_s
                continue
            if len(line) > MOST_BYTES:
                raise self._end(f"what it said is no event: more than {MOST_BYTES:,} bytes")
            left_s = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self.worker.events], [], [], left_s)
            more = os.read(self.worker.events, 65536) if ready else b""
            if not more:
                raise self._explain_end(timed_out=not ready)
            self._unread += more

    def close(self) -> None:
        """Let the worker end by itself."""
        if self.worker.popen.stdin:
            self.worker.popen.stdin.close()
        self.worker.wait()

    def _tell(self, verb: str) -> None:
        stdin = self.worker.popen.stdin
        try:
            if stdin:
                stdin.write(json.dumps({"do": verb}).encode() + b"\n")
                stdin.flush()
        except BrokenPipeError:
            raise self._explain_end(timed_out=False) from None

    def _read(self, kind: type[A], line: bytes) -> A | None:
        """Return the answer in a line; None where it says only what the worker does next."""
        try:
            said = read_line(line)
            if "phase" in said:
                self._last = read_answer(Phase, said).phase
                return None
            answer = read_answer(kind, said.get("answer"))
        except Nonsense as error:
            raise self._end(str(error)) from None
        self._last = VERBS.get(kind, "start")
        return answer

    def _end(self, reason: str) -> Gone:
        """End a worker that says what means nothing, and return why it is gone."""
        self.worker.kill()
        return Gone(reason, self.worker.wait_for_end(self._last, timed_out=False).log)

    def _explain_end(self, *, timed_out: bool) -> Gone:
        if timed_out:
            self.worker.kill()
        ended = self.worker.wait_for_end(self._last, timed_out=timed_out)
        reason = explain_failure(ended, self.mend, self.limit_s)
        if ended.result and "refusal" in ended.result:
            try:
                reason = read_answer(Refusal, ended.result["refusal"]).reason
            except Nonsense as error:
                reason = str(error)
        return Gone(reason, ended.log)
