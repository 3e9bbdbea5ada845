"""The quick look: a forest plot and a heat map in characters, without colour or a wide window."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import StoreError
from harness.experiments.bench import charts
from harness.experiments.bench.judge import summarize
from harness.experiments.parity.charts import heat
from harness.records import sessions, store
from harness.records.parity import ArmParity, Departure
from harness.report import terminal
from harness.report.charts import Axis, Chart, Estimate, Estimates, Gap, Gaps
from harness.report.document import Document, Table, words
from harness.statistics.intervals import Interval

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
SESSION = "20261123T202318Z-ee119b"
STYLE = re.compile(r"\x1b\[[0-9;]*m")
COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-9]|4[0-9]|9[0-7])[;m]")
MARKS = "◀▶■●◆"


def drawn(chart, width=80, encoding="utf-8"):
    """What a terminal of that width gets, which shows no colour and no other characters."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, force_terminal=True, no_color=True)
    terminal.show(Document((), charts=(chart,)), console)
    file.flush()
    text = file.buffer.getvalue().decode(encoding)
    assert not COLOUR.search(text)
    return STYLE.sub("", text).splitlines()


@pytest.fixture(scope="module")
def summary():
    bench, _ = sessions.load(REFERENCE, SESSION)
    return summarize(bench, store.load_all(REFERENCE).parities)


@pytest.fixture(scope="module")
def forest(summary):
    return charts.forest(summary)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_forest_plot_is_no_wider_than_the_window(forest, width):
    lines = drawn(forest, width)
    assert max(map(cell_len, lines)) <= width


def test_a_forest_plot_says_each_verdict_by_shape_word_and_place(forest, summary):
    lines = drawn(forest)
    shapes = {"faster": "◀", "slower": "▶", "same": "■", "inconclusive": "●", "baseline": "◆"}
    places = []
    for row in sorted(summary.arms, key=lambda arm: arm.ratio.mid):
        (line,) = (line for line in lines if line.startswith(f"{row.name} "))
        (place,) = (at for at, character in enumerate(line) if character in MARKS)
        assert line[place] == shapes[row.verdict]
        assert f"{row.verdict} {row.ratio.mid:.3f}" in line or row.verdict == "baseline"
        places.append(place)
    assert places == sorted(places)
    assert places[0] < places[-1]
    assert any(line.strip().startswith("0.7") for line in lines), "the axis has numbers"
    assert forest.question in lines


def test_where_only_ascii_is_printed_every_character_has_another_one(forest, summary):
    lines = drawn(forest, encoding="ascii")
    for arm in summary.arms:
        (line,) = (line for line in lines if line.startswith(f"{arm.name} "))
        mark = {"faster": "<", "slower": ">", "baseline": "*"}[arm.verdict]
        assert f"{mark}" in line.removeprefix(arm.name)
    assert "?" not in "".join(line for line in lines if line != forest.question)


def test_a_window_too_narrow_for_an_axis_has_a_line_for_each_estimate(forest):
    lines = drawn(forest, 30)
    assert any("jax/compiled: faster" in line for line in lines)


def test_an_estimate_without_an_interval_or_beyond_its_axis_has_its_mark():
    rows = (
        Estimate("alone", Interval(float("nan"), 1.0, float("nan")), "alone"),
        Estimate("wide", Interval(1e-9, 2.0, 1e9), "wide", "bad"),
    )
    chart = Chart("x", "?", "", "", Table(words("a"), ()), Estimates(rows, Axis("x", "log")))
    first, second = (line for line in drawn(chart) if line.startswith(("alone", "wide")))
    assert first.count("●") == 1
    assert "─" not in first
    assert second.count("▶") == 1
    assert second.count("─") > 30


GATES = {
    "production init": (
        ("hidden/z", "relative", 1e-8, 1e-6, 1e-7, 10),
        ("gradient/hidden/kernel", "relative", 3e-3, 1e-6, 1e-7, 10),
        ("update/hidden/kernel", "relative", 2e-3, 1e-6, 1e-7, 10),
    )
}


