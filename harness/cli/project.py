"""What the verbs work on: a project's folder, configuration and results, its data, the machine."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.options import MeasuringOptions, parse_threads
from harness.cli.output import console_of, say
from harness.errors import StoreError

if TYPE_CHECKING:
    from harness.engine.executor import Executor
    from harness.engine.plan import Planned
    from harness.records.store import Loaded
    from harness.spec.config import Config
    from harness.spec.data.mnist import Prepared


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with backends.toml, whose .nox holds the environments, and its results."""

    root: Path
    config: Config
    results: Path

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


def plan_runs(
    project: Project,
    options: MeasuringOptions,
    seeds: tuple[int, ...] | None,
    epochs: int | None = None,
    time_limit_s: float | None = None,
) -> tuple[Planned, ...]:
    """Return the runs that are asked for, once their results can be kept.

    Args:
        project: whose specs and arms are chosen from.
        options: which of them.
        seeds: the protocol's where none is named.
        epochs: the spec's, or else the protocol's, where none are named.
        time_limit_s: for one worker; the protocol's where none is named.
    """
    from harness.engine.arms import declared_arms, select_arms
    from harness.engine.plan import plan
    from harness.records import store
    from harness.spec.config import override_protocol

    config = project.config
    spec_name, spec = config.spec(options.spec)
    default = config.protocol.arms
    arms = select_arms(declared_arms(config), options.asked, options.only or (), default)
    protocol = override_protocol(
        config.protocol,
        seeds=seeds,
        epochs=spec.epochs if epochs is None else epochs,
        threads=parse_threads(options.threads),
        time_limit_s=time_limit_s,
    )
    store.ready(project.results)
    dataset = prepare_dataset(options.dataset or spec.dataset)
    config = config.model_copy(update={"protocol": protocol})
    return plan(config, spec_name, arms, dataset, device=options.device)


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
