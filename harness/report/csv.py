"""A row an arm as CSV, for spreadsheets and programs."""

from __future__ import annotations

from harness.errors.safe import as_csv
from harness.report.document import Document


def render(document: Document) -> str:
    """Return the rows under the first one's names; nothing where there are none."""
    return as_csv(document.rows)
