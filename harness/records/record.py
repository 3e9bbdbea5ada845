"""What is asked of a worker, what it measured, and the record that keeps both.

History of the format (a reader of this version reads them all):
1   first.
2   an epoch's teardown_s; a spec's epochs, initializer, shuffle and inputs; an arm's options;
    first_predictions. Since 0.5 numbers and texts have bounds, which every record written before
    keeps.
3   environment_sha256; a host's identity, boot and quota; peak_rss_bytes and load_1m may be null:
    the system does not say.
4   a line of a file, see `harness.records.store`, where formats 1 to 3 were a file each.
5   a spec may be a model of the user's own, whose epochs have no accuracy, and which has a quality.
6   a request's replicas: one device each before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from harness.job.answers import Epoch, Measurement
from harness.job.arm import ArmId
from harness.job.kinds import Seconds, Sha256
from harness.job.request import Request
from harness.records.observation import Ended, Observation


class Record(Observation, Ended):
    """One run, finished or failed."""

    format: Literal[1, 2, 3, 4, 5, 6] = 6
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
    def steady(self) -> tuple[Epoch, ...]:
        """The epochs after the first one, which compiles."""
        return tuple(self.measured.epochs[1:]) if self.measured else ()

    @property
    def steady_s(self) -> tuple[float, ...]:
        """Seconds of each of these epochs."""
        return tuple([epoch.seconds for epoch in self.steady])

    @property
    def device(self) -> str:
        """Where the weights lay; what was asked for, where no run got that far."""
        return self.measured.device if self.measured else self.request.device


def first_predictions(records: Iterable[Record], data_sha256: str) -> dict[str, tuple[int, ...]]:
    """Return what each arm took the first ten test images for.

    That is in its newest finished run on this very dataset.

    Args:
        records: in order of their start, as `harness.records.store.load_all` gives them. One of an
            older harness that kept no predictions is passed over.
        data_sha256: the dataset's, by content.
    """
    return {
        record.arm.name: record.measured.first_predictions
        for record in records
        if record.status == "ok" and record.request.data.sha256 == data_sha256
        if record.measured and record.measured.first_predictions
    }
