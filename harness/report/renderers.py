"""The formats of a document. A new one is a module with `render` in this folder, and its name."""

from __future__ import annotations

from importlib import import_module

from harness.report.document import Document

FORMATS = ("terminal", "markdown", "csv", "json", "junit")  # that a command prints; a notebook's
# is no file's


def render(document: Document, name: str) -> str:
    """Return a document as text in the format of that name, one of `FORMATS`."""
    text: str = import_module(f"harness.report.{name}").render(document)
    return text
