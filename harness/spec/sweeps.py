"""Sweeps of backends.toml: axes over what all arms share, and the engines that run their cells."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from harness.errors import choice, shown
from harness.spec import bounds
from harness.spec.faults import expectation, fault
from harness.spec.frozen import Frozen, Option
from harness.spec.model import Argument, OwnModel, own_model

REPLICAS = "replicas"  # devices; of no spec, but of how it is trained
AXES = ("width", "depth", "batch_size", "optimizer", REPLICAS)  # of a stack of Dense layers
MOST_CELLS, MOST_DEPTH = 10_000, 99
Values = dict[str, Option]
"""What a cell has of each axis."""
Axis = Annotated[tuple[Option, ...], Field(min_length=1, max_length=1000, strict=False)]
Texts = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...],
    Field(max_length=100, strict=False),
]
Small = Annotated[int, Field(gt=0, le=99)]


class Sweep(Frozen):
    """A bench session for each combination of its axes' values: a cell."""

    spec: bounds.Name
    # width, depth, batch_size, optimizer and replicas of a stack; batch_size and replicas of a
    # model of the user's own, and arguments of its function.
    axes: Annotated[dict[Argument, Axis], Field(min_length=1, max_length=8)]
    arms: Texts = ()  # as on a command line; those of [bench] where none is named
    baseline: str | None = None
    dataset: Literal["auto", "mnist", "digits"] | None = None  # the spec's where it says none
    samples: Annotated[int, Field(gt=0, le=bounds.N_SAMPLES)] | None = None  # the first ones
    generations: Small = 8
    blocks: Small = 4
    device: Literal["auto", "cpu", "gpu"] = "auto"

    @model_validator(mode="after")
    def _count_cells(self) -> Sweep:
        for axis, several in self.axes.items():
            if len({(type(value), value) for value in several}) < len(several):
                received = shown(list(several))
                raise fault(f"axes.{axis}: expected each value once; received {received}", "key")
        n_cells = math.prod(map(len, self.axes.values()))
        if n_cells > MOST_CELLS:
            raise fault(f"axes: expected at most {MOST_CELLS} cells; received {n_cells}", "key")
        return self

    def cells(self) -> Iterator[Values]:
        """Yield the values of each cell; the last axis changes first."""
        for values in itertools.product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))


class Engine(Frozen):
    """What runs the cells of a sweep, by a command or a function of a Python module."""

    # {command}: harness cell FILE, {log} and {name}: a file for what it prints, a name for the job.
    command: Texts = ()
    executor: Annotated[str, Field(pattern=r"^[\w.]+:\w+$", max_length=200)] | None = None
    in_flight: Annotated[int, Field(gt=0, le=1000)] = 1  # cells that it is given at once
    options: dict[str, Option] = {}  # that the function is given

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Engine:
        if bool(self.command) == bool(self.executor):
            raise fault("expected command = [...] or executor = 'MODULE:FUNCTION', one of both")
        if self.command and not any("{command}" in part for part in self.command):
            received = shown(list(self.command))
            raise fault(f"command: expected {{command}} in it; received {received}", "key")
        return self


SBATCH = (
    *("sbatch", "--wait", "--exclusive", "--mem=0", "--requeue", "--job-name={name}"),
    *("--output={log}", "--open-mode=append", "--wrap={command}"),
)
ENGINES: Mapping[str, Engine] = {
    "local": Engine(command=("{command}",)),
    "slurm": Engine(command=SBATCH, in_flight=4),
    "ray": Engine(executor="harness.engine.ray_cells:executor", in_flight=4),
}
"""Engines that need no table of their own."""


def change_spec(spec: Any, values: Mapping[str, Option]) -> Any:
    """Return a spec with the values of a cell, but for its number of devices.

    Raises:
        ValidationError: that spec is impossible.
    """
    own = own_model(spec)
    if own:
        size = {name: value for name, value in values.items() if name == "batch_size"}
        more = {name: value for name, value in values.items() if name not in (*size, REPLICAS)}
        changes = {**size, "arguments": {**own.arguments, **more}}
        return OwnModel.model_validate(own.model_dump() | changes)
    table = spec.model_dump()
    *hidden, last = table["layers"]
    if "depth" in values:
        first = hidden[0]
        others = range(2, int(values["depth"]) + 1)
        hidden = [first, *({**first, "name": f"{first['name']}-{n}"} for n in others)]
    if "width" in values:
        hidden = [{**layer, "units": values["width"]} for layer in hidden]
    table["layers"] = (*hidden, last)
    table["batch_size"] = values.get("batch_size", table["batch_size"])
    if values.get("optimizer", spec.optimizer.name) != spec.optimizer.name:
        table["optimizer"] = {"name": values["optimizer"]}
    return type(spec).model_validate(table)


def check_sweeps(sweeps: Mapping[str, Sweep], specs: Mapping[str, Any]) -> None:
    """Return if every value of every axis can be a spec's.

    Raises:
        PydanticCustomError: one cannot, or there is no such spec or axis.
    """
    for name, sweep in sweeps.items():
        where = f"[sweeps.{name}]"
        if sweep.spec not in specs:
            raise fault(f"{where} spec: {choice(specs, sweep.spec)}")
        spec = specs[sweep.spec]
        _check_kind(where, sweep, spec)
        for axis, several in sweep.axes.items():
            for value in several:
                _check_value(f"{where} axes.{axis}", spec, axis, value)


def _check_kind(where: str, sweep: Sweep, spec: Any) -> None:
    """Raise where a key or an axis has no meaning with this kind of spec."""
    if own_model(spec):
        for key in ("dataset", "samples"):
            if getattr(sweep, key) is not None:
                hint = f"Say limit_batches in [specs.{sweep.spec}]"
                why = "has a meaning with a stack of Dense layers only"
                raise fault(f"{where} {key}: {why}. {hint}")
        return
    for axis in sweep.axes:
        if axis not in AXES:
            raise fault(f"{where} axes: {choice(AXES, axis)}")
    if len(spec.layers) < 2 and {"width", "depth"} & {*sweep.axes}:
        raise fault(f"{where} axes: expected a spec with a hidden layer; received {sweep.spec}")


def _check_value(where: str, spec: Any, axis: str, value: Option) -> None:
    """Raise where a spec cannot have a value of an axis."""
    counted = {REPLICAS: ("devices", bounds.MOST_REPLICAS)}
    if not own_model(spec):
        counted["depth"] = "hidden layers", MOST_DEPTH
    what, most = counted.get(axis, ("", 0))
    if what and (type(value) is not int or not 0 < value <= most):
        raise fault(
            f"{where}: expected a number of {what} from 1 to {most}; received {shown(value)}"
        )
    try:
        change_spec(spec, {axis: value})
    except ValidationError as error:
        raise fault(f"{where}: {expectation(error.errors()[0])}") from None
