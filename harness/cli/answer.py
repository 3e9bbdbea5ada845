"""What a verb found, as a value: the command shows it, and a function of Python returns it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.report.document import Document


@dataclass(frozen=True, kw_only=True, repr=False)
class Answer:
    """What a verb found; printed it is the verb's table, and a notebook shows it as one."""

    document: Document
    record: Any = None  # what it is computed from, of harness.records
    exit_code: int = 0  # that the command ends with
    files: Mapping[str, Path | None] = field(default_factory=dict)  # where else it goes, by format
    for_summary: bool = False  # whether a CI's summary shows it
    kept: Path | None = None  # the file that holds a new record
    write_page: Callable[[], None] = lambda: None  # the report page, where one is asked for

    def __str__(self) -> str:
        """Return it as in a pipe: every column, no colour."""
        from harness.report.renderers import render

        return render(self.document, "terminal").rstrip("\n")

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return it as a notebook shows it."""
        from harness.report.renderers import render

        return render(self.document, "notebook")

    @property
    def findings(self) -> Any:
        """All that was found, as the option --json writes it: dicts, lists, text and numbers."""
        from harness.report.json import plain

        return plain(self.document.data)
