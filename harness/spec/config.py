"""backends.toml -> Config: the specs, the backends and the protocol, validated whole before anything runs.

Every message names the file and the key, says what was expected and what came, and what was probably meant.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from harness.errors import ConfigError, choice, nearest

WORKER = Path(__file__).parents[1] / "worker"
Dataset = Literal["auto", "mnist", "digits"]
Device = Literal["auto", "cpu", "gpu"]
Positive = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(gt=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


def _fault(message: str, kind: Literal["sentence", "key"] = "sentence") -> PydanticCustomError:
    """Return the error whose message is already what the user reads; a "key" begins with the key that is wrong."""
    return PydanticCustomError(kind, "{message}", {"message": message})


def _threads(value: object) -> object:
    if value == "auto" or (type(value) is int and value > 0):
        return value
    raise _fault(f"expected 'auto' or a number of cores from 1; received {value!r}")


def _arm_module(value: object) -> object:
    """Return the name of a module that has an arm's verbs; misspelt, it would look like a broken environment."""
    known = [file for file in sorted(WORKER.rglob("*.py")) if "\ndef epoch(" in file.read_text(encoding="utf-8")]
    names = [".".join(file.relative_to(WORKER).with_suffix("").parts) for file in known]
    if value in names:
        return value
    raise _fault(choice(names, value))


class Frozen(BaseModel):
    """A value: immutable, compared by content, strict about types, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Dense(Frozen):
    """A fully connected layer: activation(x @ kernel + bias), kernel (inputs, units), bias (units,)."""

    type: Literal["dense"] = "dense"
    name: Name
    units: Positive
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
    layers: Annotated[tuple[Dense, ...], Field(min_length=1, strict=False)]
    optimizer: Annotated[SGD | RMSprop | Adam, Field(discriminator="name")]
    loss_form: Literal["probs", "logits"]
    batch_size: Positive = 128

    @model_validator(mode="after")
    def _layers_fit_the_loss(self) -> Spec:
        names = [layer.name for layer in self.layers]
        if len(set(names)) < len(names):
            raise _fault(f"layers: expected a name of its own for each; received {', '.join(names)}", "key")
        wanted, received = {"probs": "softmax", "logits": "linear"}[self.loss_form], self.layers[-1].activation
        if received != wanted:
            place = f"layers[{len(names) - 1}].activation"
            raise _fault(f"{place}: expected {wanted!r}, since loss_form is {self.loss_form!r}; received {received!r}", "key")
        return self


class Arm(Frozen):
    """One implementation of the spec: a module in harness/worker, by its dotted name there."""

    module: Annotated[str, BeforeValidator(_arm_module)]


class Requirements(Frozen):
    """What pip installs into a backend's environment."""

    cpu: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    gpu: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]


class Backend(Frozen):
    """One virtual environment, what is installed there, and the arms that run in it."""

    environment: Annotated[str, Field(pattern=r"^train-[a-z0-9-]+$")]  # also the nox session that makes it
    requirements: Requirements
    variables: dict[str, str] = {}
    cpu_variables: dict[str, str] = {}  # besides CUDA_VISIBLE_DEVICES, where the CPU is asked for
    arms: Annotated[dict[Name, Arm], Field(min_length=1)]


class Protocol(Frozen):
    """How each arm is run; arguments of `harness train` go before these."""

    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(min_length=1, strict=False)] = (0,)
    epochs: Positive = 5
    threads: Annotated[int | str, BeforeValidator(_threads)] = "auto"
    time_limit_s: Annotated[float, Field(gt=0, le=1e6)] = 1800.0


class Config(Frozen):
    """The whole of backends.toml. The first spec is the default one."""

    protocol: Protocol = Protocol()
    specs: Annotated[dict[Name, Spec], Field(min_length=1)]
    backends: Annotated[dict[Name, Backend], Field(min_length=1)]

    @model_validator(mode="after")
    def _backends_are_known_and_apart(self) -> Config:
        frameworks = sorted(file.stem for file in (WORKER / "frameworks").glob("[a-z]*.py"))
        homes = [backend.environment for backend in self.backends.values()]
        for name, backend in self.backends.items():
            if name not in frameworks:
                raise _fault(f"[backends.{name}]: {choice(frameworks, name)}")
            if homes.count(backend.environment) > 1:
                raise _fault(f"[backends.{name}] environment: expected one of its own; received {backend.environment!r} twice")
        return self

    def spec(self, name: str | None) -> tuple[str, Spec]:
        """Return the spec of that name, or the first one, with its name."""
        wanted = name or next(iter(self.specs))
        if wanted not in self.specs:
            raise ConfigError(f"--spec: {choice(self.specs, wanted)}")
        return wanted, self.specs[wanted]

    def chosen_backends(self, names: Iterable[str]) -> dict[str, Backend]:
        """Return the backends of those names, in that order; all of them where none is named."""
        wanted = list(dict.fromkeys(names)) or list(self.backends)
        for name in wanted:
            if name not in self.backends:
                raise ConfigError(f"backend: {choice(self.backends, name)}")
        return {name: self.backends[name] for name in wanted}


