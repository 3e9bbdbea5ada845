"""A user's data, made once by a worker: the user's function runs in its environment alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from harness.engine.executor import Executor, perform
from harness.errors import ConfigError, DataError
from harness.job.answers import Refusal
from harness.job.asked import Job, MakeData
from harness.spec.data.mnist import cache_folder
from harness.spec.data.own import OwnData
from harness.spec.data.own_folder import SET_CACHE, read
from harness.spec.files import scratch
from harness.spec.targets import Target

A = TypeVar("A")
READ_LIMIT_S = 60.0  # for the batches of one epoch


@contextmanager
def own_data_folder() -> Iterator[Path]:
    """Give a folder for data, in the cache; it is removed afterwards, at the next start at last.

    Raises:
        DataError: there can be none.
    """
    parent = cache_folder() / "own"
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{parent}: cannot be made ({error.strerror}). {SET_CACHE}") from None
    with scratch(parent) as folder:
        yield folder


@dataclass(frozen=True, slots=True)
class Wanted:
    """A user's data, and how much of them is wanted."""

    target: Target  # the user's function
    batch_size: int | None = None  # that is trained with; None: what the data say
    limit_batches: int | None = None  # only the first of them; None: all
    time_limit_s: float = 2 * READ_LIMIT_S  # for one worker
    most_bytes: int | None = None  # None: a third of the memory that is free where they are made

    def job(self, backend: str, folder: Path) -> MakeData:
        """Return the job of a backend's worker that makes the data in a folder."""
        return MakeData(
            backend=backend,
            device="cpu",
            time_limit_s=self.time_limit_s,
            data=self.target,
            folder=folder.absolute(),
            batch_size=self.batch_size,
            limit_batches=self.limit_batches,
            read_limit_s=min(READ_LIMIT_S, self.time_limit_s / 2),
            most_bytes=self.most_bytes,
        )


def make_own_data(
    wanted: Wanted,
    executor: Executor,
    backends: Iterable[str],
    folder: Path,
    say: Callable[[str], None] = lambda doing: None,
) -> tuple[OwnData, Path]:
    """Return a user's data, and the folder that holds them, which is named by their digest.

    Args:
        wanted: the user's function, and how much of its data.
        executor: that does jobs.
        backends: that may make the data: the first that can.
        folder: in which the data's own one is made, as `own_data_folder` gives it.
        say: told what is being done.

    Raises:
        ConfigError: no backend can make them, or could train on them; says why.
        DataError: what was made is not what was said.
    """
    made = ask_first(executor, (wanted.job(backend, folder) for backend in backends), say)
    return read(folder / made.sha256, made.sha256), folder / made.sha256


def ask_first(
    executor: Executor, jobs: Iterable[Job[A]], say: Callable[[str], None] = lambda doing: None
) -> A:
    """Return the first answer that is none but a refusal, of jobs of several backends.

    Args:
        executor: that does them, one after the other as long as backends refuse.
        jobs: one for each backend.
        say: told what is being done.

    Raises:
        ConfigError: all refuse, or one says that no backend can; says why.
    """
    reasons: dict[str, list[str]] = {}
    for job in jobs:
        answer = perform(executor, job, say).answer
        if not isinstance(answer, Refusal):
            return answer
        if answer.of_user:
            raise ConfigError(answer.reason)
        reasons.setdefault(answer.reason, []).append(job.backend)
    said = (f"{', '.join(several)}: {reason}" for reason, several in reasons.items())
    raise ConfigError("\n".join(said))
