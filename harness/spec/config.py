"""Config: the tables of backends.toml, validated whole before anything runs.

Every message names the file and the key, says what was expected and what came, and what was
probably meant.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    WrapValidator,
    model_validator,
)

from harness.errors import ConfigError, choice
from harness.spec import bounds
from harness.spec.arm_modules import check_module, check_options, folder_of
from harness.spec.arm_source import WORKER
from harness.spec.bounds import Name, size
from harness.spec.defaults import complete, name_frameworks
from harness.spec.faults import expectation, fault, sentences, unknown_arm
from harness.spec.frozen import Frozen, Option
from harness.spec.model import or_own_model
from harness.spec.sweeps import Engine, Sweep, check_sweeps
from harness.spec.toml import parse_file

Dataset = Literal["auto", "mnist", "digits"]
Device = Literal["auto", "cpu", "gpu"]
Rate = Annotated[float, Field(gt=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class Dense(Frozen):
    """A fully connected layer: activation(x @ kernel + bias).

    Its kernel is (inputs, units), its bias (units,).
    """

    type: Literal["dense"] = "dense"
    name: Name
    units: bounds.Units
    activation: Literal["linear", "relu", "softmax"]


class SGD(Frozen):
    """Gradient descent, with momentum where it is not 0."""

    name: Literal["sgd"]
    learning_rate: Rate = 0.01
    momentum: Decay = 0.0


class RMSprop(Frozen):
    """RMSprop in Keras's form, epsilon inside the root; defaults are Keras 3.15's."""

    name: Literal["rmsprop"]
    learning_rate: Rate = 0.001
    rho: Decay = 0.9
    epsilon: Rate = 1e-7


class Adam(Frozen):
    """Adam in Keras's epsilon-hat form; defaults are Keras 3.15's."""

    name: Literal["adam"]
    learning_rate: Rate = 0.001
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Rate = 1e-7


class Spec(Frozen):
    """One model and one way to train it, the same for every backend."""

    dataset: Dataset = "auto"
    layers: Annotated[tuple[Dense, ...], Field(min_length=1, max_length=100, strict=False)]
    optimizer: Annotated[SGD | RMSprop | Adam, Field(discriminator="name")]
    loss_form: Literal["probs", "logits"]
    batch_size: bounds.BatchSize = 128
    epochs: bounds.Epochs | None = None  # the protocol's where it says none
    # See harness.spec.initializers.
    initializer: Literal["glorot_uniform", "uniform", "fan_in_uniform"] = "glorot_uniform"
    shuffle: bool = True  # a new order in every epoch
    # native: each framework draws weights and order with its own generator
    inputs: Literal["equal", "native"] = "equal"

    @model_validator(mode="after")
    def _layers_fit_the_loss(self) -> Spec:
        names = [layer.name for layer in self.layers]
        if len(set(names)) < len(names):
            raise fault(
                f"layers: expected a name of its own for each; received {', '.join(names)}", "key"
            )
        widths = (bounds.N_INPUTS, *(layer.units for layer in self.layers))
        n_weights = sum((before + 1) * after for before, after in pairwise(widths))
        if n_weights > bounds.MOST_WEIGHTS:
            most = f"expected at most {size(bounds.MOST_WEIGHTS)} of weights"
            raise fault(f"layers: {most}; received {size(n_weights)}", "key")
        wanted = {"probs": "softmax", "logits": "linear"}[self.loss_form]
        received = self.layers[-1].activation
        if received != wanted:
            place = f"layers[{len(names) - 1}].activation"
            why = f"since loss_form is {self.loss_form!r}"
            raise fault(f"{place}: expected {wanted!r}, {why}; received {received!r}", "key")
        return self


AnySpec = Annotated[SerializeAsAny[Spec], WrapValidator(or_own_model)]
"""A spec, or a `harness.spec.model.OwnModel` where the table names a model: see `own_model`."""


class Arm(Frozen):
    """One implementation of the spec: its module, see `harness.spec.arm_source`, and options."""

    module: Annotated[str, BeforeValidator(check_module)]
    options: dict[str, Option] = {}

    @model_validator(mode="after")
    def _options_are_the_module_s(self, info: Any) -> Arm:
        check_options(self.module, self.options, folder_of(info))
        return self


Lines = Annotated[tuple[bounds.Requirement, ...], Field(min_length=1, max_length=100, strict=False)]


class Requirements(Frozen):
    """What pip installs into a backend's environment."""

    cpu: Lines
    gpu: Lines


class Backend(Frozen):
    """One virtual environment, what is installed there, and the arms that run in it."""

    # What computes there, and Keras's backend; by default the framework of the backend's own name.
    framework: str
    # An interpreter of the user's own, from the project's folder on: nothing is installed there.
    python: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    # Also the nox session that makes it.
    environment: Annotated[str, Field(pattern=r"^train-[a-z0-9-]+$", max_length=64)]
    requirements: Requirements
    accelerators: bool = True  # whether it can use one at all
    variables: bounds.Variables = {}
    cpu_variables: bounds.Variables = {}  # besides CUDA_VISIBLE_DEVICES, where the CPU is asked for
    # Where several processes live at once, as in a bench: none may take a GPU's whole memory.
    shared_variables: bounds.Variables = {}
    arms: Annotated[dict[Name, Arm], Field(min_length=1)]