def find(start: Path) -> Path:
    """Return the nearest backends.toml in `start` or above it."""
    for folder in (start, *start.parents):
        if (folder / "backends.toml").is_file():
            return folder / "backends.toml"
    raise ConfigError(f"backends.toml: not in {start} nor above it. Go to the project's folder, or name the file: --config FILE")


def load(path: Path) -> Config:
    """Return the validated content of a backends.toml.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or says something impossible; one line for each fault.
    """
    try:
        return Config.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). Name another file: --config FILE") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name}: not valid TOML: {error}") from None
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path.name}: {sentence}" for sentence in sentences(error, Config))) from None


def overridden(protocol: Protocol, **arguments: Any) -> Protocol:
    """Return the protocol with the arguments that are not None in place, validated like the file.

    Raises:
        ConfigError: an argument is impossible; names it as typed, for example `--epochs`.
    """
    given = {key: value for key, value in arguments.items() if value is not None}
    try:
        return Protocol.model_validate(protocol.model_dump() | given)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).removesuffix("_s").removesuffix("s" if first["loc"][0] == "seeds" else "").replace("_", "-")
        raise ConfigError(f"--{option}: {_expectation(first)}") from None


def sentences(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """Return one sentence for each fault in a `root`: where, what was expected, what came."""
    details = error.errors()
    said, meant = [], set()
    for detail in (each for each in details if each["type"] == "extra_forbidden"):
        place, key = detail["loc"][:-1], detail["loc"][-1]
        known = _model(root, place).model_fields
        said.append((place, f"unknown key: {choice(known, key)}", ": "))
        meant.add((*place, nearest(known, key)))
    for detail in (each for each in details if each["type"] != "extra_forbidden"):
        if detail["type"] == "missing" and detail["loc"] in meant:
            continue  # it is there, misspelt
        if any(len(other["loc"]) > len(detail["loc"]) == _n_shared(other["loc"], detail["loc"]) for other in details):
            continue  # pydantic also counts what it refused inside: the inner fault says it all
        said.append((detail["loc"], _expectation(detail), " " if detail["type"] == "key" else ": "))
    return [f"{_place(location)}{joint}{what}" if location else what for location, what, joint in said]


def _n_shared(one: tuple[int | str, ...], other: tuple[int | str, ...]) -> int:
    return next((index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _model(kind: Any, location: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the model that lies at a location inside an annotation: through fields, dicts, tuples and unions."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _model(kind.model_fields[str(location[0])].annotation, location[1:]) if location else kind
    models = [part for part in get_args(kind) if isinstance(part, type) and issubclass(part, BaseModel)]
    if get_origin(kind) is UnionType and len(models) == 1:  # a model or None
        return _model(models[0], location)
    tagged = {get_args(model.model_fields["name"].annotation)[0]: model for model in models} if len(models) > 1 else {}
    return _model(tagged.get(location[0], models[0]), location[1:])


def _place(location: tuple[int | str, ...]) -> str:
    """Return '[specs.mnist] layers[0].activation' for ('specs', 'mnist', 'layers', 0, 'activation')."""
    depth = 2 if location and location[0] in ("specs", "backends") else 1
    table, rest = location[:depth], location[depth:]
    # pydantic puts the tag of a union into the path ("optimizer", "rmsprop", "rho"): it is no key of the file.
    keys = [part for index, part in enumerate(rest) if part != "[key]" and not (index == 1 and rest[0] == "optimizer")]
    path = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")
    return f"[{'.'.join(map(str, table))}] {path}".strip() if table else path


def _expectation(detail: ErrorDetails) -> str:
    """Return 'expected ...; received ...' for one of pydantic's errors."""
    context: Mapping[str, Any] = detail.get("ctx", {})
    received = detail["input"]
    match detail["type"]:
        case "sentence" | "key":
            return detail["msg"]
        case "missing":
            return "expected a value; the key is missing"
        case "union_tag_not_found":
            return f"expected a key {_names(context['discriminator'])[0]!r}; received {received!r}"
        case "union_tag_invalid":
            return choice(_names(context["expected_tags"]), context["tag"])
        case "literal_error":
            return choice(_names(context["expected"]), received)
        case "tuple_type":
            return f"expected a list; received {received!r}"
        case "dict_type" | "model_type":
            return f"expected a table; received {received!r}"
        case "too_short":
            return f"expected at least {context['min_length']}; received {received!r}"
        case _:
            wanted = detail["msg"].replace("Input should be", "expected").replace("String should", "expected to")
            return f"{wanted}; received {received!r}"


def _names(listed: str) -> list[str]:
    """Return [a, b, c] for pydantic's "'a', 'b' or 'c'"."""
    return re.findall(r"'([^']*)'", listed)
