"""A document's test cases as JUnit XML, for a CI that shows them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from harness.errors import ConfigError
from harness.report.document import Document
from harness.safe import attributes, for_xml


def render(document: Document) -> str:
    """Return the suite of a document.

    Raises:
        ConfigError: it has none.
    """
    suite = document.suite
    if suite is None:
        raise ConfigError("--format: junit: nothing here is a test case. Choose another format")
    outcomes = [case.outcome for case in suite.cases]
    counts = {
        "tests": str(len(outcomes)),
        "failures": str(outcomes.count("failure")),
        "errors": str(outcomes.count("error")),
        "skipped": str(outcomes.count("skipped")),
    }
    about = {"name": f"{suite.experiment} {suite.subject}", "timestamp": suite.started_at}
    if suite.total_s is not None:
        about["time"] = f"{suite.total_s:.3f}"
    root = ET.Element("testsuites", counts)
    element = ET.SubElement(root, "testsuite", attributes(about) | counts)
    for each in suite.cases:
        named = {"classname": f"{suite.experiment}.{suite.subject}", "name": each.name}
        case = ET.SubElement(element, "testcase", attributes(named))
        if each.outcome:
            problem = ET.SubElement(case, each.outcome, attributes({"message": each.message}))
            problem.text = for_xml(each.detail) or None
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
