"""What is asked of a worker, what it measured, and the record that keeps both.

History of the format (a reader of this version reads them all):
1   first.
2   an epoch's teardown_s; a spec's epochs, initializer, shuffle and inputs; an arm's options;
    first_predictions. Since 0.5 numbers and texts have bounds, which every record written before
    keeps.
3   environment_sha256; a host's identity, boot and quota; peak_rss_bytes and load_1m may be null:
    the system does not say.
4   a line of a file, see `harness.records.store`, where formats 1 to 3 were a file each.
"""

from __future__ import annotations

from typing import Literal

from harness.records.arm import ArmId
from harness.records.observation import (
    Count,
    Ended,
    Epoch,
    Kept,
    Loss,
    Observation,
    OfAnArm,
    Question,
    Seconds,
    Sha256,
    Share,
    Value,
)


class Request(Question, OfAnArm):
    """One run: everything that decides its numbers, and no path."""

    seed: Count
    epochs: Count
    time_limit_s: Seconds
    weights_sha256: Sha256 | None  # None: the framework draws its own
    order_sha256: Sha256 | None


class Phases(Kept):
    """Seconds of a run outside its epochs."""

    spawn_s: Seconds  # from the parent's call to the worker's first line
    import_s: Seconds  # Keras and its backend
    data_s: Seconds  # load and check dataset, weights and order
    build_s: Seconds  # build, compile() and set the weights
    evaluate_s: Seconds  # predict the test images; compilation inside


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


class Record(Observation, Ended):
    """One run, finished or failed."""

    format: Literal[1, 2, 3, 4] = 4
    request: Request
    total_s: Seconds  # from the parent's call until the worker was gone
    status: Literal["ok", "diverged", "failed"]
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
