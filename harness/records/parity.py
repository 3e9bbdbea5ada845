"""The record of one parity check: which arms compute the same model, with what margin, and where one departs.

History of the format:
1   first. Since 0.5 numbers and texts have bounds, which every check written before keeps.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from harness.records.bench import Entrant, Session, Start
from harness.records.record import (
    Asked,
    Count,
    Data,
    Host,
    Kept,
    Loss,
    Record,
    Said,
    Seconds,
    Share,
    Threads,
)
from harness.spec.config import Spec

FORMAT = 1


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Figure = Annotated[Annotated[float, Field(ge=0, le=1e300)] | None, BeforeValidator(_finite)]
"""A number, or None where there is none: JSON knows no infinity."""
Several = Annotated[tuple[Loss, ...], Field(min_length=1)]
Verdict = Literal["agrees", "departs", "failed"]
Whole = Literal["agrees", "departs", "failed", "oracle suspect", "chaotic", "inconclusive"]
"""Of all arms. Chaotic: every update agrees, and only trainings left to themselves part; inconclusive: too few seeds to tell."""
FORMS: tuple[Literal[".keras", ".weights.h5"], ...] = (".keras", ".weights.h5")
"""What Keras saves: a whole compiled model; and what it has learned alone, its optimizer's memory included."""


class Departure(Kept):
    """The first quantity of an update that is wrong in itself."""

    program: str
    point: str
    quantity: str
    measure: str
    error: Figure
    gate: Figure
    fit: str = ""  # what explains it: a scale, a shift, zeros
    where: str = ""  # in which rows or columns
    explained: tuple[str, ...] = ()  # later departures that follow from it
    likewise: tuple[str, ...] = ()  # the same quantity of other weights or layers
    unexplained: tuple[str, ...] = ()  # later ones that are none of this


class ArmParity(Kept):
    """One arm's verdict."""

    backend: str
    implementation: str
    module: str
    options: Asked = {}
    device: str = ""
    versions: dict[str, str] = {}
    verdict: Verdict
    reason: Said = ""  # of a failure, or in one sentence the departure
    margin: Figure = None  # of the tightest gate: how many times its error would fit
    tightest: str = ""  # that gate: program, point, quantity, measure
    n_compared: Count = 0  # elements
    n_gates: Count = 0
    departures: tuple[Departure, ...] = ()

    @property
    def name(self) -> str:
        """As in the table: "jax/keras"."""
        return f"{self.backend}/{self.implementation}"


class FreeRun(Kept):
    """One whole training of an arm, and how far its kernels had drifted from the referee's on the way."""

    backend: str
    implementation: str
    seed: Count
    test_accuracy: Share
    drift: dict[str, Figure]  # after so many updates: relative Frobenius norm, of the kernel that is farthest off
    gates: dict[str, Figure]  # None: float32 alone has drifted so far there that weights say nothing
    verdict: Literal["agrees", "departs"]

    @property
    def name(self) -> str:
        """As in the table: "jax/keras"."""
        return f"{self.backend}/{self.implementation}"


class Pair(Kept):
    """Two arms' trained models as functions, seed by seed."""

    one: str
    other: str
    seeds: Annotated[tuple[Count, ...], Field(min_length=1)]
    flips: tuple[Count, ...]  # of the test images' classes
    n_d_class: tuple[Count, ...]  # test images with D_CLASS of 8 and more
    d_mad: Several
    barrier: Several  # of the loss, on the line between the two
    difference_points: Several  # of test accuracy, one less the other
    interval_points: tuple[Loss, Loss] | None = None  # 90 %, of the mean difference
    p: Figure = None
    verdict: Literal["equivalent", "different", "inconclusive"]


class RoundTrip(Kept):
    """The Keras model saved under one backend and loaded under another: weights, slots, count of updates and learning rate."""

    saved_by: str
    loaded_by: str
    form: Literal[".keras", ".weights.h5"]
    verdict: Verdict  # agrees: 0 ulp, and Keras warned of nothing
    reason: Said = ""  # of a failure, or what departs and what Keras warned of
    alone: str = ""  # why `load_model` had to be told the optimizer's class, where that is documented
    n_compared: Count = 0  # elements

    @property
    def name(self) -> str:
        """As it is shown: "jax -> torch .keras"."""
        return f"{self.saved_by} -> {self.loaded_by} {self.form}"


