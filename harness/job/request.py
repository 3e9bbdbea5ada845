"""What is asked of a training: an arm, what it trains, on which data, and with what.

A worker reads it as attributes, and has no pydantic: it never imports this.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from harness.job.arm import ArmId
from harness.job.kinds import Count, Seconds, Sha256, Whole, Word
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
        names = self.backend, self.framework, self.implementation, self.module
        return ArmId.of(*names, self.options) if self.options else _without_options(*names)


@lru_cache(maxsize=1000)
def _without_options(backend: str, framework: str, arm: str, module: str) -> ArmId:
    """Return an identity that thousands of records share."""
    return ArmId.of(backend, framework, arm, module, {})


class Question(Kept):
    """What is trained, on which data, and with what: the part of a request that all arms share."""

    spec_name: str
    spec: AnySpec
    data: Data
    device: Device  # as asked for
    threads: Threads
    replicas: Replicas = 1  # devices that have a part of each batch each


class Request(Question, OfAnArm):
    """One run: everything that decides its numbers, and no path."""

    seed: Count
    epochs: Count
    time_limit_s: Seconds
    weights_sha256: Sha256 | None  # None: the framework draws its own
    order_sha256: Sha256 | None
