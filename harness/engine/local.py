"""The engine of this machine: one worker after another, each in a fresh process."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from harness.engine.answers import read_result
from harness.engine.executor import Done, Hear
from harness.engine.launch import interpreter_of, worker_variables
from harness.engine.live import Gone, LiveWorker
from harness.engine.process import explain_failure, explain_no_start, run_process, start_worker
from harness.environments.content import content_digest
from harness.environments.find import how_to_mend
from harness.environments.own_code import with_own_code
from harness.errors import EnvironmentMissing
from harness.job.answers import Host, Refusal
from harness.job.asked import Job, Live, Measure, Trace, TrainFreely
from harness.job.machine import describe_host
from harness.spec.config import Backend

A = TypeVar("A")
J = TypeVar("J", bound=Job[Any])


class LocalExecutor:
    """Does jobs on this machine, in the environments of a project."""

    def __init__(self, root: Path, backends: Mapping[str, Backend]) -> None:
        self.root, self.backends = root, backends

    def submit(
        self, jobs: Iterable[Job[A]], hear: Hear = lambda job, event: None
    ) -> Iterator[Done[A]]:
        """Yield what came of each job, in their order.

        Raises:
            ConfigError: there is no folder for a worker's files.
        """
        return (self._perform(job, hear) for job in jobs)

    def content_of(self, job: Job[Any]) -> str | None:
        """Return the digest of what a job's worker could import; None where nobody can say."""
        try:
            return self._environment(job, {})[2]
        except EnvironmentMissing:
            return None

    @contextmanager
    def hold(self, job: Live, variables: Mapping[str, str]) -> Iterator[LiveWorker]:
        """Give a live worker, as `harness.engine.executor.Executor` has it.

        Beside it others live, so it may not take a GPU's whole memory.
        """
        backend = self.backends[job.backend]
        job = self._complete(job)
        try:
            python, whole, content = self._environment(
                job, backend.shared_variables | dict(variables)
            )
            own_code = self._own_code(job, content)
            with start_worker(python, job, whole, subprocess.PIPE) as worker:
                mend = how_to_mend(job.backend, backend)
                alive = LiveWorker(worker, mend, job.time_limit_s)
                alive.begin(own_code[job.request.module])
                yield alive
        except EnvironmentMissing as error:
            raise Gone(explain_no_start(error, how_to_mend(job.backend, backend))) from None

    def _perform(self, job: Job[A], hear: Hear) -> Done[A]:
        backend, content = self.backends[job.backend], None
        mend = how_to_mend(job.backend, backend)
        job = self._complete(job)
        try:
            python, variables, content = self._environment(job, {})
            own_code = self._own_code(job, content)
            ended = run_process(python, job, variables, lambda event: hear(job, event))
        except EnvironmentMissing as error:
            refusal = Refusal(reason=explain_no_start(error, mend))
            return Done(job=job, answer=refusal, host=describe_host(), environment_sha256=content)
        answer: A | Refusal
        host: Host | None = None
        if ended.result is None or ended.timed_out or ended.returncode != 0:
            reason = explain_failure(ended, mend, job.time_limit_s)
            answer = Refusal(reason=reason)
        else:
            answer, host = read_result(job.answer(), backend.framework, ended.result)
        if isinstance(answer, Refusal):
            answer = replace(answer, log_tail=ended.log)
        return Done(
            job=job,
            answer=answer,
            host=host or describe_host(),
            environment_sha256=content,
            own_code=own_code,
            total_s=ended.total_s,
        )

    def _complete(self, job: J) -> J:
        """Return a job with what an executor knows of it."""
        return replace(
            job, framework=self.backends[job.backend].framework, root=self.root.absolute()
        )

    def _own_code(self, job: Job[Any], content: str | None) -> dict[str, str | None]:
        """Return the digest of what each arm can import, by its module."""
        root = self.root.absolute()
        return {module: with_own_code(content, module, root) for module in _modules(job)}

    def _environment(
        self, job: Job[Any], more: Mapping[str, str]
    ) -> tuple[Path, dict[str, str], str | None]:
        """Return a job's Python and variables, and the digest of what can be imported there."""
        backend = self.backends[job.backend]
        python = interpreter_of(job.backend, backend, self.root, job.device)
        variables = worker_variables(backend, job.device, job.threads) | dict(more)
        if python.origin == "own":  # nothing is written there
            variables["PYTHONDONTWRITEBYTECODE"] = "1"
        return python.path, variables, content_digest(python.path, variables)


def make_engine(root: Path, backends: Mapping[str, Backend]) -> LocalExecutor:
    """Return what does jobs on this machine."""
    return LocalExecutor(root, backends)


def _modules(job: Job[Any]) -> set[str]:
    """Return the modules of the arms that a job runs."""
    if isinstance(job, Measure | Live):
        return {job.request.module}
    return (
        {arm.module for arm in job.arms.values()} if isinstance(job, Trace | TrainFreely) else set()
    )
