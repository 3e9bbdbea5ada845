"""A user's own model before it is trained: data made once, weights drawn once, arms proved.

Each is a job of one backend's worker, or of several in turn until one can: the orchestrator runs
nothing of the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from harness.engine.executor import Executor
from harness.engine.own_data import Wanted, ask_first, make_own_data
from harness.job.arm import ArmId
from harness.job.asked import DrawModel, Job
from harness.job.request import Data
from harness.spec import draws
from harness.spec.data.mnist import cache_folder
from harness.spec.model import OwnModel, data_of, source_of
from harness.spec.targets import ModelSource, Target

A = TypeVar("A")
BATCH_SIZE = 32  # where neither spec nor data say one, as for fit
FIT = "keras"  # the arm that the others are proved against


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """A user's model and data, as workers are given them; for a stack `mnist.Prepared` is it."""

    name: str  # of the data: FILE.py:FUNCTION
    sha256: str
    folder: Path
    n_samples: int
    n_train: int  # samples of an epoch: limit_batches may leave some out
    n_inputs: int  # numbers of one sample
    source: ModelSource
    batch_size: int
    shuffle: bool
    feed: Target | None = None  # the function whose pipeline `fit` asks for batches; None: arrays
    weights: Mapping[int, draws.File] = field(default_factory=dict)  # by seed
    untimed: Mapping[ArmId, str] = field(default_factory=dict)  # why an arm has no time

    def draw(self, n_epochs: int, seed: int) -> draws.Draw | None:
        """Return what every arm of a seed begins with; None as long as no weights are drawn."""
        if seed not in self.weights:
            return None
        folder, n_samples = draws_folder(), self.n_samples
        order = draws.draw_order(folder, n_samples, n_epochs, seed, shuffle=self.shuffle)
        weights = self.weights[seed]
        return draws.Draw(weights.path, order.path, weights.sha256, order.sha256)

    @property
    def data(self) -> Data:
        """Which data it is, as a record keeps it."""
        names = ("name", "sha256", "n_train", "n_inputs")
        return Data(**{name: getattr(self, name) for name in names})

    def untime(self, arm: ArmId, why: str) -> PreparedModel:
        """Return the model, an arm of which has no time; it has one where nothing is said."""
        return replace(self, untimed={**self.untimed, arm: why})


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where what must be done once for all backends is done."""

    executor: Executor
    backends: tuple[str, ...]  # that may do it, the first that can
    time_limit_s: float
    say: Callable[[str], None] = lambda doing: None

    def ask_first(self, make: Callable[[str], Job[A]]) -> A:
        """Return what the first backend that can answers to its job.

        Raises:
            ConfigError: none can; says why.
        """
        return ask_first(self.executor, map(make, self.backends), self.say)


def draws_folder() -> Path:
    """Return the folder of initial weights and orders."""
    return cache_folder() / "draws"


def make_data(
    spec: OwnModel, root: Path, where: Workshop, folder: Path
) -> tuple[OwnModel, PreparedModel, tuple[str, ...]]:
    """Return the spec with its batch size, the model with its data made, and remarks on these.

    Args:
        spec: its files read.
        root: the folder that they are named from.
        where: backends that may make the data.
        folder: in which the data's own is made.

    Raises:
        ConfigError: no backend can make them, or could train on them; says why.
    """
    target = data_of(spec, root)
    wanted = Wanted(target, batch_size=spec.batch_size, limit_batches=spec.limit_batches)
    data, there = make_own_data(wanted, where.executor, where.backends, folder, where.say)
    size = spec.batch_size or data.batch_size or BATCH_SIZE
    n_most = size * spec.limit_batches if spec.limit_batches else data.n_samples
    prepared = PreparedModel(
        name=target.name,
        sha256=data.sha256,
        folder=there,
        n_samples=data.n_samples,
        n_train=min(data.n_samples, n_most),
        n_inputs=data.n_inputs,
        source=source_of(spec, root),
        batch_size=size,
        shuffle=spec.shuffle,
        feed=target if spec.feed == "own" else None,
    )
    return spec.model_copy(update={"batch_size": size}), prepared, data.remarks


def draw_weights(what: PreparedModel, where: Workshop, seeds: Iterable[int]) -> PreparedModel:
    """Return the model with the initial weights of some seeds, all drawn by one backend.

    Args:
        what: the model and its data.
        where: backends that may draw.
        seeds: of the draws.

    Raises:
        ConfigError: no backend can build the model; says why.
    """
    folder, wanted = draws.make_folder(draws_folder()), tuple(dict.fromkeys(seeds))

    def job(backend: str) -> DrawModel:
        return DrawModel(
            backend=backend,
            device="cpu",
            time_limit_s=where.time_limit_s,
            model=what.source,
            dataset=what.folder.absolute(),
            batch_size=what.batch_size,
            seeds=wanted,
            folder=folder.absolute(),
        )

    drawn = where.ask_first(job)
    files = {
        int(seed): draws.File(folder / f"weights-{digest}.npz", digest)
        for seed, digest in drawn.weights.items()
    }
    return replace(what, weights=files)


def needs_proof(arm: ArmId, n_replicas: int = 1) -> bool:
    """Say whether an arm's time is shown only once it trains as `fit` does on one device."""
    return arm.arm != FIT or n_replicas > 1
