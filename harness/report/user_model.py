"""ModelParity -> sentences, terminal, JUnit XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from rich.console import Group, RenderableType
from rich.text import Text

from harness.records.user_model import BackendParity, ModelParity
from harness.report.fitting import Fitting, Sentence, columns_of
from harness.safe import attributes, for_xml, short

HEADER = ("backend", "version", "keras", "device", "verdict")
STYLES = {"agrees": "green", "departs": "red", "failed": "red", "no majority": "yellow"}
LEGEND = (
    "agrees: the outputs of all layers, loss, gradients, optimizer slots and weights of one update are the other backends', to what "
    "float32 rounding costs this model. margin: how many times the error fits into the gate, at the gate where it fits least."
)


def sentences(parity: ModelParity) -> list[str]:
    """Return what a check came to, the whole first, then a line for each backend that does not agree."""
    names = ", ".join(each.backend for each in parity.backends)
    if parity.verdict == "agrees":
        figures = f"{len(parity.compared)} quantities, {parity.n_compared:,} values"
        margin = (
            f", margin {parity.margin:.1f} at {parity.tightest}"
            if parity.margin is not None
            else ""
        )
        return [f"{parity.model}: AGREES on {names}: {figures}{margin}"]
    bad = [each for each in parity.backends if each.verdict not in ("agrees", "no majority")]
    said = [f"{parity.model}: {parity.verdict.upper()}, of {names}"]
    if not bad:  # then all of them say the same
        return [*said, f"{names}: {short(parity.backends[0].reason)}"]
    agreeing = [each.backend for each in parity.backends if each.verdict == "agrees"]
    undecided = [each for each in parity.backends if each.verdict == "no majority"]
    said += [f"{each.backend} {line(each)}" for each in bad]
    said += [f"{' and '.join(each.backend for each in undecided)}: no majority: {short(undecided[0].reason)}"] if undecided else []
    return [*said, *([f"{' and '.join(agreeing)} agree"] if len(agreeing) > 1 else [])]


def line(each: BackendParity) -> str:
    """Return what is said of one backend that does not agree."""
    return {"failed": "failed: ", "departs": "departs first at ", "no majority": "no majority: "}.get(each.verdict, "") + short(each.reason)


def terminal(parity: ModelParity) -> RenderableType:
    """Return what a terminal shows: a line for each backend, then the sentences."""
    batch = f"batch {parity.batch}" if parity.batch else f"batch drawn from seed {parity.seed}"
    title = f"parity of {parity.model}: {parity.n_parameters:,} weights, {parity.n_samples} samples, {batch}"
    columns = columns_of(HEADER, HEADER, ("version", "device", "keras"))
    said = sentences(parity)
    shown: list[RenderableType] = [Sentence(title, "bold"), Fitting(columns, tuple(map(_row, parity.backends)))]
    shown += [Sentence(said[0], STYLES[parity.verdict]), *(Sentence(text, "red") for text in said[1:])]
    shown += [Sentence(f"! {short(remark)}", "yellow") for remark in parity.remarks]
    return Group(*shown, *([Sentence(LEGEND, "dim")] if parity.verdict == "agrees" else []))


def _row(each: BackendParity) -> tuple[str | Text, ...]:
    """Return a backend as text, in the order of HEADER."""
    versions = each.versions.get("framework_version", "-"), each.versions.get("keras", "-")
    return (each.backend, *versions, each.device or "-", Text(each.verdict.upper(), STYLES[each.verdict]))


def junit(parity: ModelParity) -> str:
    """Return JUnit XML: a test case a backend, for a CI that shows it."""
    n_errors = sum(each.verdict == "failed" for each in parity.backends)
    n_failures = sum(each.verdict in ("departs", "no majority") for each in parity.backends)
    counts = {
        "tests": str(len(parity.backends)),
        "failures": str(n_failures),
        "errors": str(n_errors),
    }
    whole = ET.Element("testsuites", counts)
    more = {"name": f"parity {parity.model}", "time": f"{parity.total_s:.3f}", "timestamp": parity.started_at}
    suite = ET.SubElement(whole, "testsuite", {**attributes(more), **counts})
    for each in parity.backends:
        named = {"classname": f"parity.{parity.model}", "name": each.backend}
        case = ET.SubElement(suite, "testcase", attributes(named))
        if each.verdict != "agrees":
            tag = "error" if each.verdict == "failed" else "failure"
            message = attributes({"message": line(each)})
            ET.SubElement(case, tag, message).text = for_xml("\n".join(sentences(parity)))
    ET.indent(whole)
    return ET.tostring(whole, encoding="unicode", xml_declaration=True) + "\n"
