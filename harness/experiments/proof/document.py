"""Proof -> terminal: what was planted and where it was caught, what must not matter and did not, how small an error is seen."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from harness.experiments.proof.prove import Kill, Proof, least_margins
from harness.experiments.proof.sensitivity import Seen
from harness.report.fitting import Fitting, Sentence, columns_of

KILLS = ("planted", "caught at", "error", "gate", "said", "production", "why there")
CURVE = ("off by a part of itself", "seen from", "must be", "stage")
LEGEND = (
    "caught at: the first quantity that departs by its own making, of a program laid open; loop: over two epochs in small; "
    "epoch: over the whole first one, as far as that update. "
    "production: the same where a program hands back its outputs, loss and new state only."
)


def terminal(proof: Proof) -> RenderableType:
    """Return what a terminal shows: the kill matrix, the null changes, the smallest errors that are seen."""
    caught = sum(bool(kill.stage) for kill in proof.kills)
    title = f"planted defects: {caught} of {len(proof.kills)} caught, {sum(kill.as_expected for kill in proof.kills)} where they must be"
    return Group(
        Sentence(title, "bold"),
        Fitting(
            columns_of(KILLS, KILLS, KILLS[2:]),
            tuple((kill.defect.name, *_caught(kill), kill.defect.why) for kill in proof.kills),
        ),
        *_nulls(proof),
        Sentence("smallest relative error that is seen", "bold"),
        Fitting(columns_of(CURVE, CURVE), tuple(map(_seen, proof.curve))),
        *_verdict(proof),
        Sentence(LEGEND, "dim"),
    )


def _seen(seen: Seen) -> tuple[str | Text, ...]:
    """Return one kind of error as text, in the order of CURVE."""
    stage = Text(seen.stage, style=_style(ok=seen.kept))
    return (seen.target.name, _power(seen.smallest), _power(seen.target.promised), stage)


def _caught(kill: Kill) -> tuple[Text | str, ...]:
    if not kill.departures:
        return (Text("SURVIVED", style="red"), "-", "-", "", "-")
    first = kill.departures[0]
    stage = Text(
        kill.stage if kill.as_expected else f"{kill.stage}, expected {kill.defect.at}",
        style=_style(ok=kill.as_expected),
    )
    return (stage, _number(first.error), _number(first.gate), first.fit, kill.production)


def _nulls(proof: Proof) -> list[RenderableType]:
    """Return the sentences on what must not matter, with the tightest gates."""
    alarms = [(null, departure) for null in proof.nulls for departure in null.alarms]
    compared, specs = (
        sum(null.n_comparisons for null in proof.nulls),
        dict.fromkeys(null.spec_name for null in proof.nulls),
    )
    names = dict.fromkeys(null.name for null in proof.nulls)
    tightest = [
        f"{kind} {measure} {margin:.1f}"
        for (kind, measure), margin in list(least_margins(proof.nulls).items())[:5]
    ]
    return [
        Sentence(
            f"null changes: {compared} comparisons, {len(alarms)} alarms; {', '.join(names)}; under {', '.join(specs)}"
        ),
        Sentence(f"how many times their error fits into the gate, at least: {', '.join(tightest)}"),
        *(
            Sentence(
                f"alarm: {null.spec_name}, {null.name}: {each.program} {each.point}, {each.quantity}",
                "red",
            )
            for null, each in alarms
        ),
        Text(),
    ]


def _verdict(proof: Proof) -> list[RenderableType]:
    said = (
        "the gate fails where it must, and only there"
        if proof.holds
        else "the gate is not what it should be: see what is red"
    )
    return [Sentence(f"{said} ({proof.total_s:.1f} s)", _style(ok=proof.holds))]


def _style(*, ok: bool) -> str:
    return "green" if ok else "red"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"


def _power(value: float | None) -> str:
    return "-" if value is None else f"{value:.0e}"
