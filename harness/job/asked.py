"""What a worker is asked: one frozen dataclass for each kind of job, and the kind of its answer."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from harness.job.answers import (
    ClockCheck,
    Computed,
    ComputedModel,
    Environment,
    Gradients,
    Host,
    LoadedModels,
    Measured,
    SavedModel,
    Started,
    Traced,
)
from harness.job.made import MadeData
from harness.job.own_model import DrawnModel, Proved
from harness.job.surveyed import Printed, Surveyed
from harness.spec.targets import ModelSource, Target

if TYPE_CHECKING:
    Options = Any  # a table; a worker reads it as attributes
    from harness.job.request import Request
    from harness.spec.config import Spec
else:
    # As a worker reads them: attributes without a schema.
    Options = Request = Spec = SimpleNamespace

A = TypeVar("A")


@dataclass(frozen=True, kw_only=True)
class Job(Generic[A]):
    """What one fresh worker is asked, and where; its answer is an A."""

    backend: str
    framework: str = ""  # that computes there; an executor knows it
    device: str = "auto"  # "cpu" hides every GPU
    threads: int | str = "auto"
    replicas: int = 1  # devices that have a part of each batch each
    time_limit_s: float = 120.0  # that it may take; of a live worker, for each of its answers
    root: Path | None = None  # backends.toml's folder, where a user's own arms lie; as `framework`

    @classmethod
    def answer(cls) -> type[A]:
        """Return the kind of this job's answer."""
        kind: type[A] = typing.get_args(cls.__orig_bases__[0])[0]  # type: ignore[attr-defined]
        return kind


@dataclass(frozen=True, kw_only=True)
class Measure(Job[Measured]):
    """Train and evaluate one run."""

    request: Request
    dataset: Path
    weights: Path | None  # None: the framework draws its own
    order: Path | None
    model: ModelSource | None = None  # of a spec that is a model of the user's own
    refusal: str = ""  # why its time would mean nothing: it is not trained
    feed: Target | None = None  # whose pipeline is asked for batches, in place of the arrays


@dataclass(frozen=True, kw_only=True)
class Live(Job[Started]):
    """Train the first epoch of a run, then do what is told."""

    request: Request
    dataset: Path
    weights: Path | None
    order: Path | None
    model: ModelSource | None = None
    refusal: str = ""
    feed: Target | None = None
    cores: tuple[int, ...] = ()  # that it is kept to; those of `threads` where none are named


@dataclass(frozen=True, kw_only=True)
class Look(Job[Environment]):
    """Show versions, devices and settings."""


@dataclass(frozen=True, kw_only=True)
class Locate(Job[Host]):
    """Show the machine that a worker finds itself on."""


@dataclass(frozen=True, kw_only=True)
class SelfCheck(Job[ClockCheck]):
    """Check that the clock waits for the device."""


@dataclass(frozen=True, kw_only=True)
class Derive(Job[Gradients]):
    """Derive the textbook's gradients."""


@dataclass(frozen=True, kw_only=True)
class TracedArm:
    """An arm by its module."""

    module: str
    options: Options
    anew: bool = False  # it has an optimizer of its own, whose memory cannot be set


@dataclass(frozen=True, kw_only=True)
class FirstEpoch:
    """Parts of the first epoch, each trained from the initial state in one go."""

    spec: Spec
    start: Path
    dataset: Path
    order: Path | None
    stops: tuple[int, ...]  # the updates up to which it is trained


@dataclass(frozen=True, kw_only=True)
class Trace(Job[Traced]):
    """Make one update, and some epochs, from each point with each arm."""

    spec: Spec
    arms: dict[str, TracedArm]
    points: dict[str, Path]  # .npz of weights, slots, n_updates, x and y
    several: dict[str, tuple[Path, ...]]  # a point -> epochs to train on from there, x and y
    epoch: FirstEpoch | None
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """The files of one seed."""

    weights: Path | None
    order: Path | None


@dataclass(frozen=True, kw_only=True)
class TrainFreely(Job[Computed]):
    """Train each arm for each seed, and write ARM-SEED.npz into the folder."""

    spec: Spec
    arms: dict[str, TracedArm]
    dataset: Path
    seeds: dict[str, Drawn]
    updates: tuple[int, ...]  # after which weights are read out: rising, all in the first epoch
    folder: Path


