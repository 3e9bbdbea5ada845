"""Evidence on a user's own model -> its record: who departs where first, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from harness.experiments.parity.model_evidence import BackendAnswer, Evidence
from harness.experiments.parity.model_plan import ModelPlan
from harness.experiments.parity.model_verdict import (
    Verdicts,
    layer_class,
    place_of,
    size_of,
    when,
)
from harness.job.answers import ComputedModel
from harness.records.observation import identify
from harness.records.user_model import BackendParity, Compared, ModelParity, Verdict
from harness.referee.majority import Comparison
from harness.referee.model64 import KernelError
from harness.report.document import some

N_NAMED = 3  # of the quantities that stand out
N_KEPT = 20_000  # quantities; a line of a record has a limit
ORDER: tuple[Verdict, ...] = ("failed", "departs", "differ", "undecided", "agrees")


def make_record(
    what: ModelPlan,
    verdicts: Verdicts,
    proofs: Mapping[str, str],
    started: datetime,
    total_s: float,
) -> ModelParity:
    """Return the record of a check.

    Args:
        what: was asked for.
        verdicts: on what its workers handed back.
        proofs: by backend that departs, what single layers say.
        started: when it began.
        total_s: how long it took.
    """
    heard, evidence, layers = verdicts.heard, verdicts.evidence, verdicts.layers
    computed = [each.computed for each in heard.values() if each.computed and not each.failure]
    backends = tuple(verdicts.of(name, proofs.get(name, "")) for name in what.backends)
    compared, dropped = _compared(evidence, layers)
    return ModelParity(
        **identify(started, "model"),
        host=next(filter(None, (each.host for each in heard.values()))),
        **_asked(what),
        **_inputs(computed),
        total_s=total_s,
        **_overall(backends),
        **_tightest(evidence),
        backends=backends,
        compared=compared,
        remarks=(*_remarks(heard, evidence, layers), *dropped),
    )


def _asked(what: ModelPlan) -> dict[str, Any]:
    batch = what.batch or what.data
    names: dict[str, Any] = {"model": what.model.name, "arguments": what.model.arguments}
    names |= {"batch": batch.name if batch else None, "sha256": what.model.sha256 or None}
    more = ("seed", "device", "threads", "replicas")
    return names | {name: getattr(what, name) for name in more}


def _inputs(answers: Sequence[ComputedModel]) -> dict[str, Any]:
    """Return the sizes and the digest of what was computed from."""
    return {
        "n_samples": max((answer.n_samples for answer in answers), default=0),
        "n_parameters": max((answer.n_parameters for answer in answers), default=0),
        "inputs_sha256": answers[0].read if answers else None,
    }


def _overall(verdicts: tuple[BackendParity, ...]) -> dict[str, Any]:
    """Return the worst verdict, and the reason of the first backend that has it."""
    worst = min((each.verdict for each in verdicts), key=ORDER.index)
    reasons = [f"{each.backend}: {each.reason}" for each in verdicts if each.verdict == worst]
    return {"verdict": worst, "reason": "" if worst == "agrees" else reasons[0]}


def _tightest(evidence: Iterable[Evidence]) -> dict[str, Any]:
    """Return the least margin of all that agrees, and its quantity."""
    agreeing = [
        (one.margin, one.quantity + when(each.at))
        for each in evidence
        for one in (*each.mathematics, *each.majority)
        if one.state == "agree"
    ]
    margin, quantity = min(agreeing, default=(None, ""))
    return {"margin": margin, "tightest": quantity}


def _compared(
    evidence: Iterable[Evidence], layers: Mapping[str, str]
) -> tuple[tuple[Compared, ...], list[str]]:
    """Return every quantity at every state, and a sentence where there are too many to keep."""
    every = [each for one in evidence for each in _compared_at(one, layers)]
    if len(every) <= N_KEPT:
        return tuple(every), []
    apart = [each for each in every if each.state != "agree" or each.kernel]
    same = [each for each in every if each.state == "agree" and not each.kernel]
    kept = [*apart, *same][:N_KEPT]
    return tuple(kept), [f"{len(every) - len(kept)} quantities more that agree are not recorded"]


def _compared_at(one: Evidence, layers: Mapping[str, str]) -> Iterator[Compared]:
    errors: dict[str, dict[str, KernelError]] = {}
    for error in one.kernels:
        errors.setdefault(error.quantity, {})[error.backend] = error
    for each in one.mathematics:
        kernels = errors.get(each.quantity, {})
        yield Compared(
            referee="float64",
            rounded=_rounded({name: kernel.error for name, kernel in kernels.items()}),
            kernel=tuple(name for name, kernel in kernels.items() if kernel.departs),
            **_plainly(each, one, layers),
        )
    for each in one.majority:
        yield Compared(referee="majority", **_plainly(each, one, layers))


def _plainly(each: Comparison, one: Evidence, layers: Mapping[str, str]) -> dict[str, Any]:
    """Return what a record holds of a comparison, at one state, by whichever referee."""
    return {
        "quantity": each.quantity,
        "at": one.at,
        "layer": layer_class(each.quantity, layers),
        "state": each.state,
        "error": each.error,
        "gate": each.gate,
        "n_compared": one.n_compared(each),
        "apart": each.apart,
        "said": each.explanation,
        "exact": _rounded(each.nearest),
    }


def _rounded(figures: Mapping[str, float]) -> dict[str, float | None]:
    """Return figures to three digits: a record has thousands."""
    return {name: float(f"{figure:.3g}") for name, figure in figures.items()}


def _remarks(
    heard: Mapping[str, BackendAnswer], evidence: Sequence[Evidence], layers: Mapping[str, str]
) -> Iterator[str]:
    """Yield what a reader must know beside the verdict."""
    yield from _inexact(heard)
    yield from dict.fromkeys(remark for each in heard.values() for remark in each.remarks)
    yield from _amplified(evidence, len(heard))
    undecided = [
        one.quantity + when(each.at)
        for each in evidence
        for one in each.mathematics
        if one.state == "undecided" and not one.decisive
    ]
    if undecided:
        why = "since rounding alone decides them (their gradient is 0 but for it)"
        yield f"not judged, {why}: {some(undecided)}"
    wide = {(one.backend, one.quantity): one for each in evidence for one in each.remarks}
    for one in sorted(wide.values(), key=lambda each: -each.ratio)[:N_NAMED]:
        place = place_of(one.quantity, layers)
        yield f"{one.backend}: {place}: {size_of(one)}, in its own dtype: no departure"


def _inexact(heard: Mapping[str, BackendAnswer]) -> Iterator[str]:
    """Yield what was not computed in float64, and how it is judged."""
    for name, each in heard.items():
        if each.inexact:
            how = "it is judged by the majority of the backends in the model's own dtype"
            yield f"{name}: nothing in float64 ({each.inexact}): {how}"
        if each.short:
            how = "what differs by no more than the rounding of the model's own dtype passes"
            yield f"{name}: not in float64: {some(each.short)}: {how}"


def _amplified(evidence: Sequence[Evidence], n_backends: int) -> Iterator[str]:
    """Yield a sentence where the model magnifies rounding."""
    several = [(each.amplified, each.at) for each in evidence if each.amplified]
    worst = max(several, key=lambda each: each[0].error, default=None)
    if worst:
        one, at = worst
        yield (
            f"your model amplifies rounding: runs of it in its own dtype differ by "
            f"{one.error:.1g} of its size at {one.quantity}{when(at)} from machine to machine, "
            f"on one backend as on {n_backends}"
        )
