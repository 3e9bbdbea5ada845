"""What the verbs work on: a project's folder, configuration and results, its data, the machine."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.options import MeasuringOptions
from harness.cli.output import console_of, say
from harness.errors import StoreError

if TYPE_CHECKING:
    from harness.engine.executor import Executor
    from harness.engine.own_model import PreparedModel
    from harness.records.store import Loaded
    from harness.spec.config import Backend, Config
    from harness.spec.data.mnist import Prepared


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with backends.toml and environments, and its results."""

    root: Path
    config: Config
    results: Path
    setup: bool = False  # whether environments that are missing are made
    prepared: PreparedModel | None = None  # of a spec that is a model of the user's own

    @property
    def model(self) -> PreparedModel:
        """The user's own model, its data made."""
        if self.prepared is None:
            raise TypeError("a stack of Dense layers has no data of its own")
        return self.prepared

    def has_model(self, spec_name: str) -> bool:
        """Say whether a spec is a model of the user's own."""
        from harness.spec.model import own_model

        return own_model(self.config.specs.get(spec_name)) is not None

    @property
    def executor(self) -> Executor:
        """What does the jobs of this project."""
        from harness.engine.executor import make_executor

        return make_executor(self.root, self.config.backends)


def open_project(
    file: Path | None,
    results: Path | None = None,
    pythons: Sequence[str] | None = None,
    *,
    setup: bool = False,
) -> Project:
    """Return the project of a backends.toml, with the interpreters that --python names.

    Args:
        file: by default the nearest backends.toml, or else the package's.
        results: by default those of the project.
        pythons: BACKEND=PATH each.
        setup: whether environments that are missing are made once it is known which take part.
    """
    from harness.spec import project

    root, found = project.open_project(file)
    found = found.model_copy(update={"backends": name_pythons(found.backends, pythons)})
    return Project(root, found, results or root / "results", setup)


def name_pythons(
    backends: Mapping[str, Backend], pythons: Sequence[str] | None
) -> dict[str, Backend]:
    """Return the backends with the interpreters that --python names, from here on.

    Raises:
        ConfigError: one is not BACKEND=PATH, or there is no such backend or file.
    """
    from harness.environments.find import find_python
    from harness.errors import ConfigError, EnvironmentMissing, choice, shown

    named = dict(backends)
    for text in pythons or ():
        name, equals, python = text.partition("=")
        if not equals or not python:
            raise ConfigError(f"--python: expected BACKEND=PATH; received {shown(text)}")
        if name not in named:
            raise ConfigError(f"--python {text}: {choice(named, name)}")
        named[name] = named[name].model_copy(update={"python": str(Path.cwd() / python)})
        try:
            find_python(name, named[name], Path.cwd())
        except EnvironmentMissing as error:
            raise ConfigError(f"--{error}") from None
    return named


def make_environments(project: Project, options: MeasuringOptions) -> None:
    """Make the environments that are missing of the arms asked for, where --setup is given."""
    if not project.setup:
        return
    from harness.cli.setup import make_missing
    from harness.engine.arms import declared_arms, select_arms

    config = project.config
    default = tuple(dict.fromkeys((*config.protocol.arms, *config.bench.arms)))
    arms = select_arms(declared_arms(config), options.asked, options.only or (), default)
    backends = config.choose_backends(arm.backend for arm in arms)
    make_missing(project.root, backends, options.device)


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
