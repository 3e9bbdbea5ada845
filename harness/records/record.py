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

from pydantic import ConfigDict, Field

from harness.job.answers import Host, Measurement
from harness.job.kinds import Count, Said, Seconds, Sha256, Value, Whole, Word
from harness.records.arm import ArmId
from harness.spec.config import Device, Frozen, Spec

FORMAT = 3
Threads = Annotated[int, Field(ge=0, le=2**20)] | Word
Asked = dict[str, Word | Whole | float | bool]
"""An arm's options, as `harness.spec.config` has them."""


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
    nested = ("phases", "epochs", "settings", "versions", "first_predictions")
    plain: dict[str, Value] = {k: v for k, v in vars(measured).items() if k not in nested}
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
    return plain | derived | vars(measured.phases) | measured.settings | measured.versions
