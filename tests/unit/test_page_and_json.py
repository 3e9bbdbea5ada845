"""The page says what `--json` says: leader, ratios, verdicts, and the quantity that departs."""

import html
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.main import app

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
SESSIONS = sorted(entry.name for entry in (REFERENCE / "bench").iterdir())
CHECKS = sorted(entry.name for entry in (REFERENCE / "parity").iterdir())
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def page_and_json(verb, results):
    """What one command writes into both."""
    page, file = results / "page.html", results / "found.json"
    arguments = [verb, "--show", "--results", str(results), "--json", str(file)]
    found = CliRunner().invoke(app, [*arguments, f"--report={page}"])
    assert page.is_file(), found.output
    return page.read_text(encoding="utf-8"), json.loads(file.read_text())


def text_of(markup):
    return html.unescape(re.sub(r"<[^>]+>", "", markup)).strip()


def section(page, name):
    return re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)[0]


def rows(page, name):
    """The rows of a section's table, by the first cell."""
    body = section(page, name).partition("<tbody>")[2]
    cells = (re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in body.split("<tr>")[1:])
    return {text_of(first): [text_of(each) for each in rest] for first, *rest in cells}


def assert_shown(text, value):
    """The number is the value, rounded to the digits that are shown."""
    digits = len(text.partition(".")[2])
    assert abs(float(text) - value) <= 0.5000001 * 10.0**-digits, (text, value)


@pytest.mark.parametrize("session", SESSIONS)
def test_a_session_s_page_says_its_leader_ratios_and_verdicts(session, tmp_path):
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / session).symlink_to(REFERENCE / "bench" / session)
    (tmp_path / "parity").symlink_to(REFERENCE / "parity")
    page, found = page_and_json("bench", tmp_path)
    standing = found["standing"]
    tile = re.search(r"Which trains first\?</dt><dd><strong>(.*?)</strong>", page)[1]
    leader = standing["reigns"][-1]["name"]
    named = re.findall(r"[\w.-]+/[\w.-]+", text_of(tile))
    assert set(named) == {leader, *standing["close"]}
    assert text_of(re.search(r"<h1>(.*?)</h1>", page, re.DOTALL)[1]) == standing["sentence"]
    shown = rows(page, "forest")
    assert set(shown) == {arm["name"] for arm in standing["arms"] if arm["ratio"]}
    for arm in standing["arms"]:
        verdict, ratio, *_ = shown[arm["name"]]
        assert verdict == arm["verdict"]
        mid, *ends = NUMBER.findall(ratio)
        assert_shown(mid, arm["ratio"]["mid"])
        for end, value in zip(ends, (arm["ratio"]["low"], arm["ratio"]["high"]), strict=False):
            assert_shown(end, value)
        assert len(ends) == 2 or arm["ratio"]["low"] in (None, arm["ratio"]["mid"])


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_s_page_says_its_verdicts_and_where_each_arm_departs(check, tmp_path):
    (tmp_path / "parity").mkdir()
    (tmp_path / "parity" / check).symlink_to(REFERENCE / "parity" / check)
    page, found = page_and_json("parity", tmp_path)
    n_agree = sum(arm["verdict"] == "agrees" for arm in found["arms"])
    tile = text_of(re.search(r"same model\?</dt><dd><strong>(.*?)</strong>", page)[1])
    n_arms = len(found["arms"])
    assert tile == ("yes" if n_agree == n_arms else f"{n_agree} of {n_arms} arms")
    told = re.findall(r"<li>(\S+): departs at (\S+) (\S+), ([^:;<]+)", page)
    firsts = [
        (f"{arm['backend']}/{arm['implementation']}", arm["departures"][0])
        for arm in found["arms"]
        if arm["departures"]
    ]
    where = ("program", "point", "quantity")
    assert {(name, *(first[each] for each in where)) for name, first in firsts} <= {*told}
    assert {name for name, *_ in told} == {name for name, _ in firsts}


def test_there_are_two_sessions_and_six_checks():
    assert len(SESSIONS) >= 2
    assert len(CHECKS) >= 6