class Protocol(Frozen):
    """How each arm is run; arguments of `harness train` go before these."""

    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=2**32)], ...],
        Field(min_length=1, max_length=1000, strict=False),
    ] = (0,)
    epochs: bounds.Epochs = 5
    arms: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)] = ("keras",)
    threads: bounds.Threads = "auto"
    replicas: bounds.Replicas = 1
    time_limit_s: Annotated[float, Field(gt=0, le=1e6)] = 1800.0

    @model_validator(mode="after")
    def _orders_can_be_kept(self) -> Protocol:
        n_orders = len(self.seeds) * self.epochs
        if n_orders > bounds.MOST_ORDERS:
            n_samples = bounds.N_SAMPLES
            raise fault(
                f"epochs: expected at most {bounds.MOST_ORDERS} of all seeds together; received "
                f"{n_orders}: the orders of {n_samples} samples take {size(n_samples * n_orders)}",
                "key",
            )
        return self


class Experiment(Frozen):
    """How a bench session is laid out; arguments of `harness bench` go before these."""

    arms: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)] = ("keras",)
    # "jax/keras": the arm whose epoch is 1.00 and whose code runs twice; None: the first.
    baseline: str | None = None
    # Fresh sets of processes; a 95 % interval needs 6.
    generations: Annotated[int, Field(gt=0, le=99)] = 10
    blocks: Annotated[int, Field(gt=0, le=99)] = 6  # turns of each process, after its first epoch
    # No generation begins that would end later.
    budget_s: Annotated[float, Field(gt=0, le=1e6)] = 1140.0


class Config(Frozen):
    """The whole of backends.toml. The first spec is the default one."""

    protocol: Protocol = Protocol()
    bench: Experiment = Experiment()
    specs: Annotated[dict[Name, AnySpec], Field(min_length=1)]
    backends: Annotated[dict[Name, Backend], BeforeValidator(name_frameworks), Field(min_length=1)]
    sweeps: dict[Name, Sweep] = {}
    engines: dict[Name, Engine] = {}
    _folder: Path | None = None

    @property
    def folder(self) -> Path | None:
        """The folder of the file, where a user's own arms lie; None where it is read from none."""
        return self._folder

    @model_validator(mode="after")
    def _check_arms(self) -> Config:
        arms = dict.fromkeys(arm for backend in self.backends.values() for arm in backend.arms)
        for name, table in (("protocol", self.protocol), ("bench", self.bench)):
            if unknown := [arm for arm in table.arms if arm not in arms]:
                given = "arms" in table.model_fields_set
                raise fault(f"[{name}] arms: {unknown_arm(arms, unknown[0], given=given)}")
        return self

    @model_validator(mode="after")
    def _check_backends(self) -> Config:
        frameworks = sorted(file.stem for file in (WORKER / "frameworks").glob("[a-z]*.py"))
        environments = [backend.environment for backend in self.backends.values()]
        for name, backend in self.backends.items():
            if backend.framework not in frameworks:
                found = choice(frameworks, backend.framework)
                raise fault(f"[backends.{name}] framework: {found}")
            if environments.count(backend.environment) > 1:
                raise fault(
                    f"[backends.{name}] environment: expected one of its own; "
                    f"received {backend.environment!r} twice"
                )
        return self

    @model_validator(mode="after")
    def _check_baseline(self) -> Config:
        known = [f"{name}/{arm}" for name, backend in self.backends.items() for arm in backend.arms]
        if self.bench.baseline not in (None, *known):
            raise fault(f"[bench] baseline: {choice(known, self.bench.baseline)}")
        return self

    @model_validator(mode="after")
    def _check_sweeps(self) -> Config:
        check_sweeps(self.sweeps, self.specs)
        return self

    def spec(self, name: str | None) -> tuple[str, Spec]:
        """Return the spec of that name, or the first one, with its name."""
        wanted = next(iter(self.specs)) if name is None else name
        if wanted not in self.specs:
            raise ConfigError(f"--spec: {choice(self.specs, wanted)}")
        return wanted, self.specs[wanted]

    def choose_backends(self, names: Iterable[str]) -> dict[str, Backend]:
        """Return the backends of those names, in that order; all of them where none is named."""
        wanted = list(dict.fromkeys(names)) or list(self.backends)
        for name in wanted:
            if name not in self.backends:
                raise ConfigError(f"backend: {choice(self.backends, name)}")
        return {name: self.backends[name] for name in wanted}


def load(path: Path) -> Config:
    """Return the validated content of a backends.toml.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or is impossible; a line for each fault.
    """
    tables, folder = parse_file(path), Path(os.path.realpath(path)).parent
    try:
        config = Config.model_validate(complete(tables, path), context={"folder": folder})
    except ValidationError as error:
        raise ConfigError(
            "\n".join(f"{path.name}: {sentence}" for sentence in sentences(error, Config))
        ) from None
    config._folder = folder
    return config


def override_protocol(protocol: Protocol, **arguments: Any) -> Protocol:
    """Return the protocol with the arguments that are not None in place, validated like the file.

    Raises:
        ConfigError: an argument is impossible; names it as typed, for example `--epochs`.
    """
    given = {key: value for key, value in arguments.items() if value is not None}
    try:
        return Protocol.model_validate(protocol.model_dump() | given)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            raise ConfigError(f"--{expectation(first)}") from None
        key = str(first["loc"][0])
        option = "seed" if key == "seeds" else key.removesuffix("_s").replace("_", "-")
        raise ConfigError(f"--{option}: {expectation(first)}") from None
