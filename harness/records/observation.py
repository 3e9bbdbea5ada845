"""What observations share: words and bounds, what was asked, where it was seen, and by whom.

An observation never holds a verdict: that is computed from it, and can be computed again.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

import harness
from harness.job.answers import Host
from harness.job.arm import ArmId
from harness.job.kinds import Count, Said, Sha256, Whole, Word
from harness.spec.bounds import Replicas
from harness.spec.config import AnySpec, Device
from harness.spec.frozen import Frozen

Threads = Annotated[int, Field(ge=0, le=2**20)] | Word
Asked = dict[str, Word | Whole | float | bool]
"""An arm's options, as `harness.spec.config` has them."""


class Kept(Frozen):
    """A part of a record: its texts are names, unless a field says otherwise."""

    model_config = ConfigDict(str_max_length=1000)

    @property
    def views(self) -> dict[str, Any]:
        """What the store leaves out of a line: the format, which the line has, and verdicts."""
        return {"format": True}


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


class Question(Kept):
    """What is trained, on which data, and with what: the part of a request that all arms share."""

    spec_name: str
    spec: AnySpec
    data: Data
    device: Device  # as asked for
    threads: Threads
    replicas: Replicas = 1  # devices that have a part of each batch each


class Observation(Kept):
    """One run, session or check: who saw it, when and where; never changed after it is written."""

    harness: str  # version
    run_id: str
    started_at: str  # UTC, ISO 8601
    host: Host


def identify(began: datetime, *words: str) -> dict[str, Any]:
    """Return the fields of an `Observation` but its host, with an id made of when it began."""
    stamp = f"{began:%Y%m%dT%H%M%SZ}"
    return {
        "harness": harness.__version__,
        "run_id": "-".join([stamp, *words, secrets.token_hex(3)]),
        "started_at": began.isoformat(timespec="milliseconds"),
    }


class Seen(Kept):
    """What a process showed of its environment."""

    device: str = ""  # where its weights lay
    versions: dict[str, str] = {}
    environment_sha256: Sha256 | None = None  # of all that could be imported; None: nobody looked


class Ended(Kept):
    """Why a process ended early, where it did."""

    reason: Said = ""
    log_tail: Said = ""
