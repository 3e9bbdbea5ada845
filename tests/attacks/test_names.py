"""One hostile name wherever a name can stand, in every format: no markup, formula or command."""

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import JUnitXml

from harness.report import html
from harness.report.charts import Axis, Chart, Estimate, Estimates, Page, Tile
from harness.report.document import (
    Case,
    Document,
    Heading,
    Paragraph,
    Sentence,
    Suite,
    Table,
    words,
)
from harness.report.renderers import render
from harness.statistics.intervals import Interval
from tests.attacks.hostile import TEXTS, cases
from tests.attacks.parsing import (
    assert_plain,
    assert_sound_csv,
    assert_sound_markdown,
    assert_sound_xml,
    shown,
)

LONG = st.integers(1, 10_000).flatmap(lambda n: TEXTS.map(lambda text: (text * n)[:n]))
MARKUP = st.sampled_from(
    [
        "</script><script>alert(1)</script>",
        "</svg></style><img src=x onerror=alert(1)>",
        "\"'><b>&lt;&#60; {{ 7 * 7 }} {% raw %} url(javascript:1)",
        "datum.value); fetch('//a') //",
        "</title></head><body onload=x>",
    ]
)
NAMES = st.one_of(TEXTS, LONG, st.tuples(TEXTS, MARKUP, TEXTS).map("".join)).filter(str.strip)


class Reader(HTMLParser):
    """The tags with their attributes' names, in order, and the texts that a reader sees."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.data, self.inside = [], [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, tuple(name for name, _ in attributes)))
        self.inside.append((tag, dict(attributes).get("id")))
        self.texts += [value for _, value in attributes if value]

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, tuple(name for name, _ in attributes)))

    def handle_data(self, data):
        if self.inside[-1:] == [("script", "data")]:
            self.data += data
        elif self.inside and self.inside[-1][0] not in ("script", "style"):
            self.texts.append(data)


def chart_of(name):
    estimate = Estimate(name, Interval(0.5, 0.7, 0.9), name, "good")
    other = Estimate("other", Interval(1, 1, 1))
    table = Table(words(name, "b"), ((name, name),))
    return Chart(
        "forest", "What?", name, name, table, Estimates((estimate, other), Axis("x", "log"))
    )


def page_of(name):
    tile = Tile("Which?", name, name)
    return html.render(Page(name, name, (tile,), (chart_of(name),), (name,), (name,), {name: name}))


def document_of(name):
    case = Case(name, "failure", name, f"{name}\n{name}")
    return Document(
        (
            Heading(f"of {name}"),
            Table(words("arm", name), ((name, name),)),
            Sentence(f"{name} and so on"),
            Paragraph((f"It is {name}.", name)),
        ),
        data={"name": name},
        rows=({"arm": name, "why": name, "n": 1},),
        suite=Suite("parity", name, name, (case, Case(name))),
        charts=(chart_of(name),),
    )


@pytest.fixture(scope="module")
def plain():
    return Reader(page_of("plain")).tags


@cases(500)
@given(NAMES)
def test_a_hostile_name_is_text_in_every_format(plain, name):
    document = document_of(name)
    assert_sound_markdown(render(document, "markdown"))
    (row,) = assert_sound_csv(render(document, "csv"))
    assert row["n"] == "1"
    text = render(document, "junit")
    assert_sound_xml(text)
    (suite,) = JUnitXml.fromstring(text.encode())
    assert [each.is_failure for each in suite] == [True, False]
    json.loads(render(document, "json"))
    shown(document)
    page = Reader(page_of(name))
    assert without_lines(page.tags) == without_lines(plain)
    for each in page.texts:
        assert_plain(each, "\n")
    json.loads(page.data)


def without_lines(tags):
    """The tags without a picture's texts: a long name may take another number of them."""
    return [each for each in tags if each[0] not in ("text", "tspan", "g", "path")]
