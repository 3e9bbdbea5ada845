"""The formats of a document: a new one is a new file and its name in a table."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.report.document import Document, Heading, Paragraph, Sentence, Table, words
from harness.report.renderers import render

HARNESS = Path(__file__).resolve().parents[2] / "harness"
UPPER = """
def render(document):
    return " ".join(block.text for block in document.blocks).upper()
"""
ASK = """
from harness.report.document import Document, Heading
from harness.report.renderers import render
print(render(Document((Heading("new"),)), "upper"))
"""


def test_a_new_format_is_a_new_file_and_an_entry_of_the_table(tmp_path):
    shutil.copytree(HARNESS, tmp_path / "harness")
    (tmp_path / "harness/report/upper.py").write_text(UPPER)
    table = tmp_path / "harness/report/renderers.py"
    table.write_text(table.read_text().replace('"junit")', '"junit", "upper")'))
    (tmp_path / "ask.py").write_text(ASK)
    assert _run(tmp_path, "ask.py") == "NEW\n"
    assert "upper" in _run(tmp_path, "-m", "harness", "compare", "--help")


def _run(folder, *arguments):
    """Return what Python prints that imports the copy."""
    call = (sys.executable, "-P", *arguments)
    environment = {"PYTHONPATH": str(folder), "COLUMNS": "150"}
    return subprocess.run(
        call, cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_markdown_lists_sentences_and_lets_paragraphs_stand():
    document = Document(
        (
            Heading("what"),
            Table(words("a", "b"), (("1", "x|y"),)),
            Sentence("one"),
            Sentence("! two", "warning"),
            Paragraph(("three.", "Four.")),
        )
    )
    assert render(document, "markdown") == (
        "**what**\n\n| a | b |\n| --- | --- |\n| 1 | x&#124;y |\n\n- one\n- two\n\nthree. Four.\n"
    )


def test_json_holds_nothing_where_a_number_is_not_finite():
    found = {"mean": float("nan"), "most": (float("inf"), 1.5)}
    assert render(Document((), data=found), "json") == (
        '{\n "mean": null,\n "most": [\n  null,\n  1.5\n ]\n}\n'
    )


def test_a_document_without_test_cases_is_refused_as_junit():
    with pytest.raises(ConfigError, match="--format: junit: nothing here is a test case"):
        render(Document(()), "junit")
