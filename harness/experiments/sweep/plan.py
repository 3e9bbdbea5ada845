"""[sweeps.NAME] -> its cells, each with the spec of its session and an id; a cell as a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.engine.arms import declared_arms, select_arms
from harness.engine.replicas import batch_sizes, check_arms, check_batches
from harness.errors import ConfigError, choice
from harness.errors.safe import short
from harness.job.arm import ArmId
from harness.records import files
from harness.spec.bounds import N_SAMPLES
from harness.spec.config import AnySpec, Config
from harness.spec.faults import sentences
from harness.spec.frozen import Frozen
from harness.spec.model import own_model
from harness.spec.project import choose_spec
from harness.spec.sweeps import REPLICAS, Sweep, Values, change_spec

FOLDER = "sweeps"  # of a results folder: one for each sweep, with results of its own


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of the axes' values, and the spec that its session trains."""

    id: str
    values: Values
    spec: AnySpec
    replicas: int = 1  # devices, each with a part of each batch

    @property
    def name(self) -> str:
        """Its values in one line: "width=128, batch_size=32"."""
        return name_of(self.values)


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """A sweep with its cells, in the order of the axes."""

    name: str
    sweep: Sweep
    config: Config  # with the arms that the spec's kind has
    arms: tuple[ArmId, ...]
    cells: tuple[Cell, ...]
    screens: bool = False  # its sessions are short ones, which never count

    def config_of(self, cell: Cell) -> Config:
        """Return the configuration whose spec is the cell's, and whose sessions have its size."""
        size = {"generations": self.sweep.generations, "blocks": self.sweep.blocks}
        bench = self.config.bench.model_copy(update=size)
        specs = {**self.config.specs, self.sweep.spec: cell.spec}
        protocol = self.config.protocol.model_copy(update={"replicas": cell.replicas})
        changes = {"specs": specs, "bench": bench, "protocol": protocol}
        return self.config.model_copy(update=changes)


class CellFile(Frozen):
    """What `harness cell FILE` reads: which cell it is, and where its session is kept."""

    config: str  # backends.toml
    results: str
    sweep: str
    id: str
    values: Values
    generations: int | None = None  # instead of the sweep's
    parity: bool = True  # whether arms without a verdict are checked first
    python: tuple[str, ...] = ()  # as --python has it


def name_of(values: Values) -> str:
    """Return a cell's values in one line."""
    return short(", ".join(f"{axis}={value}" for axis, value in values.items()))


def plan_sweep(
    root: Path,
    config: Config,
    name: str,
    generations: int | None = None,
    only: Iterable[Values] | None = None,
) -> SweepPlan:
    """Return a sweep's plan; nothing is read of the results.

    Args:
        root: the project's folder.
        config: backends.toml.
        name: of the sweep.
        generations: of each session, instead of the sweep's, for screening.
        only: the values of the cells that are wanted; all where none are named.

    Raises:
        ConfigError: there is no such sweep or arm, or a cell's spec is impossible, or its devices.
    """
    if not config.sweeps:
        hint = "Write one, with spec and axes"
        raise ConfigError(f"backends.toml: expected a table [sweeps.NAME]; received none. {hint}")
    if name not in config.sweeps:
        raise ConfigError(f"sweep: {choice(config.sweeps, name)}")
    size = {"generations": generations} if generations else {}
    sweep = config.sweeps[name].model_copy(update=size)
    several = list(sweep.cells() if only is None else only)
    for values in several if only else ():
        _check_cell(sweep, name, values)
    base = config.specs[sweep.spec]
    first = _change(base, name, several[0])  # an argument that the function lacks is said here
    whole = config.model_copy(update={"specs": {**config.specs, sweep.spec: first}})
    whole, _ = choose_spec(root, whole, sweep.spec)
    arms = select_arms(declared_arms(whole), sweep.arms, default=whole.bench.arms)
    head = _head(sweep, whole, arms)
    read = whole.specs[sweep.spec] if own_model(base) else base
    specs = ((_change(read, name, each), each) for each in several)
    cells = tuple(_cell(head, *given, whole.protocol.replicas) for given in specs)
    screens = generations not in (None, config.sweeps[name].generations)
    return _with_devices(SweepPlan(name, sweep, whole, arms, cells, screens))


def _with_devices(plan: SweepPlan) -> SweepPlan:
    """Return the plan; raise ConfigError where the arms or a batch do not allow a cell's devices.

    How many samples a model of the user's own has is not known yet: its short batch is looked at
    when the cell begins.
    """
    where, n_samples = f"[sweeps.{plan.name}] {REPLICAS}", plan.sweep.samples or N_SAMPLES
    for n in sorted({cell.replicas for cell in plan.cells}):
        check_arms(plan.arms, n, plan.config.folder, where)
    for cell in plan.cells:
        size = cell.spec.batch_size
        if size and cell.replicas > 1:
            n = size if own_model(cell.spec) else n_samples
            check_batches(cell.replicas, batch_sizes(n, size), f"{where}, {cell.name}")
    return plan


def _check_cell(sweep: Sweep, name: str, values: Values) -> None:
    """Raise ConfigError where a sweep has no cell of these values."""
    if {*values} != {*sweep.axes} or any(values[axis] not in sweep.axes[axis] for axis in values):
        raise ConfigError(f"[sweeps.{name}]: it has no cell {name_of(values)}")


def _change(spec: AnySpec, name: str, values: Values) -> AnySpec:
    try:
        changed: AnySpec = change_spec(spec, values)
    except ValidationError as error:
        said = sentences(error, type(spec))[0]
        raise ConfigError(f"[sweeps.{name}] {name_of(values)}: {said}") from None
    return changed


def _head(sweep: Sweep, config: Config, arms: Iterable[ArmId]) -> str:
    """Return what the cells of a sweep share, as text: with a cell's spec it makes the id."""
    size = ("baseline", "generations", "blocks", "dataset", "samples", "device")
    asked = {key: getattr(sweep, key) for key in size}
    more = {"arms": list(map(str, arms)), "threads": config.protocol.threads}
    return json.dumps(asked | more, sort_keys=True)


def _cell(head: str, spec: AnySpec, values: Values, usual: int) -> Cell:
    """Return a cell, on the usual number of devices where its values say none."""
    n_replicas = int(values.get(REPLICAS, usual))
    devices = f"{n_replicas} devices" if n_replicas > 1 else ""  # one is what a cell always had
    text = head + spec.model_dump_json() + devices
    return Cell(hashlib.sha256(text.encode()).hexdigest()[:16], values, spec, n_replicas)


def read_cell(file: Path) -> CellFile:
    """Return what a cell's file asks for.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    content = files.read(file)
    if isinstance(content, str):
        raise ConfigError(f"{file}: {content}")
    try:
        return CellFile.model_validate_json(content)
    except ValidationError as error:
        raise ConfigError(f"{file}: not a cell: {sentences(error, CellFile)[0]}") from None
