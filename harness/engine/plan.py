"""Arms x seeds -> the requests of one call, in the order in which they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.engine import replicas
from harness.engine.own_model import PreparedModel
from harness.errors import ConfigError
from harness.job.arm import ArmId
from harness.job.request import Data, Request
from harness.spec import draws
from harness.spec.arm_source import read_declaration
from harness.spec.config import Config, Device, Spec
from harness.spec.data import mnist
from harness.spec.data.arrays import load_weights
from harness.spec.stack import demands, outputs
from harness.spec.targets import ModelSource, Target


@dataclass(frozen=True, slots=True)
class Planned:
    """One request, and the files that its worker reads.

    Paths stay out of the request: a record keeps none.
    """

    request: Request
    dataset: Path
    weights: Path | None  # None: the framework draws its own
    order: Path | None
    model: ModelSource | None = None  # of a spec that is a model of the user's own
    refusal: str = ""  # why its time would mean nothing
    feed: Target | None = None  # whose pipeline is asked for batches

    def where(self) -> dict[str, Any]:
        """Return the fields of a `Job` that say where and how long this run may be."""
        names = ("backend", "device", "threads", "replicas", "time_limit_s")
        return {name: getattr(self.request, name) for name in names}

    def drawn(self) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.int32]]:
        """Return the initial weights by name, and the order of the samples, (epochs, n).

        Raises:
            ConfigError: each framework draws its own.
        """
        if self.weights is None or self.order is None:
            raise ConfigError(
                f'parity: [specs.{self.request.spec_name}] inputs is "native": '
                "each framework draws its own, and nothing can be equal"
            )
        order = np.load(self.order, mmap_mode="r", allow_pickle=False)
        return load_weights(self.weights), order

    def training(self) -> dict[str, Any]:
        """Return the fields of a `Measure` or `Live` job."""
        files = {"weights": self.weights, "order": self.order}
        there = {name: file and file.absolute() for name, file in files.items()}
        inputs = {"request": self.request, "dataset": self.dataset.absolute()}
        own = {name: getattr(self, name) for name in ("model", "refusal", "feed")}
        return self.where() | inputs | there | own


def plan(
    config: Config,
    spec_name: str,
    arms: Sequence[ArmId],
    dataset: mnist.Prepared | PreparedModel,
    *,
    device: Device = "auto",
) -> tuple[Planned, ...]:
    """Return one planned run for each seed and arm.

    All arms of a seed stand together, so that drift of the machine meets all of them.

    Args:
        config: backends.toml; its protocol has seeds, epochs and limits.
        spec_name: what is trained.
        arms: that take part, of backends.toml.
        dataset: prepared for the workers.
        device: "gpu" leaves out arms of backends that can use none.

    Raises:
        ConfigError: the spec does not fit the dataset or an arm.
    """
    spec = config.specs[spec_name]
    if isinstance(dataset, mnist.Prepared):
        _check_fits(spec_name, spec, dataset)
    if device == "gpu":
        arms = [arm for arm in arms if config.backends[arm.backend].accelerators]
        if not arms:
            raise ConfigError(
                "--device gpu: none of these backends can use an accelerator. "
                "--device cpu runs them"
            )
    _check_devices(config, spec_name, arms, dataset)
    for arm in arms if isinstance(dataset, mnist.Prepared) else ():
        _check_expressible(spec_name, spec, arm, config)
    return _runs(config, spec_name, arms, dataset, device=device)


def _check_devices(
    config: Config, spec_name: str, arms: Sequence[ArmId], dataset: mnist.Prepared | PreparedModel
) -> None:
    """Raise ConfigError where several devices are asked for and cannot train the spec."""
    n_replicas, size = config.protocol.replicas, config.specs[spec_name].batch_size
    replicas.check_arms(arms, n_replicas, config.folder)
    if isinstance(dataset, PreparedModel):
        size = dataset.batch_size
        if dataset.feed and n_replicas > 1:
            hint = "has a meaning on one device only: devices have parts of arrays. Leave it out"
            raise ConfigError(f'[specs.{spec_name}] feed = "own": {hint}')
    replicas.check_batches(n_replicas, replicas.batch_sizes(dataset.n_train, size))


def _runs(
    config: Config,
    spec_name: str,
    arms: Sequence[ArmId],
    dataset: mnist.Prepared | PreparedModel,
    *,
    device: Device,
) -> tuple[Planned, ...]:
    """Return the runs of these arms, seed by seed."""
    protocol, spec = config.protocol, config.specs[spec_name]
    planned = []
    for seed in dict.fromkeys(protocol.seeds):
        drawn = _draw(spec, dataset, protocol.epochs, seed)
        files = (drawn.weights, drawn.order) if drawn else (None, None)
        digests = (drawn.weights_sha256, drawn.order_sha256) if drawn else (None, None)
        for arm in arms:
            request = Request(
                **arm.fields,
                spec_name=spec_name,
                spec=spec,
                seed=seed,
                epochs=protocol.epochs,
                device=device,
                threads=protocol.threads,
                replicas=protocol.replicas,
                time_limit_s=protocol.time_limit_s,
                data=data_of(dataset),
                weights_sha256=digests[0],
                order_sha256=digests[1],
            )
            of_user: tuple[Any, ...] = ()
            if isinstance(dataset, PreparedModel):
                of_user = dataset.source, dataset.untimed.get(arm, ""), dataset.feed
            planned.append(Planned(request, dataset.folder, *files, *of_user))
    return tuple(planned)


def data_of(dataset: mnist.Prepared | PreparedModel) -> Data:
    """Return which data it is, as a record keeps it."""
    names = ("name", "sha256", "n_train", "n_inputs")
    return Data(**{name: getattr(dataset, name) for name in names})


def _draw(
    spec: Spec, dataset: mnist.Prepared | PreparedModel, n_epochs: int, seed: int
) -> draws.Draw | None:
    """Return what every arm of a seed begins with; None where frameworks draw their own."""
    if isinstance(dataset, PreparedModel):
        return dataset.draw(n_epochs, seed)
    if spec.inputs == "native":
        return None
    return draws.draw(
        mnist.cache_folder() / "draws",
        spec,
        n_inputs=dataset.n_inputs,
        n_samples=dataset.n_train,
        n_epochs=n_epochs,
        seed=seed,
    )


def _check_expressible(spec_name: str, spec: Spec, arm: ArmId, config: Config) -> None:
    """Raise ConfigError where an arm cannot express the spec; name arms that can."""
    for key, kind, value in demands(spec):
        expressed = _expressed(arm.module, kind, value, config.folder)
        if value in expressed:
            continue
        others = [
            f"{arm.backend}/{name}"
            for name, other in config.backends[arm.backend].arms.items()
            if value in _expressed(other.module, kind, value, config.folder)
        ]
        hint = f"Choose an arm that can: {', '.join(others)}" if others else "No arm there can"
        raise ConfigError(
            f"backends.toml: [specs.{spec_name}] {key}: {arm.name} can do "
            f"{', '.join(expressed)}; received {value!r}. {hint}"
        )


def _expressed(module: str, kind: str, value: str, folder: Path | None) -> tuple[str, ...]:
    """Return what of a kind an arm can express; the value itself where it declares no limit."""
    expressed: tuple[str, ...] = read_declaration(module, "EXPRESSES", folder).get(kind, (value,))
    return expressed


def _check_fits(name: str, spec: Spec, dataset: mnist.Prepared) -> None:
    """Raise ConfigError where the spec cannot be trained on the dataset."""
    (key, units), n_classes = outputs(spec), mnist.N_CLASSES
    place, fault = f"backends.toml: [specs.{name}]", ""
    if units != n_classes:
        fault = f"{key}: expected {n_classes}, the classes of {dataset.name}; received {units}"
    elif spec.batch_size > dataset.n_train:
        most = f"at most {dataset.n_train}, the training samples of {dataset.name}"
        fault = f"batch_size: expected {most}; received {spec.batch_size}"
    if fault:
        raise ConfigError(f"{place} {fault}")
