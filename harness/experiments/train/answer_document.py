"""Answer -> sentences: which backend, is it the same model there, and what runs cannot say."""

from __future__ import annotations

from collections.abc import Sequence

from harness.experiments.train.answer import BARRED, Answer, Candidate
from harness.records.verdicts import AGREES, AGREES_QUICK
from harness.report.document import listed
from harness.report.numbers import number, span

N_FOR_AN_INTERVAL = 6
NO_TIME = (
    "No epoch time is known yet: no run finished, or runs had their first epoch only, which also "
    "compiles and is left out."
)
NO_KERAS = "None of these arms trains a Keras model, so they do not say which backend should."
VIRTUAL = (
    "These devices are virtual, parts of one processor: they show whether several devices compute "
    "the same numbers, and their times say nothing, so no arm is called first."
)
NONE_EQUAL = "No backend can be recommended: none is known to train the same model."
WHY = {
    "departs": "it departs from the referee (nox -s parity says where)",
    "failed": "its parity check failed",
}


def sentences(answer: Answer) -> tuple[str, ...]:
    """Return which backend, then what is left out and why, then what these runs cannot say."""
    if answer.kind == "virtual":
        return (VIRTUAL,)
    if not answer.candidates and not answer.barred:
        return (NO_KERAS,) if answer.kind == "no keras" else (NO_TIME,)
    without = answer.without_time
    nothing = (f"No run finished of {listed(without)}.",) if without else ()
    left_out = [f"{each.name} is left out: {_why(each, answer)}." for each in answer.barred]
    return (_first(answer), *left_out, *nothing, _limits(answer))


def _first(answer: Answer) -> str:
    """Return the sentence that names a backend, or says why there is none to name."""
    if answer.kind == "none equal":
        return NONE_EQUAL
    first, *others = answer.candidates
    epoch = f"in a median epoch of {number(first.epoch_s.mid)} s"
    if answer.kind == "alone":
        alone = f"{first.name} trained this Keras model {epoch}"
        same = _same([first], answer.check)
        return f"{alone}, and there is no other arm to compare it with; {same}."
    which, than = f"{first.name} trained this Keras model fastest, {epoch}", ""
    if answer.kind == "close":
        epochs = ", ".join(f"{span(each.epoch_s)} s" for each in answer.close)
        names = listed(each.name for each in answer.close)
        which = f"{names} cannot be told apart by these runs, since their epochs overlap ({epochs})"
        others, than = [each for each in others if each not in answer.close], f" as {first.name}"
    slower = [
        f"{each.name} took {each.epoch_s.mid / first.epoch_s.mid:.2f} times as long"
        for each in others
    ]
    told = [listed(slower) + than] if slower else []
    return "; ".join([which, *told, _same(answer.candidates, answer.check)]) + "."


def _same(candidates: Sequence[Candidate], check: str) -> str:
    """Return what is known of the models: is it still the same one?"""
    agree = [each for each in candidates if each.parity in (AGREES, AGREES_QUICK)]
    unknown = [each.name for each in candidates if each not in agree]
    quick = any(each.parity == AGREES_QUICK for each in agree)
    if not unknown:
        return _all_agree(len(agree), quick=quick)
    asked = f"whether it is the same model on {listed(unknown)} has not been checked"
    asked += f" ({check} does)"
    if not agree:
        return asked
    agreeing = listed(each.name for each in agree) + (" agrees" if len(agree) == 1 else " agree")
    return f"{asked}, and {agreeing} with the referee{' by the quick check' if quick else ''}"


def _all_agree(n_agree: int, *, quick: bool) -> str:
    there = "on each of them" if n_agree > 1 else "there"
    which, more = "every update", ""
    if quick:
        which += " that the quick check looked at"
        more = " (nox -s parity looks at more)"
    rounding = "being the float64 referee's to what float32 rounding costs"
    return f"it is the same model {there}, {which} {rounding}{more}"


def _why(barred: Candidate, answer: Answer) -> str:
    """Return why an arm cannot win."""
    reasons = [WHY[barred.parity]] if barred.parity in BARRED else []
    if barred.accuracy_verdict == "different":
        best = max(
            (*answer.candidates, *answer.barred),
            key=lambda each: (each.accuracy_verdict == "reference", each.accuracy or 0.0),
        )
        reasons.append(
            f"its test accuracy is different, {barred.accuracy:.4f} where {best.name} has "
            f"{best.accuracy:.4f}"
        )
    return f"{' and '.join(reasons)}, so its time is not this model's"


def _limits(answer: Answer) -> str:
    """Return what runs that follow one another cannot say."""
    fewest = min(each.n_seeds for each in (*answer.candidates, *answer.barred))
    drift = "These runs followed one another, so every ratio holds the machine's drift"
    if fewest < N_FOR_AN_INTERVAL:
        seeds = "one seed" if fewest == 1 else f"{fewest} seeds"
        drift += f", and with {seeds} an arm no interval says how sure that is"
    return f"{drift}; nox -s bench compares."
