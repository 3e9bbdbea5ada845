"""Proof -> Document: what was planted and caught, what must not matter, how little is seen."""

from __future__ import annotations

from collections.abc import Iterable

from harness.experiments.proof.prove import Kill, Proof, least_margins
from harness.experiments.proof.sensitivity import Seen
from harness.report.document import (
    NONE,
    Cell,
    Column,
    Document,
    Heading,
    Paragraph,
    Sentence,
    Table,
    Tone,
    words,
)

FIGURES = ("error", "gate", "said", "production", "why there")  # the most important one first
KILLS = (
    *words("planted", "caught at"),
    *(Column(name, rank, align="left") for rank, name in enumerate(FIGURES, start=1)),
)
CURVE = words("off by a part of itself", "seen from", "must be", "stage")
LEGEND = (
    "caught at: the first quantity that departs by its own making, of a program laid open; loop: "
    "over two epochs in small; epoch: over the whole first one, as far as that update. "
    "production: the same where a program hands back its outputs, loss and new state only."
)


def compose(proof: Proof) -> Document:
    """Return the kill matrix, the null changes, the smallest errors that are seen."""
    n_caught = sum(bool(kill.stage) for kill in proof.kills)
    n_expected = sum(kill.as_expected for kill in proof.kills)
    caught = f"{n_caught} of {len(proof.kills)} caught, {n_expected} where they must be"
    verdict = "the gate is not what it should be: see what is red"
    if proof.holds:
        verdict = "the gate fails where it must, and only there"
    return Document(
        (
            Heading(f"planted defects: {caught}"),
            Table(KILLS, tuple(map(_caught, proof.kills))),
            *_nulls(proof),
            Heading("smallest relative error that is seen"),
            Table(CURVE, tuple(map(_seen, proof.curve))),
            Sentence(f"{verdict} ({proof.total_s:.1f} s)", _tone(ok=proof.holds)),
            Paragraph((LEGEND,), "aside"),
        )
    )


def _seen(seen: Seen) -> tuple[str | Cell, ...]:
    """Return one kind of error as text, in the order of CURVE."""
    stage = Cell(seen.stage, _tone(ok=seen.kept))
    return (seen.target.name, _power(seen.smallest), _power(seen.target.promised), stage)


def _caught(kill: Kill) -> tuple[str | Cell, ...]:
    """Return one planted defect as text, in the order of KILLS."""
    defect = kill.defect
    if not kill.departures:
        return (defect.name, Cell("SURVIVED", "bad"), NONE, NONE, "", NONE, defect.why)
    first = kill.departures[0]
    stage = kill.stage if kill.as_expected else f"{kill.stage}, expected {defect.at}"
    figures = (_digits(first.error), _digits(first.gate), first.fit, kill.production)
    return (defect.name, Cell(stage, _tone(ok=kill.as_expected)), *figures, defect.why)


def _nulls(proof: Proof) -> Iterable[Sentence]:
    """Yield the sentences on what must not matter, with the tightest gates."""
    alarms = [(null, departure) for null in proof.nulls for departure in null.alarms]
    n_compared = sum(null.n_comparisons for null in proof.nulls)
    names = ", ".join(dict.fromkeys(null.name for null in proof.nulls))
    specs = ", ".join(dict.fromkeys(null.spec_name for null in proof.nulls))
    counts = f"{n_compared} comparisons, {len(alarms)} alarms"
    yield Sentence(f"null changes: {counts}; {names}; under {specs}")
    tightest = [
        f"{kind} {measure} {margin:.1f}"
        for (kind, measure), margin in list(least_margins(proof.nulls).items())[:5]
    ]
    yield Sentence(
        f"how many times their error fits into the gate, at least: {', '.join(tightest)}"
    )
    for null, each in alarms:
        where = f"{each.program} {each.point}, {each.quantity}"
        yield Sentence(f"alarm: {null.spec_name}, {null.name}: {where}", "bad")


def _tone(*, ok: bool) -> Tone:
    return "good" if ok else "bad"


def _digits(value: float | None) -> str:
    return NONE if value is None else f"{value:.2g}"


def _power(value: float | None) -> str:
    return NONE if value is None else f"{value:.0e}"
