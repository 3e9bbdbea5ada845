"""A document's test cases as JUnit XML, for a CI that shows them."""

from __future__ import annotations

from collections.abc import Mapping

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from harness.errors import ConfigError
from harness.errors.safe import for_xml, one_line
from harness.report.document import Case, Document

DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'
RESULTS: Mapping[str, type[Failure | Error | Skipped]] = {
    "failure": Failure,
    "error": Error,
    "skipped": Skipped,
}


def render(document: Document) -> str:
    """Return the suite of a document.

    Raises:
        ConfigError: it has none.
    """
    suite = document.suite
    if suite is None:
        raise ConfigError("--format: junit: nothing here is a test case. Choose another format")
    found = TestSuite(_line(f"{suite.experiment} {suite.subject}"))
    found.timestamp = _line(suite.started_at)
    group = _line(f"{suite.experiment}.{suite.subject}")
    found.add_testcases([_case(each, group) for each in suite.cases])
    root = JUnitXml()
    root.add_testsuite(found)
    root.update_statistics()
    root.time = found.time = round(suite.total_s or 0.0, 3)  # of the whole: no case is timed
    return f"{DECLARATION}\n{root.tostring().decode()}\n"


def _case(case: Case, group: str) -> TestCase:
    found = TestCase(_line(case.name), group)
    if case.outcome:
        result = RESULTS[case.outcome](_line(case.message))
        if detail := for_xml(case.detail):
            result.text = detail
        found.result = [result]
    return found


def _line(text: str) -> str:
    return one_line(for_xml(text))
