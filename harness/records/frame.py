"""results.csv: a view of the runs, a row each, made on demand and at the end of a command.

It can always be made again, and is replaced whole, under a lock.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import StoreError
from harness.errors.safe import as_csv
from harness.job.answers import Measurement
from harness.job.kinds import Value
from harness.records import files, store
from harness.records.record import Record
from harness.records.store import Loaded
from harness.records.verdicts import verdict_on, verdicts_of
from harness.spec.config import Spec
from harness.spec.files import write
from harness.spec.model import own_model

PATIENCE_S = 5.0  # with another harness that writes results.csv
_COLUMNS = """
    run_id status reason spec backend implementation options optimizer loss_form inputs dataset
    device replicas virtual_devices seed epochs
    n_parameters n_updates test_accuracy test_loss train_accuracy quality
    quality_of trained_by refused epoch_s
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
        **_of_stack(request.spec),
        "dataset": request.data.name,
        "device": record.device,
        "replicas": request.replicas,
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


def _of_stack(spec: Spec) -> dict[str, Value]:
    """Return what only a stack of Dense layers says before it is built."""
    if own_model(spec):
        return {}
    return {"optimizer": spec.optimizer.name, "loss_form": spec.loss_form}


def _measured(measured: Measurement, steady_s: tuple[float, ...], n_train: int) -> dict[str, Value]:
    """Return what only a measured run can say."""
    nested = ("phases", "epochs", "settings", "versions", "first_predictions", "quality")
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
    derived |= _quality(measured)
    return plain | derived | vars(measured.phases) | measured.settings | measured.versions


def _quality(measured: Measurement) -> dict[str, Value]:
    """Return what a user's own model came to, as text, and on which data."""
    if measured.quality is None:
        return {}
    values = measured.quality.values.items()
    text = ", ".join(f"{name}={value:.6g}" for name, value in values)
    return {"quality": text, "quality_of": measured.quality.of}


def project(results: Path) -> Loaded:
    """Rebuild results.csv from the records, if it is not as they say, and return them."""
    if not (results / "runs").is_dir():
        return Loaded((), ())
    try:
        # Of two harnesses the later one has loaded the records of both.
        with FileLock(results / ".lock", timeout=PATIENCE_S):
            loaded = store.load_all(results)
            verdicts = verdicts_of(loaded.checks)
            content = as_csv(
                row(record, verdict_on(record, verdicts)) for record in loaded.records
            ).encode()
            target = results / "results.csv"
            if files.read(target, len(content)) != content:
                write(target, content)
    except Timeout:
        said = f"another harness has held {results / '.lock'} for {PATIENCE_S:g} s"
        raise StoreError(
            f"{results}: results.csv is as it was: {said}. When it is done: harness compare"
        ) from None
    except OSError as error:
        raise StoreError(
            f"{results}: results.csv cannot be written ({error.strerror}). "
            "Mend the folder, then: harness compare"
        ) from None
    return loaded
