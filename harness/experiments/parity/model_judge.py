"""Comparisons of a user's own model -> its record: who departs where first, and the verdict."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from numpy.typing import NDArray

import harness
from harness.experiments.parity.model_plan import ModelPlan
from harness.job.answers import ComputedModel, Host
from harness.records.user_model import BackendParity, Compared, ModelParity, Verdict
from harness.referee.majority import CAPS, Comparison
from harness.referee.quantities import kind_of

N_NAMED = 3  # of the later quantities, named in full


@dataclass(slots=True)
class BackendAnswer:
    """What one backend's worker handed back."""

    computed: ComputedModel | None = None
    host: Host | None = None  # as its worker saw it
    environment_sha256: str | None = None
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    # By kind of twin and quantity.
    floors: dict[str, dict[str, float]] = field(default_factory=dict)
    failure: str = ""
    of_user: bool = False  # what the user named can be compared on no backend


def make_record(
    what: ModelPlan,
    heard: Mapping[str, BackendAnswer],
    found: tuple[Comparison, ...],
    remarks: tuple[str, ...],
    started: datetime,
    total_s: float,
) -> ModelParity:
    """Return the record of a check.

    Args:
        what: was asked for.
        heard: by backend, what its worker handed back.
        found: in the order of a step.
        remarks: on the check as a whole.
        started: when it began.
        total_s: how long it took.
    """
    failures = {name: each.failure for name, each in heard.items() if each.failure}
    computed = {name: each.computed for name, each in heard.items() if each.computed}
    answers = [answer for name, answer in computed.items() if name not in failures]
    layers = next((answer.layers for answer in computed.values()), {})
    verdicts = _verdicts(tuple(what.backends), failures, found, layers)
    return ModelParity(
        harness=harness.__version__,
        host=next(filter(None, (each.host for each in heard.values()))),
        **_identify(started),
        **_asked(what),
        **_inputs(answers),
        total_s=total_s,
        **_overall(verdicts),
        **_tightest(found),
        backends=tuple(_with_host(each, heard[each.backend]) for each in verdicts),
        compared=tuple(_compared(one, layers) for one in found),
        remarks=(*_remarks_of(answers), *remarks, *_undecided(found)),
    )


def _identify(started: datetime) -> dict[str, Any]:
    run_id = f"{started:%Y%m%dT%H%M%SZ}-model-{secrets.token_hex(3)}"
    return {"run_id": run_id, "started_at": started.isoformat(timespec="milliseconds")}


def _asked(what: ModelPlan) -> dict[str, Any]:
    names = {"model": what.model.name, "batch": what.batch.name if what.batch else None}
    with suppress(OSError):
        names["sha256"] = hashlib.sha256(what.model.file.read_bytes()).hexdigest()
    return names | {name: getattr(what, name) for name in ("seed", "device", "threads")}


def _inputs(answers: Sequence[ComputedModel]) -> dict[str, Any]:
    """Return the sizes and the digest of what was computed from."""
    return {
        "n_samples": max((answer.n_samples for answer in answers), default=0),
        "n_parameters": max((answer.n_parameters for answer in answers), default=0),
        "inputs_sha256": answers[0].read if answers else None,
    }


def _tightest(found: tuple[Comparison, ...]) -> dict[str, Any]:
    """Return the least margin and its quantity, of those whose gate is not at its cap.

    At the cap, rounding alone is as large as the gate, and a margin says nothing.
    """
    agreeing = [one for one in found if one.state == "agree"]
    measured = [one for one in agreeing if one.gate < CAPS[kind_of(one.quantity)]]
    tightest = min(measured, key=lambda one: one.margin, default=None)
    return {"margin": tightest.margin, "tightest": tightest.quantity} if tightest else {}


def _with_host(verdict: BackendParity, heard: BackendAnswer) -> BackendParity:
    known: dict[str, Any] = {"environment_sha256": heard.environment_sha256}
    if heard.computed:
        known |= {"device": heard.computed.device, "versions": heard.computed.versions}
    return verdict.model_copy(update=known)


def _remarks_of(answers: Iterable[ComputedModel]) -> list[str]:
    """Return the workers' remarks, each once."""
    return list(dict.fromkeys(remark for answer in answers for remark in answer.remarks))


def _compared(one: Comparison, layers: Mapping[str, str]) -> Compared:
    return Compared(
        quantity=one.quantity,
        layer=_layer_class(one.quantity, layers),
        state=one.state,
        error=one.error,
        gate=one.gate,
        n_compared=one.n_compared,
        apart=one.apart,
        said=one.explanation,
    )


