"""Arms x seeds -> the requests of one call, in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError, choice
from harness.records.record import Data, Request
from harness.spec import draws
from harness.spec.config import Backend, Device, Protocol, Spec, said_by
from harness.spec.data import mnist


@dataclass(frozen=True, slots=True)
class Planned:
    """One request, and the files that its worker reads. Paths stay out of the request: a record keeps none."""

    request: Request
    backend: Backend
    dataset: Path
    weights: Path | None  # None: the framework draws its own
    order: Path | None


def plan(
    spec_name: str,
    spec: Spec,
    backends: Mapping[str, Backend],
    protocol: Protocol,
    dataset: mnist.Prepared,
    *,
    device: Device = "auto",
    implementations: tuple[str, ...] = (),
) -> tuple[Planned, ...]:
    """Return one planned run for each seed and arm, all arms of a seed together, so that drift of the machine meets all.

    Raises:
        ConfigError: no backend has an implementation of that name, or the spec does not fit the dataset, or an arm.
    """
    _fits(spec_name, spec, dataset)
    if device == "gpu":
        backends = {name: backend for name, backend in backends.items() if backend.accelerators}
        if not backends:
            raise ConfigError(
                "--device gpu: none of these backends can use an accelerator. --device cpu runs them"
            )
    arms = _arms(backends, implementations, protocol.arms)
    for name, implementation in arms:
        _expressible(spec_name, spec, backends, name, implementation)
    data = Data(
        name=dataset.name, sha256=dataset.sha256, n_train=dataset.n_train, n_inputs=dataset.n_inputs
    )
    planned: list[Planned] = []
    for seed in dict.fromkeys(protocol.seeds):
        draw = _draw(spec, dataset, protocol.epochs, seed)
        for name, implementation in arms:
            arm = backends[name].arms[implementation]
            request = Request(
                spec_name=spec_name,
                spec=spec,
                backend=name,
                implementation=implementation,
                module=arm.module,
                options=arm.options,
                seed=seed,
                epochs=protocol.epochs,
                device=device,
                threads=protocol.threads,
                time_limit_s=protocol.time_limit_s,
                data=data,
                weights_sha256=draw.weights_sha256 if draw else None,
                order_sha256=draw.order_sha256 if draw else None,
            )
            planned.append(
                Planned(
                    request,
                    backends[name],
                    dataset.folder,
                    draw.weights if draw else None,
                    draw.order if draw else None,
                )
            )
    return tuple(planned)


def _draw(spec: Spec, dataset: mnist.Prepared, n_epochs: int, seed: int) -> draws.Draw | None:
    """Return what NumPy draws for every arm of a seed; None where each framework is to draw its own."""
    if spec.inputs == "native":
        return None
    return draws.draw(
        mnist.cache_folder() / "draws",
        n_inputs=dataset.n_inputs,
        layers=[(layer.name, layer.units) for layer in spec.layers],
        initializer=spec.initializer,
        n_samples=dataset.n_train,
        n_epochs=n_epochs,
        shuffle=spec.shuffle,
        seed=seed,
    )


def _expressible(
    spec_name: str, spec: Spec, backends: Mapping[str, Backend], name: str, implementation: str
) -> None:
    """Raise ConfigError where an arm cannot express the spec: what it can, and which arms can do it."""
    asked: list[tuple[str, str, str]] = [
        (f"layers[{index}].activation", "activations", layer.activation)
        for index, layer in enumerate(spec.layers[:-1])
    ]
    asked += [("optimizer.name", "optimizers", spec.optimizer.name)]
    for key, kind, value in asked:
        can = said_by(backends[name].arms[implementation].module, "EXPRESSES").get(kind, (value,))
        if value not in can:
            others = {
                arm: None
                for backend in backends.values()
                for arm, there in backend.arms.items()
                if value in said_by(there.module, "EXPRESSES").get(kind, (value,))
            }
            hint = (
                f"Choose an arm that can: --arm {' --arm '.join(others)}"
                if others
                else "No arm of these backends can"
            )
            place = f"backends.toml: [specs.{spec_name}] {key}"
            raise ConfigError(
                f"{place}: {name}/{implementation} can do {', '.join(can)}; received {value!r}. {hint}"
            )


def _arms(
    backends: Mapping[str, Backend], implementations: tuple[str, ...], default: tuple[str, ...]
) -> list[tuple[str, str]]:
    """Return (backend, implementation) of each arm wanted; the protocol's where no implementation is named."""
    known = dict.fromkeys(
        implementation for backend in backends.values() for implementation in backend.arms
    )
    for implementation in implementations:
        if implementation not in known:
            raise ConfigError(f"--arm: {choice(known, implementation)}")
    wanted = implementations or default
    arms = [
        (name, implementation)
        for name, backend in backends.items()
        for implementation in backend.arms
        if implementation in wanted
    ]
    if not arms:
        raise ConfigError(f"--arm: {', '.join(backends)}: {choice(known, ', '.join(wanted))}")
    return arms


def _fits(name: str, spec: Spec, dataset: mnist.Prepared) -> None:
    """Raise ConfigError where the spec cannot be trained on the dataset."""
    units = spec.layers[-1].units
    for key, fits, expected, received in (
        (
            f"layers[{len(spec.layers) - 1}].units",
            units == mnist.N_CLASSES,
            f"{mnist.N_CLASSES}, the classes",
            units,
        ),
        (
            "batch_size",
            spec.batch_size <= dataset.n_train,
            f"at most {dataset.n_train}, the training samples",
            spec.batch_size,
        ),
    ):
        if not fits:
            raise ConfigError(
                f"backends.toml: [specs.{name}] {key}: expected {expected} of {dataset.name}; received {received}"
            )
