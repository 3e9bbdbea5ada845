"""The record of one check of a user's own model.

Which backends compute the same, and from where on one does not.

History of the format:
1   first.
2   a backend's environment_sha256.
3   run_id and host: since 0.6 the check is kept, where it was only shown.
4   judged by float64, from several states: each quantity's `at`, `referee`, `exact` and `rounded`;
    a backend's `short` and `proof`; the verdicts "differ" and "undecided", once "no majority".
5   its replicas: one device each before; a backend's `several`.
"""

from __future__ import annotations

from typing import Literal

from harness.job.kinds import Count, Said, Seconds, Sha256, Word
from harness.job.request import Kept, Threads
from harness.records.observation import Observation, Seen
from harness.records.parity import Figure
from harness.spec.arguments import with_arguments
from harness.spec.bounds import Replicas
from harness.spec.config import Device
from harness.spec.frozen import Option

Verdict = Literal["agrees", "departs", "failed", "differ", "undecided", "no majority"]
State = Literal["agree", "depart", "no majority", "undecided", "not finite"]


class Compared(Kept):
    """One quantity, as all backends have it."""

    quantity: str
    at: str = ""  # the state that the update begins at: "10 updates"; or the batch, if another one
    layer: str = ""  # its class, of an output
    referee: Literal["float64", "majority"] = "majority"
    state: State
    error: Figure  # the largest relative difference between two that agree, or between any two
    gate: Figure
    n_compared: Count
    apart: tuple[str, ...] = ()
    said: Said = ""
    exact: dict[Word, Figure] = {}  # by backend: in float64, how far the nearest other one is
    rounded: dict[Word, Figure] = {}  # by backend: its own dtype's error, against its float64
    kernel: tuple[str, ...] = ()  # backends that depart in their own dtype only


class BackendParity(Seen):
    """One backend's verdict."""

    backend: str
    verdict: Verdict
    reason: Said = ""  # of all but agreement
    proof: Said = ""  # of a departure: what its layer alone makes of another backend's inputs
    short: tuple[Said, ...] = ()  # operations that are not in float64, whatever it is told
    several: Figure = None  # how far training on several devices is from that on one, in float64


class ModelParity(Observation):
    """One check of a model, whatever came of it."""

    format: Literal[3, 4, 5] = 5
    kind: Literal["model"] = "model"
    model: str  # FILE:FUNCTION, or FILE.keras
    arguments: dict[Word, Option] = {}  # that the function was given
    sha256: Sha256 | None = None  # of its file, and of what that imports from beside it
    batch: str | None  # FILE:FUNCTION of a batch or of data; None where it was drawn from the seed
    seed: Count
    n_samples: Count = 0
    n_parameters: Count = 0
    inputs_sha256: Sha256 | None = None  # of weights and batch, the same for every backend
    device: Device
    threads: Threads
    replicas: Replicas = 1  # devices on which each backend also trained
    total_s: Seconds
    verdict: Verdict
    reason: Said = ""
    margin: Figure = None  # of the tightest gate: how many times its error would fit
    tightest: str = ""
    backends: tuple[BackendParity, ...]
    compared: tuple[Compared, ...] = ()
    remarks: tuple[Said, ...] = ()

    @property
    def called(self) -> str:
        """The model with its arguments, as it is typed."""
        return with_arguments(self.model, self.arguments)

    @property
    def n_compared(self) -> int:
        """How many numbers of each backend were compared."""
        return sum(each.n_compared for each in self.compared)