def _overall(verdicts: tuple[BackendParity, ...]) -> dict[str, Any]:
    """Return the worst verdict, and the reason of the first backend that has it."""
    order: tuple[Verdict, ...] = ("failed", "departs", "no majority", "agrees")
    worst = min((each.verdict for each in verdicts), key=order.index)
    reasons = [f"{each.backend}: {each.reason}" for each in verdicts if each.verdict == worst]
    return {"verdict": worst, "reason": "" if worst == "agrees" else reasons[0]}


def _verdicts(
    backends: tuple[str, ...],
    failures: Mapping[str, str],
    found: tuple[Comparison, ...],
    layers: Mapping[str, str],
) -> tuple[BackendParity, ...]:
    """Return each backend's verdict, by the first quantity that is not the same for all.

    Where no two agree on that quantity, nobody can be told to be wrong further down.
    """
    verdicts: dict[str, tuple[Verdict, str]] = {}
    verdicts |= {name: ("failed", reason) for name, reason in failures.items()}
    sound = [name for name in backends if name not in failures]
    if len(sound) < 2:
        verdicts |= dict.fromkeys(sound, ("no majority", "nothing to compare it with"))
    n_decided = _n_decided(found)
    for one in found[:n_decided]:
        for name in one.apart:
            verdicts.setdefault(name, _verdict(name, one, found, len(sound), layers))
    departs = any(verdict == "departs" for verdict, _ in verdicts.values())
    if found[n_decided:] and not departs:
        one = found[n_decided]
        reason = f"{_place(one.quantity, layers)}: {one.explanation}"
        verdicts = dict.fromkeys(sound, ("no majority", reason)) | verdicts
    return tuple(_backend_parity(name, *verdicts.get(name, ("agrees", ""))) for name in backends)


def _backend_parity(backend: str, verdict: Verdict, reason: str) -> BackendParity:
    return BackendParity(backend=backend, verdict=verdict, reason=reason)


def _n_decided(found: tuple[Comparison, ...]) -> int:
    """Return how many comparisons come before the first that leaves the question open."""
    for number, one in enumerate(found):
        if one.state == "no majority" or (one.state == "undecided" and one.decisive):
            return number
    return len(found)


def _verdict(
    name: str,
    one: Comparison,
    found: tuple[Comparison, ...],
    n_sound: int,
    layers: Mapping[str, str],
) -> tuple[Verdict, str]:
    """Return the verdict on a backend that is apart, and its reason."""
    reason = f"{_place(one.quantity, layers)}: {_part_about(name, one.explanation)}"
    if one.state == "not finite":
        return "failed", reason + ("; on every backend" if len(one.apart) == n_sound else "")
    return "departs", f"{reason}; gate {one.gate:.2g}{_later(name, one, found)}"


def _part_about(backend: str, explanation: str) -> str:
    """Return what of several backends' explanations is about this one."""
    start = f"{backend}: "
    parts = [part for part in explanation.split(", ") if part.startswith(start)]
    return parts[0].removeprefix(start) if parts else explanation


def _later(backend: str, first: Comparison, found: tuple[Comparison, ...]) -> str:
    """Return what departs after the first quantity that did."""
    apart = [one.quantity for one in found if backend in one.apart]
    names = [name for name in apart if name != first.quantity]
    return f"; so do, later, {_some(names)}" if names else "; nothing later departs"


def _some(names: list[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    return f"{', '.join(names[:N_NAMED])}{more}"


def _place(quantity: str, layers: Mapping[str, str]) -> str:
    """Return a quantity, and the class of the layer that an output is of."""
    kind = _layer_class(quantity, layers)
    return f"{quantity} ({kind})" if kind else quantity


def _layer_class(quantity: str, layers: Mapping[str, str]) -> str:
    """Return the class of the layer that an output is of; "" of other quantities."""
    kind, _, name = quantity.partition("/")
    if not kind.endswith("output"):
        return ""
    return layers.get(name) or layers.get(name.partition("#")[0].partition("[")[0], "")


def _undecided(found: tuple[Comparison, ...]) -> list[str]:
    """Return a sentence on quantities that rounding alone decides."""
    undecided = [one for one in found if one.state == "undecided"]
    names = [one.quantity for one in undecided if not one.decisive]
    why = "since rounding alone decides them (their gradient is 0 but for it)"
    return [f"not judged, {why}: {_some(names)}"] if names else []
