"""The check of a user's own model -> a chart of its layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.records.user_model import Compared, ModelParity
from harness.report.charts import Axis, Chart, Gap, Gaps
from harness.report.document import NONE, Column, Table, words

N_SHOWN = 60  # quantities of a picture; the table has all


def layers(check: ModelParity) -> Chart | None:
    """Return how far each quantity of a user's model is off, by what it may be off."""
    worst = _worst(check.compared)
    known = [each for each in worst if each.error and each.gate]
    if not known:
        return None
    rows = (
        Gap(each.quantity, each.error or 0.0, each.gate or 0.0, not _is_off(each))
        for each in _shown(known, [each for each in worst if _is_off(each)])
    )
    columns = (*words("quantity", "layer", "verdict", "where"), Column("error"), Column("gate"))
    return Chart(
        "layers",
        "Which layer of your model?",
        _finding(check, worst),
        "From the first layer's outputs to the new weights, each at the state where it fits least. "
        "The dot is the largest relative difference between backends, the stroke its gate: a dot "
        "left of its stroke agrees. What is equal to the bit is in the table alone.",
        Table((*columns, *words("apart")), tuple(map(_row, worst))),
        Gaps(tuple(rows), Axis("relative difference", "log")),
    )


def _is_off(each: Compared) -> bool:
    """Say whether a quantity departs; one that rounding alone decides does not."""
    return each.state not in ("agree", "undecided") or bool(each.kernel)


def _worst(compared: Iterable[Compared]) -> list[Compared]:
    """Return each quantity once, in the order of a step: where it departs, or else fits least."""
    found: dict[str, Compared] = {}
    for each in compared:
        before = found.get(each.quantity)
        if before is None or _badness(each) > _badness(before):
            found[each.quantity] = each
    return list(found.values())


def _badness(each: Compared) -> tuple[bool, float]:
    return _is_off(each), (each.error or 0.0) / each.gate if each.gate else 0.0


def _finding(check: ModelParity, worst: Sequence[Compared]) -> str:
    first = next(filter(_is_off, check.compared), None)
    if first:
        n_off = sum(map(_is_off, worst))
        apart = ", ".join(first.apart or first.kernel)
        where = f" on {apart}" if apart else ""
        told = f"{n_off} of {len(worst)} quantities of {check.called} do not agree"
        return f"{told}; the first is {first.quantity}{where}."
    return _agreement(check, worst)


def _agreement(check: ModelParity, worst: Sequence[Compared]) -> str:
    judged = [each for each in worst if each.state == "agree"]
    whole, n_states = len(judged) == len(worst), len({each.at for each in check.compared})
    n_agree = f"All {len(worst)}" if whole else f"{len(judged)} of {len(worst)}"
    finding = f"{n_agree} quantities of {check.called} agree on every backend"
    finding += f", at each of {n_states} states" if n_states > 1 else ""
    tightest = max(judged, key=_badness, default=None)
    if tightest and tightest.error and tightest.gate:
        margin = tightest.gate / tightest.error
        finding += f"; at the tightest, {tightest.quantity}, the error fits {margin:.3g} times"
    return f"{finding}." if whole else f"{finding}. Rounding alone decides the others."


def _shown(known: Sequence[Compared], off: Sequence[Compared]) -> Sequence[Compared]:
    """Return those that a picture has room for: around the first that is off."""
    at = known.index(off[0]) if off and off[0] in known else 0
    first = max(0, min(at - N_SHOWN // 2, len(known) - N_SHOWN))
    return known[first : first + N_SHOWN]


def _row(each: Compared) -> tuple[str, ...]:
    error, gate = (NONE if value is None else f"{value:.1e}" for value in (each.error, each.gate))
    state = "departs in its own dtype" if each.kernel and each.state == "agree" else each.state
    where, apart = each.at or "first update", ", ".join(each.apart or each.kernel)
    return (each.quantity, each.layer, state, where, error, gate, apart)
