"""Findings on a user's own model -> its record: who departs where first, and what that comes to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import harness
from harness.judge.user_model.majority import CAPS, Finding, kind_of
from harness.judge.user_model.target import Wanted
from harness.records.user_model import BackendParity, Compared, ModelParity, Verdict

SOME = 3  # of what follows, named in full


def record(
    what: Wanted,
    known: Mapping[str, Mapping[str, Any]],
    failures: Mapping[str, str],
    found: tuple[Finding, ...],
    remarks: tuple[str, ...],
    started: datetime,
    total_s: float,
) -> ModelParity:
    """Return the record of a check.

    Args:
        what: was asked for.
        known: by backend, what its worker said of itself.
        failures: by backend, why it has computed nothing.
        found: in the order of a step.
        remarks: on the check as a whole.
        started: when it began.
        total_s: how long it took.
    """
    layers: dict[str, str] = next(
        (each["layers"] for each in known.values() if "layers" in each), {}
    )
    verdicts = _verdicts(tuple(what.backends), failures, found, layers)
    sound = [each for name, each in known.items() if name not in failures]
    # of a quantity that rounding takes to its cap, the margin says nothing
    measured = [
        one for one in found if one.state == "agree" and one.gate < CAPS[kind_of(one.quantity)]
    ]
    tightest = min(measured, key=lambda one: one.margin, default=None)
    whole = _whole(verdicts)
    said = dict.fromkeys(remark for each in sound for remark in each.get("remarks", ()))
    return ModelParity(
        harness=harness.__version__,
        model=what.model.name,
        batch=what.batch.name if what.batch else None,
        seed=what.seed,
        n_samples=max((each["n_samples"] for each in sound), default=0),
        n_parameters=max((each["n_parameters"] for each in sound), default=0),
        inputs_sha256=sound[0]["read"] if sound else None,
        device=what.device,
        threads=what.threads,
        started_at=started.isoformat(timespec="milliseconds"),
        total_s=total_s,
        verdict=whole,
        reason=next(
            (
                f"{each.backend}: {each.reason}"
                for each in verdicts
                if each.verdict == whole and each.reason
            ),
            "",
        ),
        margin=tightest.margin if tightest else None,
        tightest=tightest.quantity if tightest else "",
        backends=tuple(each.model_copy(update=_self(known[each.backend])) for each in verdicts),
        compared=tuple(_compared(one, layers) for one in found),
        remarks=(*said, *remarks, *_undecided(found)),
    )


def _self(known: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "device": str(known.get("device") or ""),
        "versions": known.get("versions") or {},
        "environment_sha256": known.get("environment_sha256"),
    }


def _compared(one: Finding, layers: Mapping[str, str]) -> Compared:
    return Compared(
        quantity=one.quantity,
        layer=_layer(one.quantity, layers),
        state=one.state,
        error=one.error,
        gate=one.gate,
        n_compared=one.n_compared,
        apart=one.apart,
        said=one.said,
    )


def _whole(verdicts: tuple[BackendParity, ...]) -> Verdict:
    order: tuple[Verdict, ...] = ("failed", "departs", "no majority", "agrees")
    return min((each.verdict for each in verdicts), key=order.index)


def _verdicts(
    backends: tuple[str, ...],
    failures: Mapping[str, str],
    found: tuple[Finding, ...],
    layers: Mapping[str, str],
) -> tuple[BackendParity, ...]:
    """Return each backend's verdict: of those that computed something, by the first quantity that is not the same for all.

    Where the first is one on which no two agree, nobody can be told to be wrong further down.
    """
    verdicts: dict[str, tuple[Verdict, str]] = {
        name: ("failed", reason) for name, reason in failures.items()
    }
    sound = [name for name in backends if name not in failures]
    if len(sound) < 2:
        verdicts |= dict.fromkeys(sound, ("no majority", "nothing to compare it with"))
    for one in found:
        place = f"{one.quantity}{_kind(one.quantity, layers)}"
        if one.state == "no majority" or (one.state == "undecided" and one.decisive):
            if not any(verdict == "departs" for verdict, _ in verdicts.values()):
                verdicts |= {
                    name: ("no majority", f"{place}: {one.said}")
                    for name in sound
                    if name not in verdicts
                }
            break
        for name in one.apart:
            if name not in verdicts and one.state == "not finite":
                everywhere = "; on every backend" if len(one.apart) == len(sound) else ""
                verdicts[name] = ("failed", f"{place}: {_of(name, one.said)}{everywhere}")
            elif name not in verdicts:
                verdicts[name] = (
                    "departs",
                    f"{place}: {_of(name, one.said)}; gate {one.gate:.2g}{_later(name, one, found)}",
                )
    agreeing: tuple[Verdict, str] = ("agrees", "")
    return tuple(
        BackendParity(backend=name, verdict=verdict, reason=reason)
        for name in backends
        for verdict, reason in [verdicts.get(name, agreeing)]
    )


def _of(backend: str, said: str) -> str:
    """Return what of several backends' sentences is about this one."""
    mine = [
        part.removeprefix(f"{backend}: ")
        for part in said.split(", ")
        if part.startswith(f"{backend}: ")
    ]
    return mine[0] if mine else said


def _later(backend: str, first: Finding, found: tuple[Finding, ...]) -> str:
    """Say what departs after the first quantity that did."""
    names = [
        one.quantity for one in found if backend in one.apart and one.quantity != first.quantity
    ]
    more = f" and {len(names) - SOME} more" if len(names) > SOME else ""
    return (
        f"; so do, later, {', '.join(names[:SOME])}{more}" if names else "; nothing later departs"
    )


def _kind(quantity: str, layers: Mapping[str, str]) -> str:
    kind = _layer(quantity, layers)
    return f" ({kind})" if kind else ""


def _layer(quantity: str, layers: Mapping[str, str]) -> str:
    """Return the class of the layer that an output is of."""
    kind, _, name = quantity.partition("/")
    if not kind.endswith("output"):
        return ""
    return layers.get(name) or layers.get(name.partition("#")[0].partition("[")[0], "")


def _undecided(found: tuple[Finding, ...]) -> list[str]:
    """Return a sentence on quantities that rounding alone decides."""
    names = [one.quantity for one in found if one.state == "undecided" and not one.decisive]
    if not names:
        return []
    more = f" and {len(names) - SOME} more" if len(names) > SOME else ""
    return [
        f"not judged, since rounding alone decides them (their gradient is 0 but for it): {', '.join(names[:SOME])}{more}"
    ]
