"""The record of one parity check.

Which arms compute the same model, with what margin, and where one departs.

History of the format:
1   first. Since 0.5 numbers and texts have bounds, which every check written before keeps.
2   an arm's environment_sha256; a host's identity, boot and quota; an arm's verdict says which
    points it covers (`covers`) and what they are of the gate (`scope`). Older records say neither,
    and are read as checks of the whole gate.
3   a line of a file; an arm's gates, each with its error and its floor, and no verdict where they
    are: it is computed from them.
4   a training left to itself says which module and options ran.
5   its replicas: one device each before.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from harness.job.kinds import Count, Loss, Said, Seconds, Share, Word
from harness.job.request import Kept, OfAnArm, Question
from harness.records.observation import Observation, Seen


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Figure = Annotated[Annotated[float, Field(ge=0, le=1e300)] | None, BeforeValidator(_finite)]
"""A number, or None where there is none: JSON knows no infinity."""
Several = Annotated[tuple[Loss, ...], Field(min_length=1)]
Verdict = Literal["agrees", "departs", "failed"]
Whole = Literal["agrees", "departs", "failed", "oracle suspect", "chaotic", "inconclusive"]
"""Of all arms. Chaotic: every update agrees, and only trainings left to themselves part;
inconclusive: too few seeds to tell."""
Scope = Literal["whole", "quick", "part"]
"""What of the gate a check covers: all of it; at least its quick form; less."""
FORMS: tuple[Literal[".keras", ".weights.h5"], ...] = (".keras", ".weights.h5")
"""What Keras saves: a whole compiled model; and what it has learned alone.

Both include its optimizer's memory."""


def stage(program: str, point: str, quantity: str) -> str:
    """Return where a check is: at a quantity of one update, of epochs, or as far as an update.

    Args:
        program: of the check; "loop": over small epochs, "epoch": over the whole first one.
        point: the state that it begins at, or the update that the epoch has come to.
        quantity: that is compared.
    """
    return {"loop": f"loop {quantity}", "epoch": f"epoch {point}"}.get(program, quantity)


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

    @property
    def stage(self) -> str:
        """Where the check was."""
        return stage(self.program, self.point, self.quantity)


class Gate(NamedTuple):
    """One measure of one quantity: how far it is off, how far it may be, and the noise floor."""

    quantity: Word
    measure: Word
    error: Figure  # None: infinite, or nothing that can be measured
    gate: Figure
    floor: Figure  # None where the gate was made from none
    n_compared: Count  # elements

    @property
    def margin(self) -> float:
        """How many times the error would fit into the gate; infinite where there is none."""
        if self.error is None or self.gate is None:
            return 0.0
        return self.gate / self.error if self.error else math.inf


Gates = dict[str, tuple[Gate, ...]]
"""By program and point, as "production init"."""


class ArmParity(OfAnArm, Seen):
    """What one arm was seen to compute, and its verdict, which is computed from its gates."""

    gates: Gates = {}  # empty in records before 0.6, and where the check failed
    verdict: Verdict = "failed"
    reason: Said = ""  # of a failure, or in one sentence the departure
    margin: Figure = None  # of the tightest gate: how many times its error would fit
    tightest: str = ""  # that gate: program, point, quantity, measure
    n_compared: Count = 0  # elements
    n_gates: Count = 0
    departures: tuple[Departure, ...] = ()
    # What it was held to: "PROGRAM POINT"; empty in records before 0.5: everything.
    covers: tuple[str, ...] = ()
    scope: Scope = "whole"  # what that is of the gate

    @property
    def name(self) -> str:
        """As in the table: "jax/keras"."""
        return self.arm.name

    @model_validator(mode="after")
    def _judge(self) -> ArmParity:
        """Compute the verdict of what was read from the store."""
        if self.gates and "verdict" not in self.model_fields_set:
            for name, value in judge_gates(self.gates, self.departures).items():
                object.__setattr__(self, name, value)
        return self


def judge_gates(gates: Gates, departures: tuple[Departure, ...]) -> dict[str, Any]:
    """Return the verdict of an arm's gates, and what is shown of them."""
    several = [(place, gate) for place, of_place in gates.items() for gate in of_place]
    outside = any(gate.error is None or gate.error > (gate.gate or 0.0) for _, gate in several)
    place, tightest = min(several, key=lambda pair: pair[1].margin)
    return {
        "verdict": "departs" if departures or outside else "agrees",
        "margin": tightest.margin if math.isfinite(tightest.margin) else None,
        "tightest": f"{place}: {tightest.quantity}, {tightest.measure}",
        "n_compared": sum(gate.n_compared for _, gate in several),
        "n_gates": len(several),
    }


