"""What is asked of a worker, what it measured, and the record that keeps both.

History of the format (a reader of this version reads every format up to FORMAT):
1   first.
2   an epoch's teardown_s; a spec's epochs, initializer, shuffle and inputs; an arm's options;
    first_predictions. Since 0.5 numbers and texts have bounds, which every record written before
    keeps.
3   environment_sha256; a host's identity, boot and quota; peak_rss_bytes and load_1m may be null:
    the system does not say.
"""

from __future__ import annotations

import statistics
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from harness.records.arm import ArmId
from harness.spec.config import Device, Frozen, Spec

FORMAT = 3
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Share = Annotated[float, Field(ge=0, le=1)]
Loss = Annotated[float, Field(ge=-1e39, le=1e39)]  # float32 goes no further
Word = Annotated[str, Field(max_length=1000)]
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Value = Word | Whole | float | bool | None
Threads = Annotated[int, Field(ge=0, le=2**20)] | Word
Asked = dict[str, Word | Whole | float | bool]
"""An arm's options, as `harness.spec.config` has them."""
LONGEST = 10_000  # characters of a reason or a log: what comes after them is cut off


def _cut(text: object) -> object:
    """Return text that can be written as JSON.

    Nothing measured is lost for what an error's message holds.
    """
    return text[:LONGEST].encode("utf-8", "replace").decode() if isinstance(text, str) else text


def _measurable(seconds: float) -> float:
    if 0 < seconds < 1e-9:
        raise PydanticCustomError(
            "sentence", "expected 0, or what a clock can tell: a nanosecond and more"
        )
    return seconds


Load = Annotated[float, Field(ge=0, le=1e9)] | None
"""A load average; None where the system does not say."""
Took = Annotated[Seconds, AfterValidator(_measurable)]
"""Seconds that are divided by, and whose logarithm is taken; 0 where a clock stood still."""
Said = Annotated[str, Field(max_length=LONGEST), BeforeValidator(_cut)]
"""Text that a worker, a library or a system wrote."""


class Kept(Frozen):
    """A part of a record: its texts are names, unless a field says otherwise."""

    model_config = ConfigDict(str_max_length=1000)


class Data(Kept):
    """Which dataset, by name and by content."""

    name: str
    sha256: Sha256
    n_train: Count
    n_inputs: Count


class OfAnArm(Kept):
    """What of a record says which arm it is of."""

    backend: str
    framework: str = ""  # that of the backend's name, in records before 0.6
    implementation: str
    module: str
    options: Asked = {}

    @property
    def arm(self) -> ArmId:
        """The arm's identity."""
        return ArmId.of(
            self.backend, self.framework, self.implementation, self.module, self.options
        )


class Request(OfAnArm):
    """One run: everything that decides its numbers, and no path."""

    spec_name: str
    spec: Spec
    seed: Count
    epochs: Count
    device: Device
    threads: Threads
    time_limit_s: Seconds
    data: Data
    weights_sha256: Sha256 | None  # None: the framework draws its own
    order_sha256: Sha256 | None


class Host(Kept):
    """The machine, as far as a time depends on it."""

    # One line that names processor, cores, memory, accelerators and system: equal lines may be
    # compared.
    machine: str
    n_cores: Count  # this process may use
    memory_bytes: Count
    accelerators: tuple[str, ...]
    driver: str | None  # of the accelerators
    identity: Sha256 | None = None  # of the machine's own id; None where it has none
    boot: Sha256 | None = None  # of the id that the system gave itself when it was started
    quota_cores: Annotated[float, Field(gt=0, le=1e6)] | None = None  # that a container may take
    load_1m: Load  # when the run began, the run before it counted in; None: the system does not say

    def same_as(self, other: Host) -> bool | None:
        """Say whether this is the same machine; None where only descriptions can be compared."""
        if self.identity and other.identity:
            return self.identity == other.identity
        return True if self.boot and self.boot == other.boot else None


class Phases(Kept):
    """Seconds of a run outside its epochs."""

    spawn_s: Seconds  # from the parent's call to the worker's first line
    import_s: Seconds  # Keras and its backend
    data_s: Seconds  # load and check dataset, weights and order
    build_s: Seconds  # build, compile() and set the weights
    evaluate_s: Seconds  # predict the test images; compilation inside


class Epoch(Kept):
    """One epoch as the arm saw it.

    Loss and accuracy are means over the epoch's batches, each before its update.
    """

    # Order, scale and place the samples, make the input pipeline; before the clock of `seconds`
    # starts.
    feed_s: Seconds
    seconds: Took
    teardown_s: Seconds = (
        0.0  # those of `seconds` after the last update: `fit` takes its input pipeline down
    )
    loss: Loss
    accuracy: Share
    n_compiles: Count


