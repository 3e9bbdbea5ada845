"""The check of a user's own model -> a chart of its layers."""

from __future__ import annotations

from harness.records.user_model import Compared, ModelParity
from harness.report.charts import Axis, Chart, Gap, Gaps
from harness.report.document import NONE, Column, Table, words

N_SHOWN = 60  # quantities of a picture; the table has all


def layers(check: ModelParity) -> Chart | None:
    """Return how far each quantity of a user's model is off, by what it may be off."""
    known = [each for each in check.compared if each.error and each.gate]
    if not known:
        return None
    off = [each for each in check.compared if each.state != "agree"]
    rows = (
        Gap(each.quantity, each.error or 0.0, each.gate or 0.0, each.state == "agree")
        for each in _shown(known, off)
    )
    return Chart(
        "layers",
        "Which layer of your model?",
        _finding(check, off),
        "From the first layer's outputs to the new weights. The dot is the largest relative "
        "difference between backends, the stroke its gate: a dot left of its stroke agrees.",
        Table(
            (
                *words("quantity", "layer", "state"),
                Column("error"),
                Column("gate"),
                *words("apart"),
            ),
            tuple(_row(each) for each in check.compared),
        ),
        Gaps(tuple(rows), Axis("relative difference", "log")),
    )


def _finding(check: ModelParity, off: list[Compared]) -> str:
    if not off:
        return f"All {len(check.compared)} quantities of {check.model} agree on every backend."
    where = f" on {', '.join(off[0].apart)}" if off[0].apart else ""
    n_off = f"{len(off)} of {len(check.compared)} quantities of {check.model} do not agree"
    return f"{n_off}; the first is {off[0].quantity}{where}."


def _shown(known: list[Compared], off: list[Compared]) -> list[Compared]:
    """Return those that a picture has room for: around the first that is off."""
    at = known.index(off[0]) if off and off[0] in known else 0
    first = max(0, min(at - N_SHOWN // 2, len(known) - N_SHOWN))
    return known[first : first + N_SHOWN]


def _row(each: Compared) -> tuple[str, ...]:
    error, gate = (NONE if value is None else f"{value:.1e}" for value in (each.error, each.gate))
    return (each.quantity, each.layer, each.state, error, gate, ", ".join(each.apart))
