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
STARTS = {"failed": "failed: ", "departs": "departs first at ", "no majority": "no majority: "}
LEGEND = (
    "agrees: the outputs of all layers, loss, gradients, optimizer slots and weights of one update "
    "are the other backends', to what float32 rounding costs this model. margin: how many times "
    "the error fits into the gate, at the gate where it fits least."
)


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


def terminal(parity: ModelParity) -> RenderableType:
    """Return what a terminal shows: a line for each backend, then the sentences."""
    batch = f"batch {parity.batch}" if parity.batch else f"batch drawn from seed {parity.seed}"
    sizes = f"{parity.n_parameters:,} weights, {parity.n_samples} samples"
    title = f"parity of {parity.model}: {sizes}, {batch}"
    columns = columns_of(HEADER, HEADER, ("version", "device", "keras"))
    first, *others = sentences(parity)
    shown: list[RenderableType] = [
        Sentence(title, "bold"),
        Fitting(columns, tuple(map(_row, parity.backends))),
        Sentence(first, STYLES[parity.verdict]),
    ]
    shown += [Sentence(text, "red") for text in others]
    shown += [Sentence(f"! {short(remark)}", "yellow") for remark in parity.remarks]
    return Group(*shown, *([Sentence(LEGEND, "dim")] if parity.verdict == "agrees" else []))


def _row(each: BackendParity) -> tuple[str | Text, ...]:
    """Return a backend as text, in the order of HEADER."""
    versions = each.versions.get("framework_version", "-"), each.versions.get("keras", "-")
    return (
        each.backend,
        *versions,
        each.device or "-",
        Text(each.verdict.upper(), STYLES[each.verdict]),
    )


def junit(parity: ModelParity) -> str:
    """Return JUnit XML with a test case for each backend."""
    n_errors = sum(each.verdict == "failed" for each in parity.backends)
    n_failures = sum(each.verdict in ("departs", "no majority") for each in parity.backends)
    numbers = {"tests": len(parity.backends), "failures": n_failures, "errors": n_errors}
    counts = {name: str(number) for name, number in numbers.items()}
    name, seconds = f"parity {parity.model}", f"{parity.total_s:.3f}"
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(
        suites,
        "testsuite",
        attributes({"name": name, "time": seconds, "timestamp": parity.started_at}) | counts,
    )
    for each in parity.backends:
        names = {"classname": f"parity.{parity.model}", "name": each.backend}
        case = ET.SubElement(suite, "testcase", attributes(names))
        if each.verdict != "agrees":
            tag = "error" if each.verdict == "failed" else "failure"
            message = attributes({"message": reason_of(each)})
            ET.SubElement(case, tag, message).text = for_xml("\n".join(sentences(parity)))
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
