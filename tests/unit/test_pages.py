"""README and docs/: links lead somewhere, and README stays a page that one reads."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "results" / "README.md",  # what else is there, a run has left
    *sorted((ROOT / "results" / "reference").rglob("*.md")),
)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)#\s]*)(?:#([^)\s]+))?\)|!\[[^\]]*\]\(([^)\s]+)\)")


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_or_a_heading_leads_there(page):
    for name, anchor, picture in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match("[a-z]+:", name or picture):
            continue
        target = (page.parent / (name or picture)) if name or picture else page
        assert target.exists(), name or picture
        assert not anchor or anchor in anchors(target), anchor


def test_every_page_of_docs_is_linked_from_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [
        page.name for page in (ROOT / "docs").glob("*.md") if f"docs/{page.name}" not in text
    ]
    assert missing == []


def test_the_readme_has_at_most_120_lines_of_at_most_100_columns_and_900_words():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```|^[|>].*?$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert len(text.splitlines()) <= 120
    assert len(text.split()) <= 900
    assert [line for line in prose.splitlines() if len(line) > 100] == []
