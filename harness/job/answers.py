"""What a worker answers: one frozen dataclass for each kind of job, or a `Refusal`.

Records keep parts of these as they are: what was seen is defined here, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from harness.job.kinds import (
    Count,
    Limits,
    Load,
    Loss,
    Number,
    Part,
    Said,
    Seconds,
    Sha256,
    Share,
    Speed,
    Took,
    Value,
    Word,
)
from harness.job.own_model import Quality


@dataclass(frozen=True, kw_only=True)
class Refusal(Part):
    """Why there is no answer: the worker's own sentence, or what became of its process."""

    reason: Said
    log_tail: Said = ""
    of_user: bool = False  # what the user named can be compared on no backend


@dataclass(frozen=True, kw_only=True)
class Phase(Part):
    """What a worker does next."""

    phase: Word


@dataclass(frozen=True, kw_only=True)
class EpochEnd(Part):
    """An epoch that is over, as it is shown."""

    epoch: Count  # from 1
    epochs: Count
    loss: Loss
    accuracy: Share | None = None  # None of a user's own model
    seconds: Seconds
    feed_s: Seconds
    teardown_s: Seconds = 0.0


Event = Phase | EpochEnd
"""What a worker says at a boundary."""


@dataclass(frozen=True, kw_only=True)
class Host(Part):
    """The machine as the worker saw it, as far as a time depends on it."""

    # One line that names processor, cores, memory, accelerators and system: equal lines may be
    # compared.
    machine: Word
    n_cores: Count  # this process may use
    memory_bytes: Count
    accelerators: tuple[Word, ...]
    driver: Word | None  # of the accelerators
    identity: Sha256 | None = None  # of the machine's own id; None where it has none
    boot: Sha256 | None = None  # of the id that the system gave itself when it was started
    quota_cores: Annotated[float, Limits(gt=0, le=1e6)] | None = None  # that a container may take
    load_1m: Load  # when the run began, the run before it counted in; None: the system does not say

    def same_as(self, other: Host) -> bool | None:
        """Say whether this is the same machine; None where only descriptions can be compared."""
        if self.identity and other.identity:
            return self.identity == other.identity
        return True if self.boot and self.boot == other.boot else None


@dataclass(frozen=True, kw_only=True)
class Phases(Part):
    """Seconds of a run outside its epochs."""

    spawn_s: Seconds  # from the parent's call to the worker's first line
    import_s: Seconds  # Keras and its backend
    data_s: Seconds  # load and check dataset, weights and order
    build_s: Seconds  # build, compile() and set the weights
    evaluate_s: Seconds  # predict the test images; compilation inside


@dataclass(frozen=True, kw_only=True)
class Epoch(Part):
    """One epoch as the arm saw it.

    Loss and accuracy are means over the epoch's batches, each before its update.
    """

    # Order, scale and place the samples, make the input pipeline; before the clock of `seconds`
    # starts.
    feed_s: Seconds
    seconds: Took
    # Those of `seconds` after the last update: `fit` takes its input pipeline down.
    teardown_s: Seconds = 0.0
    loss: Loss
    accuracy: Share | None = None  # None of a user's own model
    n_compiles: Count


@dataclass(frozen=True, kw_only=True)
class Measurement(Part):
    """A run as its worker saw it."""

    phases: Phases
    epochs: tuple[Epoch, ...]
    n_parameters: Count
    n_updates: Count  # the optimizer's own count
    n_compiles: Count  # from build to the end, prediction included
    test_accuracy: Share | None  # None where training diverged
    test_loss: Loss | None
    first_predictions: tuple[Count, ...] = ()  # the classes predicted for the first ten test images
    quality: Quality | None = None  # of a user's own model
    data_sha256: Sha256
    weights_sha256: Sha256  # read back from the built model, before its first update
    order_sha256: Sha256
    final_weights_sha256: Sha256
    device: Word  # where the weights lay after training
    peak_rss_bytes: Count | None  # None where the system does not say
    settings: dict[Word, Value]
    versions: dict[Word, Word]


@dataclass(frozen=True, kw_only=True)
class Measured(Part):
    """A run that came to its end, or diverged."""

    diverged: Said  # why, or ""
    measurement: Measurement


