"""What a terminal, a spreadsheet, a Markdown renderer and an XML parser make of a report."""

import csv
import io
import re
import unicodedata
import xml.etree.ElementTree as ET

from rich.console import Console

from harness.report import terminal

COMMANDS = ("Cc", "Cf", "Cs", "Zl", "Zp")


def assert_plain(text, allowed=""):
    strange = {
        mark for mark in text if mark not in allowed and unicodedata.category(mark) in COMMANDS
    }
    assert not strange, f"{sorted(map(ascii, strange))} in {text[:500]!a}"


def shown(renderable, widths=(60, 400)):
    """Return what a terminal of the last width shows; none of them gets a command."""
    for width in widths:
        for is_terminal in (False, True):
            console = Console(
                file=io.StringIO(),
                width=width,
                color_system=None,
                force_terminal=is_terminal,
                legacy_windows=False,
            )
            terminal.show(renderable, console)
            text = console.file.getvalue()  # type: ignore[attr-defined]
            assert_plain(text, "\n")
    return text


def assert_sound_csv(text):
    """Return the rows; each has the header's cells, and no text among them is a formula or has a
    line's end.
    """
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True) if text else [[]]
    for row in (header, *rows):
        assert len(row) == len(header)
        for cell in row:
            assert_plain(cell)
            assert not cell.lstrip().startswith(
                ("=", "+", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
            ), cell
            assert not cell.lstrip().startswith("-") or is_number(cell), cell
    return [dict(zip(header, row, strict=True)) for row in rows]


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def assert_sound_markdown(text):
    """Nothing is HTML or a link, and a table's rows have its header's cells."""
    assert_plain(text, "\n")
    assert "<" not in text
    assert not re.search(r"\][(\[:]", text)
    n_cells = 0
    for line in text.split("\n"):
        if not line.startswith("|"):
            n_cells = 0
            assert "|" not in line
            assert (
                not line or line.startswith(("- ", "**")) or not re.match(r"[#>~]|[-+=]+ ", line)
            ), line
            continue
        n_cells = n_cells or line.count("|")
        assert line.count("|") == n_cells
        assert line.endswith("|")


def assert_sound_xml(text):
    """Return the root of a JUnit file whose counts are right."""
    root = ET.fromstring(text)  # noqa: S314 - what the harness itself has made
    for element in root.iter():
        for value in (*element.attrib.values(), element.text or ""):
            assert_plain(value, "\n")
    assert len(list(root.iter("testcase"))) == int(root.attrib["tests"])
    return root
