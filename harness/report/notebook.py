"""A document as a fragment of HTML, as a notebook shows a value; every text is escaped."""

from __future__ import annotations

from harness.errors.safe import for_html, short
from harness.report.document import (
    Block,
    Cell,
    Code,
    Column,
    Document,
    Figure,
    Heading,
    Paragraph,
    Sentence,
    Table,
    Tone,
)
from harness.report.drawing import draw

MARKS: dict[Tone, str] = {
    "strong": "strong",
    "bad": "strong",
    "warning": "strong",
    "aside": "small",
}


def render(document: Document) -> str:
    """Return headings, tables, sentences and drawings as HTML without a page around them."""
    return "\n".join(["<div>", *map(_element, document.blocks), "</div>\n"])


def _element(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<p><strong>{for_html(text)}</strong></p>"
        case Sentence(text, tone):
            return f"<p>{_marked(text, tone)}</p>"
        case Paragraph(sentences, tone):
            return f"<p>{_marked(' '.join(sentences), tone)}</p>"
        case Code(text):
            return f"<pre>{for_html(text, lines=True)}</pre>"
        case Figure():
            return f"<pre>{for_html(draw(block), lines=True)}</pre>"
    return _table(block)


def _table(table: Table) -> str:
    titles = "".join(
        f'<th scope="col">{for_html(short(each.title))}</th>' for each in table.columns
    )
    rows = "".join(f"<tr>{''.join(map(_cell, table.columns, row))}</tr>\n" for row in table.rows)
    return f"<table>\n<thead><tr>{titles}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>"


def _cell(column: Column, cell: str | Cell) -> str:
    text, tone = (cell.text, cell.tone) if isinstance(cell, Cell) else (cell, "plain")
    return f'<td style="text-align: {column.align}">{_marked(short(text), tone)}</td>'


def _marked(text: str, tone: str) -> str:
    """Return text, escaped, in an element that says what it means to its reader."""
    mark = MARKS.get(tone)  # type: ignore[call-overload]
    return f"<{mark}>{for_html(text)}</{mark}>" if mark else for_html(text)