@dataclass(frozen=True, kw_only=True)
class Started(Part):
    """The start of a live worker, to the end of its first epoch."""

    spawn_s: Seconds
    import_s: Seconds
    data_s: Seconds
    build_s: Seconds
    feed_s: Seconds  # of the first epoch
    first_epoch_s: Seconds  # compiling inside
    n_compiles: Count
    n_parameters: Count
    device: Word
    settings: dict[Word, Value]
    versions: dict[Word, Word]
    data_sha256: Sha256
    weights_sha256: Sha256
    order_sha256: Sha256
    has_children: bool
    host: Host


@dataclass(frozen=True, kw_only=True)
class Turned(Epoch):
    """A live worker's turn: an epoch, and what its process spent on it."""

    user_s: Seconds  # CPU seconds of the process itself
    system_s: Seconds
    children_s: Seconds = 0.0  # of CPU, of those of its children that ended
    n_involuntary: Count  # switches: the scheduler gave its core to another
    has_children: bool = True


@dataclass(frozen=True, kw_only=True)
class Evaluated(Part):
    """What a live worker's model came to, and its memory."""

    test_accuracy: Share | None = None  # None of a user's own model
    test_loss: Loss | None = None
    quality: Quality | None = None
    evaluate_s: Seconds = 0.0
    n_epochs: Count  # trained by then
    memory_bytes: dict[Word, Count]  # by label: "peak RSS", "allocator peak"
    final_weights_sha256: Sha256 | None = None


@dataclass(frozen=True, kw_only=True)
class Rates(Part):
    """What the process that trained can do at most, measured in it after its last turn."""

    gemm_flops_per_s: Speed  # over the products of one step, on its shapes
    bandwidth_bytes_per_s: Speed
    dispatch_s: Seconds  # the smallest call that the framework can make
    n_dispatches: Count  # of an epoch, at the least, in the way that this arm runs


@dataclass(frozen=True, kw_only=True)
class Environment(Part):
    """What a backend's environment holds, and what its framework sees."""

    versions: dict[Word, Word]
    devices: Annotated[tuple[Word, ...], Limits(min_length=1)]
    cuda: Annotated[str, Limits(pattern=r"^\d+(\.\d+)*$", max_length=40)] | None
    settings: dict[Word, Value]


@dataclass(frozen=True, kw_only=True)
class ClockCheck(Part):
    """Whether the clock was read when the work was done, see `worker.jobs.self_check`."""

    holds: bool
    timed_s: Seconds
    left_s: Seconds
    call_s: Seconds
    asynchronous: bool


@dataclass(frozen=True, kw_only=True)
class Gradients(Part):
    """The textbook's gradients by name, as a framework derives them."""

    values: dict[Word, Number]


@dataclass(frozen=True, kw_only=True)
class Computed(Part):
    """Who computed what lies in a job's files."""

    versions: dict[Word, Word]
    device: Word


@dataclass(frozen=True, kw_only=True)
class TraceFile(Part):
    """What one program of an arm made of one point, or why the arm has nothing to show."""

    arm: Word
    failure: Said = ""
    program: Word = ""
    point: Word = ""
    file: Word = ""  # in the job's folder
    read: Word = ""  # digest of the point that it was computed from


@dataclass(frozen=True, kw_only=True)
class Traced(Computed):
    """The traces of a backend's arms."""

    settings: dict[Word, Value]
    traces: tuple[TraceFile, ...]


@dataclass(frozen=True, kw_only=True)
class SavedModel(Part):
    """What a backend saved, and what its model held then."""

    held: Word  # an .npz
    configuration: dict[Word, Any]
    warned: tuple[Said, ...]
    files: dict[Word, Word]  # by form: ".keras", ".weights.h5"


@dataclass(frozen=True, kw_only=True)
class LoadedModel(Part):
    """What came of loading one file."""

    saved_by: Word
    form: Word
    failure: Said = ""
    alone: Said = ""  # why `load_model` failed before it was told the optimizer's class
    held: Word = ""  # an .npz of what the model holds then
    configuration: dict[Word, Any]
    warned: tuple[Said, ...]


@dataclass(frozen=True, kw_only=True)
class LoadedModels(Part):
    """What came of loading each file."""

    loaded: tuple[LoadedModel, ...]


@dataclass(frozen=True, kw_only=True)
class ComputedModel(Computed):
    """A user's model as one backend computed it."""

    read: Word  # digest of the inputs
    layers: dict[Word, Word]  # class by name
    dtype: Word  # the shortest that a layer computes in
    short: tuple[Said, ...]  # operations that are not in float64, where all should be
    remarks: tuple[Said, ...]
    n_parameters: Count
    n_samples: Count
    inexact: Said = ""  # why there is nothing in float64, where it was asked for
