"""A whole, valid record for tests; what a test is about is named, everything else stands still."""

from __future__ import annotations

from typing import Any

from harness.job.answers import Epoch, Host, Measurement, Phases
from harness.job.request import Data, Request
from harness.records.record import Record
from harness.spec.config import Dense, RMSprop, Spec

SPEC = Spec(
    layers=(
        Dense(name="hidden", units=512, activation="relu"),
        Dense(name="output", units=10, activation="softmax"),
    ),
    optimizer=RMSprop(name="rmsprop"),
    loss_form="probs",
)
SETTINGS = {
    "jit_requested": "auto",
    "jit_effective": True,
    "eager": False,
    "precision": "float32",
    "tf32": False,
    "onednn": None,
    "threads": None,
    "affinity": 2,
}
DEFAULTS: dict[str, Any] = {
    "harness": "0.1.0",
    "driver": None,
    "run_id": None,
    "started_at": "2026-01-02T03:04:05.678+00:00",
    "total_s": 20.5,
    "status": "ok",
    "reason": "",
    "log_tail": "",
    "spec_name": "mnist-mlp",
    "spec": SPEC,
    "backend": "jax",
    "implementation": "keras",
    "module": "keras_fit",
    "options": {},
    "seed": 0,
    "epochs": None,
    "asked_device": "auto",
    "threads": "auto",
    "replicas": 1,
    "time_limit_s": 1800.0,
    "dataset": "mnist",
    "n_train": 60_000,
    "n_inputs": 784,
    "data_sha256": "d" * 64,
    "weights_sha256": "a" * 64,
    "order_sha256": "b" * 64,
    "final_weights_sha256": "f" * 64,
    "machine": "A processor, 2 cores, 8 GiB, Linux x86_64",
    "n_cores": 2,
    "memory_bytes": 8 << 30,
    "accelerators": (),
    "identity": None,
    "boot": None,
    "quota_cores": None,
    "load_1m": 0.1,
    "epoch_s": (3.0, 1.0, 1.0),
    "compiles": (2, 0, 0),
    "teardown_s": (),
    "test_accuracy": 0.98,
    "test_loss": 0.07,
    "quality": None,
    "device": "cpu",
    "peak_rss_bytes": 600 << 20,
    "settings": SETTINGS,
    "keras": "3.15.1",
    "framework_version": "0.10.2",
    "environment_sha256": None,
    "measured": None,
}


def record(**changes: Any) -> Record:
    """Return a record of a run that went well, with these changes.

    The names are those of the record's own fields, wherever they lie in it, and besides: `epoch_s`,
    `compiles` and `teardown_s`, a value for each epoch run (0 where none is given); `asked_device`,
    the request's, where `device` is the measured one; `dataset`, the name of the data; `keras`,
    None where there is none, and `framework_version`. A digest changes in the request and in what
    was measured alike, but a spec of native inputs asks for none. A record that failed has no
    measurement, one that diverged has no accuracy.
    """
    unknown = changes.keys() - DEFAULTS.keys()
    if unknown:
        raise TypeError(f"record(): no such field: {', '.join(sorted(unknown))}")
    values = DEFAULTS | changes
    stamp = "".join(mark for mark in values["started_at"][:19] if mark not in "-:")
    default_id = f"{stamp}Z-{values['backend']}-{values['implementation']}-s{values['seed']}-abc123"
    return Record(
        harness=values["harness"],
        run_id=values["run_id"] or default_id,
        request=_request(values),
        host=Host(**{name: values[name] for name in Host.__dataclass_fields__}),
        measured=values["measured"]
        or (_measurement(values) if values["status"] != "failed" else None),
        **{
            name: values[name]
            for name in (
                "started_at",
                "total_s",
                "status",
                "reason",
                "log_tail",
                "environment_sha256",
            )
        },
    )


def _request(values: dict[str, Any]) -> Request:
    plain = {
        name: values[name]
        for name in Request.model_fields
        if name in values and name not in ("device", "epochs")
    }
    data = Data(
        name=values["dataset"],
        sha256=values["data_sha256"],
        n_train=values["n_train"],
        n_inputs=values["n_inputs"],
    )
    if values["spec"].inputs == "native":
        plain |= {"weights_sha256": None, "order_sha256": None}
    return Request(
        **plain,
        device=values["asked_device"],
        epochs=values["epochs"] or len(values["epoch_s"]),
        data=data,
    )


def _measurement(values: dict[str, Any]) -> Measurement:
    diverged = values["status"] == "diverged"
    n_epochs = len(values["epoch_s"])
    compiles, teardown_s = (
        (*values[name], *[0] * n_epochs)[:n_epochs] for name in ("compiles", "teardown_s")
    )
    epochs = tuple(
        Epoch(
            feed_s=0.2,
            seconds=seconds,
            teardown_s=down_s,
            loss=0.25 / number,
            accuracy=1 - 0.1 / number,
            n_compiles=n_compiles,
        )
        for number, (seconds, down_s, n_compiles) in enumerate(
            zip(values["epoch_s"], teardown_s, compiles, strict=True), start=1
        )
    )
    versions = {
        "keras": values["keras"],
        "framework_version": values["framework_version"],
        "numpy": "2.4.6",
        "python": "3.11.7",
    }
    same = (
        "data_sha256",
        "weights_sha256",
        "order_sha256",
        "final_weights_sha256",
        "device",
        "peak_rss_bytes",
        "settings",
        "quality",
    )
    return Measurement(
        phases=Phases(spawn_s=0.1, import_s=2.5, data_s=0.3, build_s=0.4, evaluate_s=0.5),
        epochs=epochs,
        n_parameters=407_050,
        n_updates=469 * len(epochs),
        n_compiles=sum(compiles),
        test_accuracy=None if diverged else values["test_accuracy"],
        test_loss=None if diverged else values["test_loss"],
        versions={name: version for name, version in versions.items() if version is not None},
        **{name: values[name] for name in same},
    )
