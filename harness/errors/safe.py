"""Text from elsewhere made safe for what it goes into: a terminal, CSV, Markdown, XML.

Names, reasons and versions come from records, file names, configuration, workers and servers. Each
may hold what a terminal, a spreadsheet, a web page or an XML reader takes for a command. Every
renderer sends such text through here.
"""

from __future__ import annotations

import csv
import html
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping

from harness.errors import clipped

MOST = 300  # characters of one value that are shown
UNKNOWN = "\ufffd"  # in place of a character that is a command
FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20"  # a spreadsheet takes text that begins so for a formula
# What Markdown takes for HTML, a cell's end, code or emphasis; a link; a quotation, a fence,
# a heading or a list.
MARKDOWN = re.compile(r"[<|`*\\]|\](?=[(\[:])|^[>~]|^[#+=-](?=[#+=-]* )")


def one_line(text: str) -> str:
    """Return text as one line.

    White space as spaces; control, format and surrogate characters as U+FFFD.
    """
    return "".join(map(_plain, text)) if not (text.isascii() and text.isprintable()) else text


def _plain(mark: str) -> str:
    if mark.isspace():
        return " "
    return UNKNOWN if unicodedata.category(mark) in ("Cc", "Cf", "Cs") else mark


def short(value: object, most: int = MOST) -> str:
    """Return a value as one line of at most so many characters; see `harness.errors.clipped`."""
    return one_line(clipped(str(value), most))


def for_terminal(text: str) -> str:
    """Return lines that cannot move a terminal's cursor, colour it or turn its text round.

    All lines but the first are indented, so that none of them looks like one of this program's own.
    """
    first, *others = text.split("\n")
    return "\n".join(
        [short(first, 10 * MOST), *(f"  {short(line.strip(), 10 * MOST)}" for line in others)]
    )


def for_csv(value: object) -> object:
    """Return a cell that no spreadsheet calculates; what is not text stays as it is."""
    if not isinstance(value, str) or (value.isascii() and value.isalnum()):
        return value
    line = one_line(value)
    return f"'{line}" if line.lstrip().startswith(tuple(FORMULA)) else line


def as_csv(rows: Iterable[Mapping[str, object]]) -> str:
    """Return rows as CSV under the first one's keys, which all have.

    Empty where there are none. Text is safe for a spreadsheet.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, values in enumerate(rows):
        if number == 0:
            writer.writerow(map(for_csv, values))
        writer.writerow([for_csv(each) if type(each) is str else each for each in values.values()])
    return text.getvalue()


def for_markdown(text: str) -> str:
    """Return text that stays text in GitHub-flavoured Markdown, wherever it stands.

    That is a table's cell, a list or a line of its own.
    """
    return MARKDOWN.sub(lambda mark: f"&#{ord(mark[0])};", one_line(text))


def for_html(text: str, *, lines: bool = False) -> str:
    """Return text that stays text wherever it stands in HTML, as one line unless it has lines."""
    return html.escape("\n".join(map(one_line, text.split("\n"))) if lines else one_line(text))


def for_xml(text: str) -> str:
    """Return lines of characters that XML 1.0 allows; the writer escapes its own marks."""
    lines = (one_line(line) for line in text.split("\n"))
    return "\n".join(lines).replace("\ufffe", UNKNOWN).replace("\uffff", UNKNOWN)
