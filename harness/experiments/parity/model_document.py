"""ModelParity -> Document: does a user's model compute the same on each backend?"""

from __future__ import annotations

from harness.records.user_model import BackendParity, ModelParity
from harness.report import document as report
from harness.report.document import (
    NONE,
    Block,
    Case,
    Cell,
    Column,
    Document,
    Heading,
    Outcome,
    Paragraph,
    Sentence,
    Suite,
    Table,
    Tone,
)
from harness.safe import short

COLUMNS = (
    Column("backend", align="left"),
    Column("version", 1, align="left"),
    Column("keras", 3, align="left"),
    Column("device", 2, align="left"),
    Column("verdict", align="left"),
)
TONES: dict[str, Tone] = {
    "agrees": "good",
    "departs": "bad",
    "failed": "bad",
    "no majority": "warning",
}
STARTS = {"failed": "failed: ", "departs": "departs first at ", "no majority": "no majority: "}
LEGEND = (
    "agrees: the outputs of all layers, loss, gradients, optimizer slots and weights of one update "
    "are the other backends', to what float32 rounding costs this model. margin: how many times "
    "the error fits into the gate, at the gate where it fits least."
)


def compose(parity: ModelParity) -> Document:
    """Return a line for each backend, then the sentences."""
    batch = f"batch {parity.batch}" if parity.batch else f"batch drawn from seed {parity.seed}"
    sizes = f"{parity.n_parameters:,} weights, {parity.n_samples} samples"
    first, *others = sentences(parity)
    blocks: list[Block] = [
        Heading(f"parity of {parity.model}: {sizes}, {batch}"),
        Table(COLUMNS, tuple(map(_row, parity.backends))),
        Sentence(first, TONES[parity.verdict]),
        *report.sentences(others, "bad"),
        *report.sentences((f"! {short(remark)}" for remark in parity.remarks), "warning"),
    ]
    legend = [Paragraph((LEGEND,), "aside")] if parity.verdict == "agrees" else []
    return Document((*blocks, *legend), data=parity, suite=_suite(parity))


def sentences(parity: ModelParity) -> list[str]:
    """Return the verdict of a check, then a line for each backend that does not agree."""
    names = _names(parity)
    if parity.verdict == "agrees":
        figures = f"{len(parity.compared)} quantities, {parity.n_compared:,} values"
        if parity.margin is not None:
            figures += f", margin {parity.margin:.1f} at {parity.tightest}"
        return [f"{parity.model}: AGREES on {', '.join(names)}: {figures}"]
    apart = [each for each in parity.backends if each.verdict in ("failed", "departs")]
    found = [f"{parity.model}: {parity.verdict.upper()}, of {', '.join(names)}"]
    if not apart:  # then all of them have the same reason
        return [*found, f"{', '.join(names)}: {short(parity.backends[0].reason)}"]
    found += [f"{each.backend} {reason_of(each)}" for each in apart]
    reason = next((each.reason for each in parity.backends if each.verdict == "no majority"), "")
    if reason:
        found.append(f"{' and '.join(_names(parity, 'no majority'))}: no majority: {short(reason)}")
    agreeing = _names(parity, "agrees")
    return [*found, f"{' and '.join(agreeing)} agree"] if len(agreeing) > 1 else found


def _names(parity: ModelParity, verdict: str = "") -> list[str]:
    """Return the names of the backends with that verdict, or of all of them."""
    return [each.backend for each in parity.backends if verdict in ("", each.verdict)]


def reason_of(each: BackendParity) -> str:
    """Return why one backend does not agree."""
    return STARTS.get(each.verdict, "") + short(each.reason)


def _row(each: BackendParity) -> tuple[str | Cell, ...]:
    """Return a backend as text, in the order of COLUMNS."""
    versions = (each.versions.get(name, NONE) for name in ("framework_version", "keras"))
    verdict = Cell(each.verdict.upper(), TONES[each.verdict])
    return (each.backend, *versions, each.device or NONE, verdict)


def _suite(parity: ModelParity) -> Suite:
    """Return a test case for each backend."""
    detail = "\n".join(sentences(parity))
    cases = []
    for each in parity.backends:
        outcome: Outcome = "error" if each.verdict == "failed" else "failure"
        agrees = each.verdict == "agrees"
        cases.append(
            Case(each.backend) if agrees else Case(each.backend, outcome, reason_of(each), detail)
        )
    return Suite("parity", parity.model, parity.started_at, tuple(cases), parity.total_s)
