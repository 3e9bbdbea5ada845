"""A document as GitHub-flavoured Markdown."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence

from harness.errors.safe import for_markdown, one_line, short
from harness.report.document import (
    Block,
    Cell,
    Code,
    Document,
    Figure,
    Heading,
    Paragraph,
    Sentence,
)
from harness.report.drawing import draw


def render(document: Document) -> str:
    """Return headings in bold, tables, sentences as lists, paragraphs, and drawings as code."""
    parts = []
    for is_list, blocks in itertools.groupby(document.blocks, lambda each: type(each) is Sentence):
        texts = [_text(block) for block in blocks]
        parts += ["\n".join(texts)] if is_list else texts
    return "\n\n".join(parts) + "\n"


def _text(block: Block) -> str:
    match block:
        case Heading(text):
            return f"**{for_markdown(text)}**"
        case Sentence(text):
            return f"- {for_markdown(text.removeprefix('! '))}"
        case Paragraph(sentences):
            return for_markdown(" ".join(sentences))
        case Figure():
            return f"```\n{draw(block)}\n```"
        case Code(text):
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
            return f"{fence}python\n{_printable(text)}\n{fence}"
    sides = ("---:" if column.align == "right" else "---" for column in block.columns)
    rule = f"| {' | '.join(sides)} |"
    titles = _row([column.title for column in block.columns])
    return "\n".join([titles, rule, *map(_row, block.rows)])


def _row(cells: Sequence[str | Cell]) -> str:
    return f"| {' | '.join(_cells(cells))} |"


def _cells(cells: Iterable[str | Cell]) -> Iterable[str]:
    for cell in cells:
        yield for_markdown(short(cell if isinstance(cell, str) else cell.text))


def _printable(text: str) -> str:
    """Return lines of code without characters that are commands."""
    return "\n".join(one_line(line) for line in text.split("\n"))
