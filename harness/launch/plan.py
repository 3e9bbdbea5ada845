"""Arms x seeds -> the requests of one call, in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError, choice
from harness.inputs import datasets, draws
from harness.records.record import Data, Request
from harness.spec.config import Backend, Device, Protocol, Spec


@dataclass(frozen=True, slots=True)
class Planned:
    """One request, and the files that its worker reads. Paths stay out of the request: a record keeps none."""

    request: Request
    backend: Backend
    dataset: Path
    weights: Path
    order: Path


def plan(
    spec_name: str,
    spec: Spec,
    backends: Mapping[str, Backend],
    protocol: Protocol,
    dataset: datasets.Prepared,
    *,
    device: Device = "auto",
    implementations: tuple[str, ...] = (),
) -> tuple[Planned, ...]:
    """Return one planned run for each seed and arm, all arms of a seed together, so that drift of the machine meets all.

    Raises:
        ConfigError: no backend has an implementation of that name, or the spec does not fit the dataset.
    """
    if spec.layers[-1].units != datasets.N_CLASSES:
        raise ConfigError(
            f"backends.toml: [specs.{spec_name}] layers[{len(spec.layers) - 1}].units: expected {datasets.N_CLASSES}, "
            f"the classes of {dataset.name}; received {spec.layers[-1].units}"
        )
    if spec.batch_size > dataset.n_train:
        raise ConfigError(
            f"backends.toml: [specs.{spec_name}] batch_size: expected at most {dataset.n_train}, the training samples of "
            f"{dataset.name}; received {spec.batch_size}"
        )
    arms = [
        (name, backend, implementation)
        for name, backend in backends.items()
        for implementation in backend.arms
        if not implementations or implementation in implementations
    ]
    known = dict.fromkeys(implementation for backend in backends.values() for implementation in backend.arms)
    for implementation in implementations:
        if implementation not in known:
            raise ConfigError(f"--arm: {choice(known, implementation)}")
    planned: list[Planned] = []
    for seed in dict.fromkeys(protocol.seeds):
        draw = draws.draw(
            datasets.cache_folder() / "draws",
            n_inputs=dataset.n_inputs,
            layers=[(layer.name, layer.units) for layer in spec.layers],
            n_samples=dataset.n_train,
            n_epochs=protocol.epochs,
            seed=seed,
        )
        for name, backend, implementation in arms:
            request = Request(
                spec_name=spec_name,
                spec=spec,
                backend=name,
                implementation=implementation,
                module=backend.arms[implementation].module,
                seed=seed,
                epochs=protocol.epochs,
                device=device,
                threads=protocol.threads,
                time_limit_s=protocol.time_limit_s,
                data=Data(name=dataset.name, sha256=dataset.sha256, n_train=dataset.n_train, n_inputs=dataset.n_inputs),
                weights_sha256=draw.weights_sha256,
                order_sha256=draw.order_sha256,
            )
            planned.append(Planned(request, backend, dataset.folder, draw.weights, draw.order))
    return tuple(planned)
