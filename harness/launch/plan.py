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
    _fits(spec_name, spec, dataset)
    arms = _arms(backends, implementations)
    data = Data(name=dataset.name, sha256=dataset.sha256, n_train=dataset.n_train, n_inputs=dataset.n_inputs)
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
        for name, implementation in arms:
            request = Request(
                spec_name=spec_name,
                spec=spec,
                backend=name,
                implementation=implementation,
                module=backends[name].arms[implementation].module,
                seed=seed,
                epochs=protocol.epochs,
                device=device,
                threads=protocol.threads,
                time_limit_s=protocol.time_limit_s,
                data=data,
                weights_sha256=draw.weights_sha256,
                order_sha256=draw.order_sha256,
            )
            planned.append(Planned(request, backends[name], dataset.folder, draw.weights, draw.order))
    return tuple(planned)


def _arms(backends: Mapping[str, Backend], implementations: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return (backend, implementation) of each arm wanted; all of them where no implementation is named."""
    known = dict.fromkeys(implementation for backend in backends.values() for implementation in backend.arms)
    for implementation in implementations:
        if implementation not in known:
            raise ConfigError(f"--arm: {choice(known, implementation)}")
    wanted = implementations or tuple(known)
    return [(name, implementation) for name, backend in backends.items() for implementation in backend.arms if implementation in wanted]


def _fits(name: str, spec: Spec, dataset: datasets.Prepared) -> None:
    """Raise ConfigError where the spec cannot be trained on the dataset."""
    units = spec.layers[-1].units
    for key, fits, expected, received in (
        (f"layers[{len(spec.layers) - 1}].units", units == datasets.N_CLASSES, f"{datasets.N_CLASSES}, the classes", units),
        ("batch_size", spec.batch_size <= dataset.n_train, f"at most {dataset.n_train}, the training samples", spec.batch_size),
    ):
        if not fits:
            raise ConfigError(f"backends.toml: [specs.{name}] {key}: expected {expected} of {dataset.name}; received {received}")