class Measurement(Kept):
    """What a worker writes: only what it saw itself."""

    phases: Phases
    epochs: tuple[Epoch, ...]
    n_parameters: Count
    n_updates: Count  # the optimizer's own count
    n_compiles: Count  # from build to the end, prediction included
    test_accuracy: Share | None  # None where training diverged
    test_loss: Loss | None
    first_predictions: tuple[Count, ...] = ()  # the classes predicted for the first ten test images
    data_sha256: Sha256
    weights_sha256: Sha256  # read back from the built model, before its first update
    order_sha256: Sha256
    final_weights_sha256: Sha256
    device: str  # where the weights lay after training
    peak_rss_bytes: Count | None  # None where the system does not say
    settings: dict[str, Value]
    versions: dict[str, str]


class Record(Kept):
    """One run, finished or failed; never changed after it is written."""

    format: Literal[1, 2, 3] = 3
    harness: str  # version
    run_id: str
    request: Request
    host: Host
    started_at: str  # UTC, ISO 8601
    total_s: Seconds  # from the parent's call until the worker was gone
    status: Literal["ok", "diverged", "failed"]
    reason: Said = ""
    log_tail: Said = ""
    measured: Measurement | None = None
    environment_sha256: Sha256 | None = None  # of all that could be imported

    @property
    def arm(self) -> ArmId:
        """The identity of the arm that ran."""
        return self.request.arm

    @property
    def steady_s(self) -> tuple[float, ...]:
        """Seconds of each epoch after the first one, which compiles."""
        return tuple(epoch.seconds for epoch in self.measured.epochs[1:]) if self.measured else ()

    @property
    def device(self) -> str:
        """Where the weights lay; what was asked for, where no run got that far."""
        return self.measured.device if self.measured else self.request.device


_COLUMNS = """
    run_id status reason spec backend implementation options optimizer loss_form inputs dataset
    device seed epochs n_parameters n_updates test_accuracy test_loss train_accuracy epoch_s
    first_epoch_s spawn_s import_s data_s build_s feed_s teardown_s evaluate_s total_s samples_per_s
    peak_rss_bytes n_compiles n_compiles_steady jit_requested jit_effective
    steps_per_execution_requested steps_per_execution inductor_cache eager precision tf32 onednn
    threads affinity threads_requested weights_sha256 order_sha256 data_sha256 final_weights_sha256
    environment_sha256 keras framework_version numpy python machine parity load_1m harness
    started_at
"""
COLUMNS = tuple(_COLUMNS.split())


def row(record: Record, parity: str = "not checked") -> dict[str, Value]:
    """Return the record as one row of results.csv.

    results/README.md says what each column means.
    """
    request = record.request
    asked: dict[str, Value] = {
        "run_id": record.run_id,
        "status": record.status,
        "reason": record.reason,
        "spec": request.spec_name,
        "backend": request.backend,
        "implementation": request.implementation,
        "options": ", ".join(f"{name}={value}" for name, value in sorted(request.options.items())),
        "inputs": request.spec.inputs,
        "optimizer": request.spec.optimizer.name,
        "loss_form": request.spec.loss_form,
        "dataset": request.data.name,
        "device": record.device,
        "seed": request.seed,
        "epochs": request.epochs,
        "threads_requested": request.threads,
        "weights_sha256": request.weights_sha256,
        "order_sha256": request.order_sha256,
        "data_sha256": request.data.sha256,
        "environment_sha256": record.environment_sha256,
        "total_s": record.total_s,
        "machine": record.host.machine,
        "parity": parity,
        "load_1m": record.host.load_1m,
        "harness": record.harness,
        "started_at": record.started_at,
    }
    known = asked | (
        _measured(record.measured, record.steady_s, request.data.n_train) if record.measured else {}
    )
    return {name: known.get(name) for name in COLUMNS}


def _measured(measured: Measurement, steady_s: tuple[float, ...], n_train: int) -> dict[str, Value]:
    """Return what only a measured run can say."""
    plain: dict[str, Value] = measured.model_dump(
        exclude={"phases", "epochs", "settings", "versions", "first_predictions"}
    )
    epochs, epoch_s = measured.epochs, statistics.median(steady_s) if steady_s else None
    derived: dict[str, Value] = {
        "train_accuracy": epochs[-1].accuracy if epochs else None,
        "first_epoch_s": epochs[0].seconds if epochs else None,
        "epoch_s": epoch_s,
        "teardown_s": statistics.median(epoch.teardown_s for epoch in epochs[1:])
        if steady_s
        else None,
        "feed_s": sum(epoch.feed_s for epoch in epochs),
        "samples_per_s": n_train / epoch_s if epoch_s else None,
        "n_compiles_steady": sum(epoch.n_compiles for epoch in epochs[1:]),
    }
    return plain | derived | measured.phases.model_dump() | measured.settings | measured.versions
