"""A model of the user's own as a spec: its file and function, its data, and how it is trained."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from harness.errors import ConfigError, shown
from harness.spec import bounds
from harness.spec.arguments import split_arguments, with_arguments, without_arguments
from harness.spec.arm_source import digest_sources
from harness.spec.faults import fault, sentences
from harness.spec.frozen import Frozen, Option
from harness.spec.targets import ModelSource, Target, parse_target

BUILD, DATA = "build", "data"  # functions that are meant where none is named
SAVED = ".keras"


def is_target(text: str) -> bool:
    """Say whether a text on a command line names a model: FILE.py[:FUNCTION[(...)]], FILE.keras."""
    return split_target(without_arguments(text))[0].endswith((".py", SAVED))


def split_target(text: str, default: str = BUILD) -> tuple[str, str]:
    """Return file and function of FILE[:FUNCTION]; a file that Keras saved has no function."""
    file, colon, function = text.rpartition(":")
    if not colon:
        return text, "" if text.endswith(SAVED) else default
    return file, function


def _target(text: str) -> str:
    if is_target(text) and text == without_arguments(text):
        return text
    expected = f"expected FILE.py:FUNCTION, as my_model.py:{BUILD}, or FILE{SAVED}"
    raise fault(f"{expected}; received {shown(text)}")


Named = Annotated[str, Field(max_length=1000), AfterValidator(_target)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Argument = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)]
Batches = Annotated[int, Field(gt=0, le=10**9)]
Metric = Annotated[str, Field(min_length=1, max_length=100)]
Margin = Annotated[float, Field(gt=0, le=1e12)]


class OwnModel(Frozen):
    """One model of the user's own and one way to train it, the same for every backend.

    Files are named from the folder of backends.toml on.
    """

    inputs: ClassVar[str] = "equal"  # weights and order, as for a stack

    model: Named  # FILE.py:FUNCTION, which returns a compiled keras.Model, or FILE.keras
    data: Named | None = None  # FILE.py:FUNCTION; by default "data" in the model's file
    arguments: dict[Argument, Option] = {}  # that the model's function is given
    feed: Literal["arrays", "own"] = "arrays"  # own: `fit` asks the data's pipeline for its batches
    epochs: bounds.Epochs | None = None  # the protocol's where it says none
    limit_batches: Batches | None = None  # of an epoch; None: all of them
    batch_size: bounds.BatchSize | None = None  # None: the data's own, else 32
    shuffle: bool = True  # a new order in every epoch
    # Of the compiled loss or of a metric, by name: a smaller difference is of no consequence.
    margin: Annotated[dict[Metric, Margin], Field(max_length=100)] = {}
    # What the environments of this spec have besides the backends' own requirements, and the folder
    # of the user's package that is installed there, from that of backends.toml on.
    requirements: Annotated[
        tuple[bounds.Requirement, ...], Field(max_length=100, strict=False)
    ] = ()
    install: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    # Of the model's file and what it imports from beside it, once these are read; no file says it.
    sha256: Sha256 | None = None

    @property
    def called(self) -> str:
        """The model with its arguments, as it is typed."""
        return with_arguments(self.model, self.arguments)


def or_own_model(table: Any, stack: Callable[[Any], Any]) -> Any:
    """Return a table's spec: a model of the user's own where it names one, else a stack.

    Args:
        table: of backends.toml or of a record.
        stack: validates a table as a stack.
    """
    if isinstance(table, OwnModel):
        return table
    if not (isinstance(table, dict) and "model" in table):
        return stack(table)
    try:
        return OwnModel.model_validate(table)
    except ValidationError as error:
        raise fault(_inner(sentences(error, OwnModel)[0]), "key") from None


def _inner(sentence: str) -> str:
    """Return a sentence on a key as it stands in a table: "arguments.width: expected ..."."""
    table, bracket, rest = sentence.partition("]")
    if not bracket or not table.startswith("["):
        return sentence
    return table[1:] + (f".{rest[1:]}" if rest.startswith(" ") else rest)


def own_model(spec: object) -> OwnModel | None:
    """Return a spec that is a model of the user's own, None for a stack of Dense layers."""
    return spec if isinstance(spec, OwnModel) else None


def content_of(spec: BaseModel) -> str:
    """Return what a spec trains, as text, whatever its dataset and number of epochs are called."""
    return spec.model_dump_json(exclude={"dataset", "epochs"})


def check_command(spec: object) -> str:
    """Return what to type to see whether a spec is the same model on every backend."""
    own = own_model(spec)
    return f"harness parity --model {shlex.quote(own.called)}" if own else "nox -s parity"


def read_files(spec: OwnModel, root: Path, where: str) -> OwnModel:
    """Return the spec with its model and data named in full, once its files are read and not run.

    Args:
        spec: as in backends.toml or on the command line.
        root: the folder that its files are named from.
        where: it is named, for a message.

    Raises:
        ConfigError: a file or a function is not there, or a saved model has no data.
    """
    file, function = split_target(spec.model)
    if spec.data is None and not function:
        hint = 'Name a function: data = "FILE.py:FUNCTION", or --data FILE.py:FUNCTION'
        raise ConfigError(f"{where} data: expected one for a saved model; received none. {hint}")
    data = split_target(spec.data or f"{file}:{DATA}", DATA)
    named = {"model": f"{file}:{function}" if function else file, "data": ":".join(data)}
    changed = spec.model_copy(update=named)
    digest = digest_sources(_source(changed, root, where).file)
    parse_target(f"{where} data", named["data"], root)
    return changed.model_copy(update={"sha256": digest})


def source_of(spec: OwnModel, root: Path) -> ModelSource:
    """Return what a worker builds: the model's file, its function and what that is given."""
    return _source(spec, root, spec.model)


def data_of(spec: OwnModel, root: Path) -> Target:
    """Return the function of the user's that gives the data."""
    return parse_target("data", spec.data or "", root)


def find_source(option: str, text: str) -> ModelSource:
    """Return what builds the model that FILE[:FUNCTION[(NAME=VALUE, ...)]] or FILE.keras names.

    Args:
        option: for a message.
        text: as it was typed; the file's name begins at the working folder.

    Raises:
        ConfigError: there is no such file or function, or it does not take those arguments.
    """
    named, arguments = split_arguments(option, text)
    file, function = split_target(named)
    target = f"{file}:{function}" if function else file
    found = _read_source(option, target, Path.cwd(), arguments)
    return replace(found, sha256=digest_sources(found.file))


def find_data(source: Target) -> Target | None:
    """Return the function `data` of the file that builds a model; None where it has none."""
    try:
        found = parse_target("data", f"{source.file}:{DATA}")
    except ConfigError:
        return None
    return replace(found, name=f"{split_target(source.name)[0]}:{DATA}")


def _source(spec: OwnModel, root: Path, where: str) -> ModelSource:
    found = _read_source(f"{where} model", spec.model, root, spec.arguments)
    return replace(found, sha256=spec.sha256 or "")


def _read_source(option: str, target: str, root: Path, arguments: Mapping[str, Any]) -> ModelSource:
    file, function = split_target(target)
    if function:
        path = parse_target(option, target, root, arguments).file
    else:
        path = root.joinpath(file).resolve()
        if not path.is_file():
            raise ConfigError(f"{option}: {file}: cannot be read (no such file)")
    return ModelSource(
        name=target, file=path, function=function, arguments=dict(arguments), sha256=""
    )
