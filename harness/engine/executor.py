"""What does jobs, here or elsewhere. A new engine is a file beside this one with `make_engine`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from harness.engine.live import LiveWorker
from harness.errors import ConfigError, HarnessError, choice
from harness.job.answers import Event, Host, Phase, Refusal
from harness.job.asked import Job, Live
from harness.spec.config import Backend

A = TypeVar("A")
Hear = Callable[[Job[Any], Event], None]
"""Told what the worker of a job is doing."""


@dataclass(frozen=True, kw_only=True)
class Done(Generic[A]):
    """A job, and what came of it."""

    job: Job[A]
    answer: A | Refusal
    host: Host  # as the worker saw it; as the engine does, where no worker came so far
    environment_sha256: str | None = None  # of all that could be imported
    own_code: Mapping[str, str | None] = field(default_factory=dict)  # see `content_of`
    total_s: float = 0.0  # from the call that starts the worker until it was gone

    def content_of(self, module: str) -> str | None:
        """Return the digest of all that an arm could import, a user's own code included."""
        return self.own_code.get(module, self.environment_sha256)


class Executor(Protocol):
    """Does jobs, each in a fresh process of its backend's environment."""

    def submit(
        self, jobs: Iterable[Job[A]], hear: Hear = lambda job, event: None
    ) -> Iterator[Done[A]]:
        """Yield what came of each job, as it comes."""
        ...

    def content_of(self, job: Job[Any]) -> str | None:
        """Return the digest of what a job's worker could import; None where nobody can say."""
        ...

    def hold(self, job: Live, variables: Mapping[str, str]) -> AbstractContextManager[LiveWorker]:
        """Give a live worker, started and in its first pause; it never outlives the context.

        Raises:
            Gone: it did not come so far.
        """
        ...


def engines() -> tuple[str, ...]:
    """Return the names of all engines: of the files beside this one that have a `make_engine`."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return tuple(file.stem for file in files if "\ndef make_engine(" in file.read_text("utf-8"))


def make_executor(root: Path, backends: Mapping[str, Backend], name: str = "local") -> Executor:
    """Return the engine of that name.

    Args:
        root: the folder whose .nox holds the environments.
        backends: by name, as in backends.toml.
        name: one of `engines`.

    Raises:
        ConfigError: there is no such engine.
    """
    if name not in engines():
        raise ConfigError(f"engine: {choice(engines(), name)}")
    module = importlib.import_module(f"harness.engine.{name}")
    executor: Executor = module.make_engine(root, backends)
    return executor


def perform(
    executor: Executor, job: Job[A], say: Callable[[str], None] = lambda _: None
) -> Done[A]:
    """Return what came of one job.

    Args:
        executor: that does it.
        job: what is asked.
        say: told what its worker is doing.
    """

    def hear(job: Job[Any], event: Event) -> None:
        if isinstance(event, Phase):
            say(f"{job.backend}: {event.phase}")

    (done,) = executor.submit([job], hear)
    return done


def expect(done: Done[A], where: str) -> A:
    """Return the answer to a job without which nothing can go on.

    Raises:
        HarnessError: there is none; says why.
    """
    if isinstance(done.answer, Refusal):
        raise HarnessError(f"{where}: {done.job.backend}: {done.answer.reason}")
    return done.answer
