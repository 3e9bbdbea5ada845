"""Arms x seeds -> the requests of one call, in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.engine.own_model import PreparedModel
from harness.errors import ConfigError, choice
from harness.job.asked import ModelSource
from harness.records.observation import Data
from harness.records.record import Request
from harness.spec import draws
from harness.spec.arm_modules import read_declaration
from harness.spec.config import Arm, Backend, Device, Protocol, Spec
from harness.spec.data import mnist


@dataclass(frozen=True, slots=True)
class Planned:
    """One request, and the files that its worker reads.

    Paths stay out of the request: a record keeps none.
    """

    request: Request
    backend: Backend
    dataset: Path
    weights: Path | None  # None: the framework draws its own
    order: Path | None
    model: ModelSource | None = None  # of a spec that is a model of the user's own
    refusal: str = ""  # why its time would mean nothing

    def where(self) -> dict[str, Any]:
        """Return the fields of a `Job` that say where and how long this run may be."""
        names = ("backend", "device", "threads", "time_limit_s")
        return {name: getattr(self.request, name) for name in names}

    def training(self) -> dict[str, Any]:
        """Return the fields of a `Measure` or `Live` job."""
        files = {"weights": self.weights, "order": self.order}
        there = {name: file and file.absolute() for name, file in files.items()}
        inputs = {"request": self.request, "dataset": self.dataset.absolute()}
        return self.where() | inputs | there | {"model": self.model, "refusal": self.refusal}


def plan(
    spec_name: str,
    spec: Spec,
    backends: Mapping[str, Backend],
    protocol: Protocol,
    dataset: mnist.Prepared | PreparedModel,
    *,
    device: Device = "auto",
    implementations: tuple[str, ...] = (),
) -> tuple[Planned, ...]:
    """Return one planned run for each seed and arm.

    All arms of a seed stand together, so that drift of the machine meets all of them.

    Args:
        spec_name: of the spec in backends.toml.
        spec: what is trained.
        backends: those that take part, by name.
        protocol: seeds, epochs and limits.
        dataset: prepared for the workers.
        device: "gpu" leaves out backends that can use none.
        implementations: names of arms; those of the protocol where none is named.

    Raises:
        ConfigError: no backend has such an arm, or the spec does not fit the dataset or an arm.
    """
    if isinstance(dataset, mnist.Prepared):
        _check_fits(spec_name, spec, dataset)
    if device == "gpu":
        backends = {name: backend for name, backend in backends.items() if backend.accelerators}
        if not backends:
            raise ConfigError(
                "--device gpu: none of these backends can use an accelerator. "
                "--device cpu runs them"
            )
    arms = _arms(backends, implementations, protocol.arms)
    if isinstance(dataset, mnist.Prepared):
        for name, implementation in arms:
            _check_expressible(spec_name, spec, backends, name, implementation)
    return _runs(spec_name, spec, backends, protocol, dataset, device=device, arms=arms)


def _runs(
    spec_name: str,
    spec: Spec,
    backends: Mapping[str, Backend],
    protocol: Protocol,
    dataset: mnist.Prepared | PreparedModel,
    *,
    device: Device,
    arms: list[tuple[str, str]],
) -> tuple[Planned, ...]:
    """Return the runs of these arms, seed by seed."""
    planned = []
    for seed in dict.fromkeys(protocol.seeds):
        drawn = _draw(spec, dataset, protocol.epochs, seed)
        files = (drawn.weights, drawn.order) if drawn else (None, None)
        digests = (drawn.weights_sha256, drawn.order_sha256) if drawn else (None, None)
        for name, implementation in arms:
            arm = backends[name].arms[implementation]
            request = Request(
                spec_name=spec_name,
                spec=spec,
                backend=name,
                framework=backends[name].framework,
                implementation=implementation,
                module=arm.module,
                options=arm.options,
                seed=seed,
                epochs=protocol.epochs,
                device=device,
                threads=protocol.threads,
                time_limit_s=protocol.time_limit_s,
                data=data_of(dataset),
                weights_sha256=digests[0],
                order_sha256=digests[1],
            )
            of_user: tuple[Any, ...] = ()
            if isinstance(dataset, PreparedModel):
                of_user = dataset.source, dataset.untimed.get(request.arm, "")
            planned.append(Planned(request, backends[name], dataset.folder, *files, *of_user))
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
        n_inputs=dataset.n_inputs,
        layers=[(layer.name, layer.units) for layer in spec.layers],
        initializer=spec.initializer,
        n_samples=dataset.n_train,
        n_epochs=n_epochs,
        shuffle=spec.shuffle,
        seed=seed,
    )


def _check_expressible(
    spec_name: str, spec: Spec, backends: Mapping[str, Backend], name: str, implementation: str
) -> None:
    """Raise ConfigError where an arm cannot express the spec; name arms that can."""
    asked: list[tuple[str, str, str]] = [
        (f"layers[{index}].activation", "activations", layer.activation)
        for index, layer in enumerate(spec.layers[:-1])
    ]
    asked += [("optimizer.name", "optimizers", spec.optimizer.name)]
    for key, kind, value in asked:
        expressed = _expressed(backends[name].arms[implementation], kind, value)
        if value in expressed:
            continue
        others = {
            arm: None
            for backend in backends.values()
            for arm, there in backend.arms.items()
            if value in _expressed(there, kind, value)
        }
        hint = "No arm of these backends can"
        if others:
            hint = f"Choose an arm that can: --arm {' --arm '.join(others)}"
        raise ConfigError(
            f"backends.toml: [specs.{spec_name}] {key}: {name}/{implementation} can do "
            f"{', '.join(expressed)}; received {value!r}. {hint}"
        )


def _expressed(arm: Arm, kind: str, value: str) -> tuple[str, ...]:
    """Return what of a kind an arm can express; the value itself where it declares no limit."""
    return read_declaration(arm.module, "EXPRESSES").get(kind, (value,))


def _arms(
    backends: Mapping[str, Backend], implementations: tuple[str, ...], default: tuple[str, ...]
) -> list[tuple[str, str]]:
    """Return (backend, implementation) of each arm wanted; the default where none is named."""
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


def _check_fits(name: str, spec: Spec, dataset: mnist.Prepared) -> None:
    """Raise ConfigError where the spec cannot be trained on the dataset."""
    units, n_classes = spec.layers[-1].units, mnist.N_CLASSES
    place, fault = f"backends.toml: [specs.{name}]", ""
    if units != n_classes:
        key = f"layers[{len(spec.layers) - 1}].units"
        fault = f"{key}: expected {n_classes}, the classes of {dataset.name}; received {units}"
    elif spec.batch_size > dataset.n_train:
        most = f"at most {dataset.n_train}, the training samples of {dataset.name}"
        fault = f"batch_size: expected {most}; received {spec.batch_size}"
    if fault:
        raise ConfigError(f"{place} {fault}")
