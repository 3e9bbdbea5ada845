"""What the verbs work on: a project's folder, configuration and results, its data, the machine."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.output import console_of, say
from harness.errors import StoreError

if TYPE_CHECKING:
    from harness.engine.executor import Executor
    from harness.engine.own_model import PreparedModel
    from harness.records.store import Loaded
    from harness.spec.config import Config
    from harness.spec.data.mnist import Prepared


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with backends.toml, whose .nox holds the environments, and its results."""

    root: Path
    config: Config
    results: Path
    prepared: PreparedModel | None = None  # of a spec that is a model of the user's own

    @property
    def model(self) -> PreparedModel:
        """The user's own model, its data made."""
        if self.prepared is None:
            raise TypeError("a stack of Dense layers has no data of its own")
        return self.prepared

    @property
    def executor(self) -> Executor:
        """What does the jobs of this project."""
        from harness.engine.executor import make_executor

        return make_executor(self.root, self.config.backends)


def open_project(file: Path | None, results: Path | None = None) -> Project:
    """Return the project of a backends.toml; by default the nearest one, with its own results."""
    from harness.spec import project

    root, found = project.open_project(file)
    return Project(root, found, results or root / "results")


def prepare_dataset(name: str, *, quiet: bool = False) -> Prepared:
    """Return the dataset; print in one line which one it is and why, unless `quiet`."""
    from harness.report.progress import download_bar
    from harness.spec.data import mnist

    console = console_of()
    with download_bar(console) as show:
        prepared = mnist.prepare(name, show)
    if not quiet:
        say(f"dataset: {prepared.name}, {prepared.origin}")
    return prepared


def load_records(results: Path) -> Loaded:
    """Return all records, with results.csv brought up to date where that can be done."""
    from harness.records import frame, store

    was_on = gc.isenabled()
    gc.disable()  # what is read stays: to look through it costs a fifth of reading 10,000 records
    try:
        return frame.project(results)
    except StoreError as error:
        say(f"! {error}", "yellow", stderr=True)
        return store.load_all(results)
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


@contextmanager
def hold_machine(verb: str, *, wait: bool = True) -> Iterator[None]:
    """Hold the machine while a verb measures; who is waited for is said on stderr."""
    from harness.engine import exclusive

    def tell(sentence: str) -> None:
        say(sentence, "yellow", stderr=True)

    with exclusive.hold_machine(verb, tell, wait=wait):
        yield