@dataclass(frozen=True, kw_only=True)
class SaveModel(Job[SavedModel]):
    """Save the Keras model at a point of training."""

    spec: Spec
    point: Path
    learning_rate: float
    folder: Path


@dataclass(frozen=True, kw_only=True)
class SavedFile:
    """A file that a backend saved."""

    saved_by: str
    form: str
    file: str


@dataclass(frozen=True, kw_only=True)
class LoadModels(Job[LoadedModels]):
    """Load saved files, each into a model of its own."""

    spec: Spec
    n_inputs: int
    files: tuple[SavedFile, ...]
    folder: Path


@dataclass(frozen=True, kw_only=True)
class DrawModel(Job[DrawnModel]):
    """Draw a user's model's initial weights for some seeds, for every backend."""

    model: ModelSource
    dataset: Path
    batch_size: int
    seeds: tuple[int, ...]
    folder: Path  # keeps them, as weights-DIGEST.npz


@dataclass(frozen=True, kw_only=True)
class ProveArm(Job[Proved]):
    """Show that an arm trains a user's model as `fit` does, in float64."""

    model: ModelSource
    dataset: Path
    batch_size: int
    arm: str


@dataclass(frozen=True, kw_only=True)
class ComputeModel(Job[ComputedModel]):
    """Compute a user's own model, in its own dtype and in float64, or in one of them."""

    model: ModelSource
    batch: Target | None  # None: the data's first one, or else drawn from the seed
    dataset: Path | None  # data that were made
    batch_size: int | None  # of the data; None: as they say
    seed: int
    inputs: Path  # .npz of states and batch; written where it is not there
    rounded: Path | None  # .npz of what it computes in its own dtype
    exact: Path | None  # and in float64; not written where a process cannot do both
    updates: tuple[int, ...]  # after which states are taken; by the model's size where none are


@dataclass(frozen=True, kw_only=True)
class TryLayers(Job[Computed]):
    """Compute layers of a user's model alone, in float64, on inputs from another backend."""

    model: ModelSource
    seed: int
    inputs: Path  # .npz of states and batch
    state: str  # number of updates
    layers: tuple[str, ...]  # by name; "NAME#2" is its second call
    training: bool
    tensors: Path  # .npz of the layers' inputs; written where it is not there
    output: Path


@dataclass(frozen=True, kw_only=True)
class SurveyItem:
    """One thing of Keras, and how it is called: Python text, which a script can repeat."""

    name: str
    subject: str  # what of Keras it is of: "layers.Dense"
    number: int  # its place in the catalogue
    seed: int
    inputs: tuple[str, ...]  # expressions of NumPy, with `rng`: x0, x1, ...
    setup: tuple[str, ...]  # statements, with x0, x1, ... and Keras's modules
    call: str  # an expression, with `training`
    derive: bool  # whether gradients are asked for
    elementwise: bool = False  # its numbers are of many sizes, and each counts


@dataclass(frozen=True, kw_only=True)
class Survey(Job[Surveyed]):
    """Compute items, each into NUMBER.npz; none to hear only what Keras has there."""

    items: tuple[SurveyItem, ...]
    exact: bool  # in float64 throughout
    item_limit_s: float
    folder: Path


@dataclass(frozen=True, kw_only=True)
class RunScripts(Job[Printed]):
    """Run scripts that need Keras alone, one after the other, and return what each prints."""

    scripts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class MakeData(Job[MadeData]):
    """Call a user's function, and write the data that it returns as bytes: once, for all."""

    data: Target
    folder: Path  # in which the data's own folder is made, named by their digest
    batch_size: int | None = None  # None: as the user's own code says
    limit_batches: int | None = None  # only the first of them; None: all
    read_limit_s: float = 60.0  # for the batches of one epoch
    most_bytes: int | None = None  # that the data may take; None: a third of the free memory
    seed: int = 0  # of what the user's code draws


JOBS: Mapping[str, type[Job[Any]]] = {kind.__name__: kind for kind in Job.__subclasses__()}