class FreeRun(OfAnArm):
    """One whole training of an arm, and how far it drifted.

    The drift is that of its kernels from the referee's on the way.
    """

    module: str = ""  # empty in formats 1 to 3
    seed: Count
    test_accuracy: Share
    drift: dict[
        str, Figure
    ]  # after so many updates: relative Frobenius norm, of the kernel that is farthest off
    gates: dict[str, Figure]  # None: only looked at, or float32 alone has drifted too far there
    verdict: Literal["agrees", "departs"] = "agrees"

    @model_validator(mode="after")
    def _judge(self) -> FreeRun:
        """Compute the verdict of what was seen; what is no number has drifted."""
        drifts = (
            limit is not None and not (seen is not None and seen <= limit)
            for seen, limit in ((self.drift.get(name), limit) for name, limit in self.gates.items())
        )
        if "verdict" not in self.model_fields_set and any(drifts):
            object.__setattr__(self, "verdict", "departs")
        return self

    @property
    def name(self) -> str:
        """As in the table: "jax/keras"."""
        return self.arm.name


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
    """The Keras model saved under one backend and loaded under another.

    Weights, slots, count of updates and learning rate.
    """

    saved_by: str
    loaded_by: str
    form: Literal[".keras", ".weights.h5"]
    verdict: Verdict  # agrees: 0 ulp, and Keras warned of nothing
    reason: Said = ""  # of a failure, or what departs and what Keras warned of
    alone: str = (
        ""  # why `load_model` had to be told the optimizer's class, where that is documented
    )
    n_compared: Count = 0  # elements

    @property
    def name(self) -> str:
        """As it is shown: "jax -> torch .keras"."""
        return f"{self.saved_by} -> {self.loaded_by} {self.form}"


WORST_FIRST: tuple[tuple[str, Whole], ...] = (
    ("failed", "failed"),
    ("suspected", "oracle suspect"),
    ("departs", "departs"),
    ("different", "departs"),
    ("drifts", "chaotic"),
    ("inconclusive", "inconclusive"),
)
"""What a check may have found, and the verdict that it then has."""


class Parity(Observation, Question):
    """One parity check, whatever came of it."""

    format: Literal[1, 2, 3, 4, 5] = 5
    seed: Count
    total_s: Seconds
    verdict: Whole = "failed"
    suspected: bool = False  # the referee: arms of several backends depart first, and all alike
    arms: tuple[ArmParity, ...]
    documented: tuple[Said, ...] = ()  # differences that were expected, and were there
    remarks: tuple[Said, ...] = ()
    free_runs: tuple[FreeRun, ...] = ()
    pairs: tuple[Pair, ...] = ()
    round_trips: tuple[RoundTrip, ...] = ()  # empty where they were not asked for
    floors: dict[
        str, Figure
    ] = {}  # noise floor of each quantity and measure, the largest over points and backends
    twins: dict[str, dict[str, Figure]] = {}  # noise floor of each arm's own twins

    @property
    def views(self) -> dict[str, Any]:
        """Leave out what is computed from the gates."""
        shown = dict.fromkeys(("verdict", "margin", "tightest", "n_compared", "n_gates"), True)
        runs = {"free_runs": {"__all__": {"verdict": True}}}
        arms = {number: shown for number, arm in enumerate(self.arms) if arm.gates}
        return {**super().views, "arms": arms, "verdict": bool(arms), **runs}

    @model_validator(mode="after")
    def _judge(self) -> Parity:
        """Compute the verdict of what was read from the store."""
        if "verdict" not in self.model_fields_set:
            object.__setattr__(self, "verdict", self.judge())
        return self

    def extended(self, **found: Any) -> Parity:
        """Return the record with more in it, and the verdict over all of it."""
        whole = self.model_copy(update=found)
        return whole.model_copy(update={"verdict": whole.judge()})

    def judge(self) -> Whole:
        """Return the verdict on updates, round trips and trainings together.

        What updates say goes first, and what is not shown is no pass.
        """
        said = {arm.verdict for arm in self.arms} | {trip.verdict for trip in self.round_trips}
        found = {
            "suspected" if self.suspected else "",
            *said,
            *(pair.verdict for pair in self.pairs),
        }
        found |= {"drifts" for run in self.free_runs if run.verdict == "departs"}
        return next((whole for name, whole in WORST_FIRST if name in found), "agrees")

    @model_validator(mode="after")
    def _same_updates(self) -> Parity:
        """Refuse trainings of one arm that were looked at after different updates."""
        looked: dict[str, set[str]] = {}
        for run in self.free_runs:
            if {*run.drift} != looked.setdefault(run.name, {*run.drift}) or {*run.gates} != {
                *run.drift
            }:
                said = "free_runs: expected drift and gates after the same updates "
                said += "in every run of an arm"
                raise PydanticCustomError("sentence", said)
        return self
