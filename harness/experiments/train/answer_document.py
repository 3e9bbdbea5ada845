"""Answer -> the sentences that stand under a table of runs: which backend, is it the same model there, and what the runs cannot say."""

from __future__ import annotations

from collections.abc import Sequence

from harness.experiments.train.answer import BARRED, Answer, Candidate
from harness.records.verdicts import AGREES, AGREES_QUICK
from harness.report.fitting import number, span

N_FOR_AN_INTERVAL = 6
NO_TIME = "No epoch time is known yet: no run finished, or runs had their first epoch only, which also compiles and is left out."
NO_KERAS = "None of these arms trains a Keras model, so they do not say which backend should."


def sentences(answer: Answer) -> tuple[str, ...]:
    """Return which backend, then what is left out and why, then what these runs cannot say."""
    nothing = f"No run finished of {_listed(answer.without_time)}." if answer.without_time else ""
    if not answer.candidates and not answer.barred:
        return (NO_KERAS,) if answer.kind == "no keras" else (NO_TIME,)
    left_out = [f"{each.name} is left out: {_why(each, answer)}." for each in answer.barred]
    return (_first(answer), *left_out, *([nothing] if nothing else []), _limits(answer))


def _first(answer: Answer) -> str:
    """Return the sentence that names a backend, or says why there is none to name."""
    if answer.kind == "none equal":
        return "No backend can be recommended: none is known to train the same model."
    first, *others = answer.candidates
    if answer.kind == "alone":
        epoch = (
            f"{first.name} trained this Keras model in a median epoch of {number(first.mid_s)} s"
        )
        return f"{epoch}, and there is no other arm to compare it with; {_same([first])}."
    close = answer.close
    if answer.kind == "close":
        epochs = ", ".join(f"{span(each.low_s, each.mid_s, each.high_s)} s" for each in close)
        which = f"{_listed([each.name for each in close])} cannot be told apart by these runs, since their epochs overlap ({epochs})"
        others = [each for each in others if each not in close]
    else:
        which = f"{first.name} trained this Keras model fastest, in a median epoch of {number(first.mid_s)} s"
    slower = [f"{each.name} took {each.mid_s / first.mid_s:.2f} times as long" for each in others]
    than = f" as {first.name}" if slower and answer.kind == "close" else ""
    return (
        "; ".join([which, *([_listed(slower) + than] if slower else []), _same(answer.candidates)])
        + "."
    )


def _same(candidates: Sequence[Candidate]) -> str:
    """Return what is known of the models: is it still the same one?"""
    agree = [each for each in candidates if each.parity in (AGREES, AGREES_QUICK)]
    unknown = [each.name for each in candidates if each not in agree]
    quick = any(each.parity == AGREES_QUICK for each in agree)
    if not unknown:
        there = "on each of them" if len(agree) > 1 else "there"
        which = "every update that the quick check looked at" if quick else "every update"
        more = " (nox -s parity looks at more)" if quick else ""
        return f"it is the same model {there}, {which} being the float64 referee's to what float32 rounding costs{more}"
    asked = f"whether it is the same model on {_listed(unknown)} has not been checked (nox -s parity does)"
    if not agree:
        return asked
    agreeing = (
        f"{_listed([each.name for each in agree])} {'agrees' if len(agree) == 1 else 'agree'}"
    )
    return f"{asked}, and {agreeing} with the referee{' by the quick check' if quick else ''}"


def _why(barred: Candidate, answer: Answer) -> str:
    """Return why an arm cannot win."""
    reasons = {
        "departs": "it departs from the referee (nox -s parity says where)",
        "failed": "its parity check failed",
    }
    said = [reasons[barred.parity]] if barred.parity in BARRED else []
    best = max(
        (*answer.candidates, *answer.barred),
        key=lambda each: (each.accuracy_verdict == "reference", each.accuracy),
    )
    if barred.accuracy_verdict == "different":
        said.append(
            f"its test accuracy is different, {barred.accuracy:.4f} where {best.name} has {best.accuracy:.4f}"
        )
    return f"{' and '.join(said)}, so its time is not this model's"


def _limits(answer: Answer) -> str:
    """Return what runs that follow one another cannot say."""
    fewest = min(each.n_seeds for each in (*answer.candidates, *answer.barred))
    seeds = "one seed" if fewest == 1 else f"{fewest} seeds"
    interval = (
        f", and with {seeds} an arm no interval says how sure that is"
        if fewest < N_FOR_AN_INTERVAL
        else ""
    )
    return f"These runs followed one another, so every ratio holds the machine's drift{interval}; nox -s bench compares."


def _listed(names: Sequence[str]) -> str:
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), names[-1]])
