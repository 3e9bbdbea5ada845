"""ModelParity -> Document: does a user's model compute the same on each backend?"""

from __future__ import annotations

from harness.errors.safe import short
from harness.records.keras_versions import first_apart, rising
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

COLUMNS = (
    Column("backend", align="left"),
    Column("version", 1, align="left"),
    Column("keras", 3, align="left"),
    Column("device", 2, align="left"),
    Column("float64", 4),
    Column("own dtype", 5),
    Column("verdict", align="left"),
)
OPEN = ("differ", "undecided", "no majority")  # verdicts that all backends share
TONES: dict[str, Tone] = {
    "agrees": "good",
    "departs": "bad",
    "failed": "bad",
    **dict.fromkeys(OPEN, "warning"),
}
STARTS = {"failed": "failed: ", "departs": "departs first at "}
LEGEND = (
    "agrees: the outputs of all layers, loss, gradients, optimizer slots and weights of one update "
    "are the other backends' in float64, from each state; in the model's own dtype no layer's "
    "output is 5 times as far from float64 as on the others. margin: how many times the error fits "
    "into the gate, at the gate where it fits least. float64: how far the nearest other backend is "
    "at most; own dtype: how far an output is from float64 at most."
)


def compose(parity: ModelParity) -> Document:
    """Return a line for each backend, then the sentences."""
    batch = f"batch {parity.batch}" if parity.batch else f"batch drawn from seed {parity.seed}"
    sizes = f"{parity.n_parameters:,} weights, {parity.n_samples} samples"
    batch += f", {parity.replicas} devices" if parity.replicas > 1 else ""
    first, *others = sentences(parity)
    blocks: list[Block] = [
        Heading(f"parity of {parity.called}: {sizes}, {batch}"),
        Table(COLUMNS, tuple(_row(each, parity) for each in parity.backends)),
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
        return [f"{parity.called}: AGREES on {', '.join(names)}: {_figures(parity)}"]
    apart = [each for each in parity.backends if each.verdict in ("failed", "departs")]
    found = [f"{parity.called}: {parity.verdict.upper()}, of {', '.join(names)}"]
    if not apart:  # then all of them have the same reason
        open_question = f"{', '.join(names)}: {short(parity.backends[0].reason)}"
        return [*found, open_question, *_first_change(parity)]
    found += [f"{each.backend} {reason_of(each)}" for each in apart]
    found += [*_open_questions(parity), *_first_change(parity)]
    agreeing = _names(parity, "agrees")
    return [*found, f"{' and '.join(agreeing)} agree"] if len(agreeing) > 1 else found


def _first_change(parity: ModelParity) -> list[str]:
    """Return which Keras is the first with another answer, where several are compared."""
    versions = {each.backend: each.versions for each in parity.backends}
    order = rising(tuple(versions.values()), tuple(versions))
    apart = {each.backend for each in parity.backends if each.verdict != "agrees"}
    first = first_apart(order, apart)
    if not first:
        return []
    before = versions[order[order.index(first) - 1]]["keras"]
    return [f"changed first in Keras {versions[first]['keras']}: {before} computes otherwise"]


def _figures(parity: ModelParity) -> str:
    """Return how much agrees, and by how much."""
    n_quantities = len({each.quantity for each in parity.compared})
    n_states = len({each.at for each in parity.compared})
    found = f"{n_quantities} quantities, {parity.n_compared:,} values"
    found += f", {n_states} states" if n_states > 1 else ""
    known = [each.several for each in parity.backends if each.several is not None]
    devices = f"trained on {parity.replicas} devices as on one"
    found += f", {devices} to {max(known):.0e}" if known else ""
    margin = parity.margin
    return found if margin is None else f"{found}, margin {margin:.1f} at {parity.tightest}"


def _open_questions(parity: ModelParity) -> list[str]:
    """Return a sentence for the backends of which nobody can tell, by verdict."""
    found = []
    for verdict in OPEN:
        unsure = [each for each in parity.backends if each.verdict == verdict]
        if unsure:
            several = " and ".join(each.backend for each in unsure)
            found.append(f"{several}: {verdict}: {short(unsure[0].reason)}")
    return found


def _names(parity: ModelParity, verdict: str = "") -> list[str]:
    """Return the names of the backends with that verdict, or of all of them."""
    return [each.backend for each in parity.backends if verdict in ("", each.verdict)]


def reason_of(each: BackendParity) -> str:
    """Return why one backend does not agree."""
    proof = f". Proof: {short(each.proof)}" if each.proof else ""
    return STARTS.get(each.verdict, "") + short(each.reason) + proof


def _row(each: BackendParity, parity: ModelParity) -> tuple[str | Cell, ...]:
    """Return a backend as text, in the order of COLUMNS."""
    versions = (each.versions.get(name, NONE) for name in ("framework_version", "keras"))
    judged = [one for one in parity.compared if one.referee == "float64"]
    exact = [one.exact.get(each.backend) for one in judged if one.state != "undecided"]
    rounded = [one.rounded.get(each.backend) for one in parity.compared if one.layer]
    sizes = (_largest(exact), _largest(rounded))
    verdict = Cell(each.verdict.upper(), TONES[each.verdict])
    return (each.backend, *versions, each.device or NONE, *sizes, verdict)


def _largest(figures: list[float | None]) -> str:
    known = [figure for figure in figures if figure is not None]
    return f"{max(known):.0e}" if known else NONE


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
    return Suite("parity", parity.called, parity.started_at, tuple(cases), parity.total_s)