def arm(name, departs=""):
    backend, implementation = name.split("/")
    wrong = {"program": "production", "point": "init", "measure": "relative"}
    found = (Departure(**wrong, quantity=departs, error=1, gate=0.5),) if departs else ()
    gates = GATES if departs else {"production init": GATES["production init"][:1]}
    named = {"backend": backend, "implementation": implementation, "module": "keras_fit"}
    return ArmParity(**named, gates=gates, departures=found)


def heat_of(arms):
    return heat({each.name: each for each in arms})


def test_a_heat_map_rings_the_first_wrong_quantity_and_shows_every_margin():
    lines = drawn(heat_of([arm("jax/keras"), arm("torch/keras", "gradient/hidden/kernel")]))
    rows = {line.split()[0]: line for line in lines if line.startswith(("hidden", "grad", "upd"))}
    assert "[" in rows["gradient/hidden/kernel"]
    assert "[" not in rows["hidden/z"] + rows["update/hidden/kernel"]
    assert rows["gradient/hidden/kernel"].count("█") == 1
    assert "3e-04" in rows["gradient/hidden/kernel"]
    assert [line for line in lines if line.split()[:2] == ["2", "torch/keras"]]


def test_a_heat_map_of_many_arms_goes_on_below_in_a_window_of_80_columns():
    arms = [arm(f"jax/arm-{number}", "update/hidden/kernel") for number in range(20)]
    lines = drawn(heat_of(arms))
    assert max(map(cell_len, lines)) <= 80
    rows = [line for line in lines if line.startswith("update/hidden/kernel")]
    assert sum(line.count("[") for line in rows) == 20


def test_a_quantity_of_a_users_model_is_a_dot_and_a_line_to_its_gate():
    rows = (Gap("dense/y", 1e-8, 1e-6, fits=True), Gap("loss", 1e-3, 1e-6, fits=False))
    chart = Chart("x", "?", "", "", Table(words("a"), ()), Gaps(rows, Axis("x", "log")))
    fits, beyond = (line for line in drawn(chart) if line.startswith(("dense", "loss")))
    assert re.search(r"■─+ *  1e-08 of 1e-06$", fits)
    assert re.search(r"─+▶ *  1e-03 of 1e-06$", beyond)


# The verbs


def run(*arguments, **variables):
    command = [sys.executable, "-m", "harness", *arguments, "--results", str(REFERENCE)]
    plain = {name: value for name, value in os.environ.items() if name != "GITHUB_STEP_SUMMARY"}
    return subprocess.run(command, env=plain | variables, capture_output=True, check=False)


def test_bench_show_draws_the_newest_session_in_ascii_where_that_is_all():
    done = run("bench", "--show", PYTHONIOENCODING="ascii", NO_COLOR="1")
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode("ascii")
    plot = text[text.index("By how much, and how sure?") :]
    assert "jax/keras" in plot
    assert "\\u" not in plot
    assert "\x1b" not in text


def test_parity_show_draws_the_newest_check_and_exits_as_it_did():
    done = run("parity", "--show")
    newest = store.load_all(REFERENCE).parities[-1]
    assert done.returncode == (0 if newest.verdict == "agrees" else 1)
    text = done.stdout.decode()
    plot = text[text.index("Is it the same model?") :]
    for each in newest.arms:
        assert each.name in plot


def test_parity_show_of_a_model_that_was_not_checked_says_what_to_type():
    found = CliRunner().invoke(app, ["parity", "m.py", "--show", "--results", str(REFERENCE)])
    assert isinstance(found.exception, StoreError)
    assert "no parity check of 'm.py' to show. Run: harness parity m.py" in str(found.exception)


def test_show_and_what_would_check_something_exclude_each_other():
    found = CliRunner().invoke(app, ["parity", "--show", "--full"])
    assert "--show: it checks nothing. Leave out --full" in str(found.exception)
