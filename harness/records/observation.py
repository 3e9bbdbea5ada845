"""What observations share: words and bounds, what was asked, where it was seen, and by whom.

An observation never holds a verdict: that is computed from it, and can be computed again.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from harness.records.arm import ArmId
from harness.spec.config import Device, Frozen, Spec

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


class Question(Kept):
    """What is trained, on which data, and with what: the part of a request that all arms share."""

    spec_name: str
    spec: Spec
    data: Data
    device: Device  # as asked for
    threads: Threads


class Observation(Kept):
    """One run, session or check: who saw it, when and where; never changed after it is written."""

    harness: str  # version
    run_id: str
    started_at: str  # UTC, ISO 8601
    host: Host


class Seen(Kept):
    """What a process showed of its environment."""

    device: str = ""  # where its weights lay
    versions: dict[str, str] = {}
    environment_sha256: Sha256 | None = None  # of all that could be imported; None: nobody looked


class Ended(Kept):
    """Why a process ended early, where it did."""

    reason: Said = ""
    log_tail: Said = ""


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