class Parity(Kept):
    """One parity check, whatever came of it; never changed after it is written."""

    format: Literal[1] = 1
    harness: str
    run_id: str
    spec_name: str
    spec: Spec
    seed: Count
    data: Data
    device: str  # as asked for
    threads: Threads
    host: Host
    started_at: str  # UTC, ISO 8601
    total_s: Seconds
    verdict: Whole
    arms: tuple[ArmParity, ...]
    documented: tuple[Said, ...] = ()  # differences that were expected, and were there
    remarks: tuple[Said, ...] = ()
    free_runs: tuple[FreeRun, ...] = ()
    pairs: tuple[Pair, ...] = ()
    round_trips: tuple[RoundTrip, ...] = ()  # empty where they were not asked for
    floors: dict[str, Figure] = {}  # noise floor of each quantity and measure, the largest over points and backends
    twins: dict[str, dict[str, Figure]] = {}  # noise floor of each arm's own twins

    @model_validator(mode="after")
    def _same_updates(self) -> Parity:
        """Refuse trainings of one arm that were looked at after different updates."""
        looked: dict[str, set[str]] = {}
        for run in self.free_runs:
            if {*run.drift} != looked.setdefault(run.name, {*run.drift}) or {*run.gates} != {*run.drift}:
                said = "free_runs: expected drift and gates after the same updates in every run of an arm"
                raise PydanticCustomError("sentence", said)
        return self


Verdicts = dict[tuple[str, ...], str]
"""Verdicts by what they hold for: see `verdicts_of`."""


def verdicts_of(parities: Iterable[Parity]) -> Verdicts:
    """Return the newest verdict on each arm, by all that a verdict depends on: spec, arm, versions, device, machine."""
    verdicts: Verdicts = {}
    for parity in sorted(parities, key=lambda parity: parity.started_at):
        for arm in parity.arms:
            asked = f"{arm.module} {arm.options}"
            place = _place(arm.device, parity)
            verdicts[_content(parity.spec), arm.backend, arm.implementation, asked, *_versions(arm.versions), *place] = arm.verdict
    return verdicts


def verdict_on(record: Record, verdicts: Verdicts) -> str:
    """Return what is known of the arm that made a record: agrees, departs, failed, or not checked."""
    if not record.measured:
        return "not checked"
    request = record.request
    arm = (request.backend, request.implementation, f"{request.module} {request.options}")
    place = _place(record.measured.device, record)
    return verdicts.get((_content(request.spec), *arm, *_versions(record.measured.versions), *place), "not checked")


def verdict_in(session: Session, entrant: Entrant, starts: Iterable[Start], verdicts: Verdicts) -> str:
    """Return what is known of an entrant of a bench session, as `verdict_on` says it: the worst over its processes."""
    arm = (entrant.backend, entrant.implementation, f"{entrant.module} {entrant.options}")
    found = {
        verdicts.get((_content(session.spec), *arm, *_versions(start.versions), *_place(start.device, session)), "not checked")
        for start in starts
        if start.status == "ok"
    }
    return worst(found)


def worst(found: Collection[str]) -> str:
    """Return the verdict that stands for several runs of one arm: one that departs is not hidden by others."""
    return next((verdict for verdict in ("departs", "failed", "not checked", "agrees") if verdict in found), "not checked")


def _place(device: str, made: Session | Parity | Record) -> tuple[str, str, str]:
    return device, made.host.machine, made.harness


def _content(spec: Spec) -> str:
    return spec.model_dump_json(exclude={"dataset", "epochs"})


def _versions(versions: dict[str, str]) -> tuple[str, str, str]:
    return versions.get("framework_version", ""), versions.get("keras", ""), versions.get("numpy", "")
