"""The report as a page: it says what records say, asks for nothing, and names stay text."""

import base64
import hashlib
import json
import re
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import altair as alt
import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.cli.report_page import gather
from harness.errors import EnvironmentMissing, StoreError
from harness.experiments.bench import charts, charts_time
from harness.experiments.bench.judge import summarize
from harness.experiments.bench.lead_document import lead_sentences
from harness.experiments.parity.charts import heat
from harness.records import sessions, store
from harness.records.parity import ArmParity, Departure
from harness.report import html
from harness.report.charts import Axis, Bars, Chart, Estimate, Estimates, Page, Part, Tile
from harness.report.document import Table, words
from harness.report.figures import paint, specify
from harness.report.numbers import log_ticks
from harness.statistics.intervals import Interval
from tests.page import pictures
from tests.unit import benches

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
SESSION = "20261123T211626Z-631e1f"  # the newest, whose page is made where none is named
VOID = {"meta", "link", "br", "input", "img", "hr"}


class Reader(HTMLParser):
    """What a browser would make of a page: tags, attributes and the text of each element."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open, self.texts = Counter(), [], [], {}
        self.feed(text)
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag not in VOID:
            self.open.append((tag, dict(attributes).get("id") or ""))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_startendtag(self, tag, attributes):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attributes]

    def handle_data(self, data):
        for place in self.open:
            self.texts[place] = self.texts.get(place, "") + data

    def text(self, tag, name=""):
        return self.texts.get((tag, name), "").strip()


@pytest.fixture(scope="module")
def page():
    return gather(REFERENCE)


@pytest.fixture(scope="module")
def text(page):
    return html.render(page)


@pytest.fixture(scope="module")
def read(text):
    return Reader(text)


@pytest.fixture(scope="module")
def summary():
    bench, _ = sessions.load(REFERENCE, SESSION)
    return summarize(bench, store.load_all(REFERENCE).parities)


def test_the_page_says_what_the_records_say(read, summary, page):
    assert read.text("h1") == lead_sentences(summary.lead)
    forest = read.text("section", "forest")
    for arm in summary.arms:
        low, mid, high = (f"{each:.3f}" for each in (arm.ratio.low, arm.ratio.mid, arm.ratio.high))
        shown = mid if arm.verdict == "baseline" else f"{mid} ({low}-{high})"
        assert re.search(rf"{arm.name}\s*{arm.verdict}\s*{re.escape(shown)}", forest), arm.name
    data = json.loads(read.text("script", "data"))
    assert data["bench"]["standing"]["sentence"] == lead_sentences(summary.lead)


def test_it_has_every_figure_each_with_a_finding_and_a_table(page, read):
    names = [chart.name for chart in page.charts]
    assert names == [
        *("forest", "generations", "clock", "cumulative", "start", "limit", "memory"),
        *("loss", "accuracy", "parity", "drift", "layers", "setup", "change"),
    ]
    assert page.left_out == ()
    for chart in page.charts:
        section = read.text("section", chart.name)
        assert chart.finding in section
        assert chart.reading in section
    assert read.tags["table"] == len(names)
    assert read.tags["svg"] == 2 * sum(chart.picture is not None for chart in page.charts)


def test_it_asks_for_nothing_and_lets_only_its_own_style_and_script_run(text, read):
    policy = next(value for _, _, value in read.attributes if value and "default-src" in value)
    for kind, element in (
        ("style", r"<style>(.*?)</style>"),
        ("script", r"<script>(.*?)</script>"),
    ):
        (own,) = re.findall(element, text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    names = {name for _, name, _ in read.attributes}
    assert not names & {"src", "style", "srcset", "action"}
    assert not [name for name in names if name.startswith("on")]
    links = [value for _, name, value in read.attributes if name in ("href", "xlink:href")]
    assert all(link.startswith("#") for link in links)


def test_no_two_elements_share_an_id_and_every_reference_leads_to_one(text, read):
    ids = Counter(value for _, name, value in read.attributes if name == "id")
    assert [name for name, n in ids.items() if n > 1] == []
    assert set(re.findall(r'(?:url\(#|href="#|aria-labelledby=")([^)"]+)', text)) <= ids.keys()


def test_the_page_of_the_reference_session_has_at_most_700_kb(text):
    assert len(text.encode()) <= 700_000


def test_a_folder_without_a_session_gives_a_page_of_its_checks_and_says_what_is_missing(tmp_path):
    (tmp_path / "parity").symlink_to(REFERENCE / "parity")
    page = gather(tmp_path)
    assert page.charts[0].name == "parity"
    assert page.headline == page.charts[0].finding
    assert any("no bench session" in why for why in page.left_out)


def test_an_empty_folder_and_an_unknown_session_are_said_in_a_sentence(tmp_path):
    with pytest.raises(StoreError, match="nothing to report"):
        gather(tmp_path)
    with pytest.raises(StoreError, match=f"Did you mean '{SESSION}'"):
        gather(REFERENCE, SESSION[:-1])


def test_without_the_extra_one_sentence_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    found = CliRunner().invoke(app, ["report", "--results", str(REFERENCE)])
    assert isinstance(found.exception, EnvironmentMissing)
    assert "not installed: Altair" in str(found.exception)
    assert "nox -s report" in str(found.exception)


@pytest.mark.parametrize("verb", ["bench", "gate --against main", "parity", "choose my_model.py"])
def test_a_page_that_cannot_be_drawn_is_refused_before_anything_is_measured(
    monkeypatch, tmp_path, verb
):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_model.py").write_text("def build(): ...\ndef data(): ...\n")
    found = CliRunner().invoke(app, [*verb.split(), "--report", "--results", str(tmp_path / "r")])
    assert isinstance(found.exception, EnvironmentMissing), found.output
    assert "--report: expected Altair, vl-convert and Jinja2" in str(found.exception)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("named", [True, False])
def test_a_check_writes_the_page_of_itself_where_it_is_asked_to(tmp_path, named):
    (tmp_path / "parity").symlink_to(REFERENCE / "parity")
    target = tmp_path / ("mine.html" if named else "report.html")
    option = ["--report", str(target)] if named else ["--report"]
    CliRunner().invoke(app, ["parity", "--show", *option, "--results", str(tmp_path)])
    read = Reader(target.read_text(encoding="utf-8"))
    newest = store.load_all(REFERENCE).parities[-1]
    assert f"parity of {newest.spec_name}" in read.text("title")
    assert "no bench session" not in read.text("body")


# Text of others


def made(name):
    """A page in which text from elsewhere stands wherever it can."""
    estimate = Estimate(name, Interval(0.5, 0.7, 0.9), name, "good")
    picture = Estimates((estimate, Estimate("other", Interval(1, 1, 1))), Axis("x", "log"))
    table = Table(words(name, "b"), ((name, name),))
    chart = Chart("forest", "What?", name, name, table, picture)
    return Page(name, name, (Tile("Which?", name, name),), (chart,), (name,), (name,), {name: name})


HOSTILE = (
    "</script><script>alert(1)</script>",
    "</svg></style><img src=x onerror=alert(1)>",
    "\"'><b>&lt;&#60; {{ 7 * 7 }} {% raw %} url(javascript:1)",
    "]]><!-- --> \x1b[31m \u202e \u2028 \ud800 \x00",
    "\ufffe \uffff \U0001fffe \U0010ffff",
    "]0;title\U00012f90</script><script>alert(1)</script>[31m",  # cut between two halves
    "x" * 10_000,
    "datum.value); fetch('//a') //",
)


@pytest.fixture(scope="module")
def plain():
    return Reader(html.render(made("plain")))


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_text_in_every_place_of_a_page(name, plain):
    hostile = Reader(html.render(made(name)))
    assert hostile.tags == plain.tags
    known = {(tag, attribute) for tag, attribute, _ in plain.attributes}
    known |= {("text", "opacity")}  # of a tick's number that has no room beside a long name
    assert {(tag, attribute) for tag, attribute, _ in hostile.attributes} <= known
    json.loads(hostile.text("script", "data"))


def test_any_text_is_text_in_a_table_and_in_the_data():
    marks = np.random.default_rng(0).integers(0, [[0x80], [0x3000], [0x110000]], (3, 200))
    for codes in marks.reshape(-1, 20):
        name = "".join(map(chr, codes))
        chart = Chart("setup", "What?", name, name, Table(words(name), ((name,),)))
        page = Page(name, name, (), (chart,), (name,), (), {"name": name})
        read = Reader(html.render(page))
        assert read.tags["script"] == 2
        assert json.loads(read.text("script", "data")) == {"name": name}


def test_two_names_that_are_shown_alike_stay_two_rows():
    names = ("x" * 100 + middle + "x" * 100 for middle in "yz")
    rows = tuple(Estimate(name, Interval(1, 2, 3)) for name in names)
    svg = paint.for_page(Estimates(rows, Axis("s")), "n", 600)
    assert len(set(re.findall(r">([^<]*x…?)</text>", svg))) == 2


# Pictures


def test_every_picture_is_of_vega_lite_s_schema(page):
    pictures = [chart.picture for chart in page.charts if chart.picture is not None]
    assert len(pictures) >= 10
    for picture in pictures:
        drawn = specify(picture, 680) | {"config": {}}  # its colours are a page's own
        alt.LayerChart.from_dict(drawn, validate=True)
        with pytest.raises(jsonschema.ValidationError):
            alt.LayerChart.from_dict(drawn | {"layer": "none"}, validate=True)


def test_equal_pages_are_equal_bytes():
    assert html.render(made("a")) == html.render(made("a"))


def test_a_picture_that_stands_alone_has_the_colours_of_its_theme_and_no_variable():
    picture = Bars((Part("a", "one", 1.0), Part("a", "two", 2.0)), Axis("s"), stacked=True)
    light, dark = (paint.alone(picture, theme, 400) for theme in ("light", "dark"))
    assert "var(" not in light + dark
    assert "currentColor" not in light + dark
    assert paint.THEMES["light"]["paper"] in light
    assert paint.THEMES["dark"]["paper"] in dark
    assert paint.png(picture, "light", 400).startswith(b"\x89PNG")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_readme_s_picture_shows_what_the_reference_session_says(theme):
    committed = (pictures.IMAGES / f"forest-{theme}.svg").read_text(encoding="utf-8")
    texts, marks = r">([^<>]+)</text>", r'fill="(#[0-9a-f]{6})"'
    for what in (texts, marks):  # places depend on the fonts of the machine that draws
        assert re.findall(what, committed) == re.findall(what, pictures.draw(theme))


@pytest.mark.parametrize(("low", "high"), [(0.7, 3.5), (0.98, 1.02), (1e-9, 5.0), (3.0, 1e12)])
def test_an_axis_has_few_round_ticks_inside_its_range(low, high):
    ticks = log_ticks(low, high, 9)
    assert 1 <= len(ticks) <= 9
    assert all(low <= tick <= high for tick in ticks)


def test_blocks_that_do_not_count_are_hollow_and_their_reason_is_in_the_table():
    bench = benches.bench({"tensorflow/keras": 1.0, "jax/keras": 0.5})
    broken = bench.blocks[0].model_copy(update={"invalid": "jax/keras: stolen"})
    chart = charts_time.clock(bench.model_copy(update={"blocks": (broken, *bench.blocks[1:])}))
    assert [point.counts for point in chart.picture.points].count(False) == len(broken.turns)
    assert chart.table.rows[0][-2:] == ("no", "jax/keras: stolen")
    assert "1 of" in chart.finding


def test_the_first_wrong_quantity_alone_is_ringed_and_its_margin_is_below_1():
    gates = {
        "production init": (
            ("output/a", "absolute", 1e-7, 1e-6, 1e-7, 10),
            ("gradient/w", "relative", 3e-3, 1e-6, 1e-7, 10),
            ("update/w", "relative", 2e-3, 1e-6, 1e-7, 10),
        )
    }
    wrong = Departure(
        program="production",
        point="init",
        quantity="gradient/w",
        measure="relative",
        error=3e-3,
        gate=1e-6,
        explained=("update/w",),
    )
    arm = {"backend": "jax", "implementation": "keras", "module": "keras_fit"}
    culprit = ArmParity(**arm, gates=gates, departures=(wrong,))
    chart = heat({culprit.name: culprit})
    squares = {square.row: square for square in chart.picture.squares}
    assert [name for name, square in squares.items() if square.ringed] == ["gradient/w"]
    assert float(squares["gradient/w"].text) < 1 < float(squares["output/a"].text)
    assert chart.picture.rows == ("output/a", "gradient/w", "update/w")
    assert "gradient/w" in chart.finding


def test_the_winner_s_tile_names_all_that_cannot_be_told_apart(summary):
    winner = charts.tiles(summary)[0]
    assert "jax/compiled" in winner.answer
    assert "tensorflow/compiled" in winner.answer
    assert "torch/compiled" in winner.answer
