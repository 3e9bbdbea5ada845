"""What a user sees of a bench session: the same figures in every format and in any window, none of
them cut or broken.
"""

import csv
import io
import json
import math
import re
from dataclasses import replace

import pytest
from rich.console import Console

from harness.cli.output import append_summary
from harness.experiments.bench import document as report
from harness.experiments.bench.lead import Lead, Reign, Rival
from harness.experiments.bench.lead_document import lead_sentences
from harness.experiments.bench.limits import Broken
from harness.experiments.bench.summary import ArmSummary, Summary
from harness.records.bench import Bench
from harness.report import terminal
from harness.report.document import Document, Heading, Paragraph
from harness.report.progress import bench_progress, duration
from harness.report.remarks import Remark
from harness.report.renderers import render
from harness.statistics.intervals import Equivalence, Interval
from tests.unit import benches

NAN = math.nan
SAME = Equivalence(Interval(-0.001, 0.0004, 0.0012), 0.001, 8, "equivalent")
JAX = {"framework_version": "0.10.2", "keras": "3.15.1"}
ARMS = (
    ArmSummary(
        name="jax/keras",
        device="cpu",
        versions=JAX,
        verdict="baseline",
        parity="agrees",
        n_generations=8,
        n_blocks=32,
        epoch_s=Interval(0.5121, 0.5234, 0.5412),
        ratio=Interval(1.0, 1.0, 1.0),
        start_s=4.53,
        compile_s=1.21,
        share_of_limit=Interval(0.11, 0.12, 0.13),
        memory_bytes={"peak RSS": 664 << 20},
        test_accuracy=(0.9806, 0.0014),
    ),
    ArmSummary(
        name="jax/compiled",
        device="cpu",
        versions=JAX,
        verdict="faster",
        parity="agrees",
        n_generations=8,
        n_blocks=31,
        epoch_s=Interval(0.1512, 0.1529, 0.1541),
        ratio=Interval(0.2871, 0.2921, 0.2999),
        to_fit=Interval(0.2871, 0.2921, 0.2999),
        start_s=6.54,
        compile_s=3.21,
        break_even=5.4,
        share_of_limit=Interval(0.041, 0.042, 0.043),
        memory_bytes={"peak RSS": 764 << 20, "allocator peak": 301 << 20},
        test_accuracy=(0.9803, 0.0011),
        accuracy=SAME,
    ),
    ArmSummary(
        name="tensorflow/native-idiomatic",
        device="cpu",
        versions={"framework_version": "2.21.0"},
        verdict="slower",
        parity="departs",
        n_generations=7,
        n_blocks=28,
        epoch_s=Interval(1.512, 1.5234, 1.541),
        ratio=Interval(2.712, 2.891, 3.114),
        to_fit=Interval(0.7112, 0.7223, 0.7334),
        start_s=14.57,
        compile_s=3.22,
        break_even=math.inf,
        memory_bytes={"peak RSS": 1664 << 20},
        test_accuracy=(0.9801, 0.0018),
        accuracy=replace(SAME, verdict="inconclusive", mean=Interval(-math.inf, 0.1, math.inf)),
    ),
    ArmSummary(
        name="torch/keras",
        device="cpu",
        versions={"framework_version": "2.13.0+cpu"},
        verdict="inconclusive",
        reason="3 generations; a 95 % interval needs 6",
        n_generations=3,
        n_blocks=11,
        epoch_s=Interval(NAN, 123.4, NAN),
        ratio=Interval(NAN, 235.8, NAN),
        test_accuracy=(0.9799, NAN),
    ),
)
SUMMARY = Summary(
    session_id="20260101T000000Z-abcdef",
    baseline="jax/keras",
    arms=ARMS,
    floor=Interval(0.991, 1.004, 1.012),
    lead=Lead(
        "jax/keras",
        (Reign("jax/keras", 1, 5), Reign("jax/compiled", 6, None)),
        Interval(0.2871, 0.2921, 0.2999),
        (Rival("jax/keras", Interval(3.33, 3.42, 3.48), "slower", ""),),
    ),
    n_invalid=2,
    why_invalid=((Broken("others", 0.0, 0.1), 2),),
    remarks=(Remark("keras", ("3.15.1", "3.16.0")),),
    own_cost=0.008,
)
BENCH = Bench(
    session=benches.session(("jax/keras", "jax/keras again")),
    starts=(benches.start("jax/keras"),),
    blocks=tuple(benches.block(generation, 1, {"jax/keras": 0.5}) for generation in (1, 2)),
)
ROWS = [  # as a person would write them down
    (
        "jax/keras",
        "baseline",
        "0.523 (0.512-0.541)",
        "1.000",
        "-",
        "agrees",
        "1.21",
        "-",
        "4.53",
        "12 % (11-13 %)",
        "664",
        "-",
    ),
    (
        "jax/compiled",
        "faster",
        "0.153 (0.151-0.154)",
        "0.292 (0.287-0.300)",
        "0.292 (0.287-0.300)",
        "agrees",
        "3.21",
        "6",
        "6.54",
    ),
    (
        "tensorflow/native-idiomatic",
        "slower",
        "1.52 (1.51-1.54) !",
        "2.891 (2.712-3.114) !",
        "0.722 (0.711-0.733) !",
        "departs",
    ),
    (
        "torch/keras",
        "inconclusive",
        "123",
        "235.8",
        "-",
        "not checked",
        "-",
        "-",
        "-",
        "-",
        "-",
        "-",
        "0.9799",
        "11 in 3",
    ),
]
RESTS = [
    ("0.9806 ± 0.0014", "32 in 8"),
    ("4.2 % (4.1-4.3 %)", "764", "301", "0.9803 ± 0.0011 (equivalent)", "31 in 8"),
    ("3.22", "never", "14.6", "-", "1664", "-", "0.9801 ± 0.0018 (inconclusive)", "28 in 7"),
    (),
]
WHOLE = [row + rest for row, rest in zip(ROWS, RESTS, strict=True)]
HEADER = (
    "arm",
    "verdict",
    "epoch s",
    "ratio",
    "to fit",
    "parity",
    "compile s",
    "break-even",
    "start s",
    "of limit",
)
HEADER += ("peak RSS MiB", "allocator peak MiB", "accuracy", "blocks")


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    """Keep this machine's own window out."""
    for name in (
        "COLUMNS",
        "LINES",
        "FORCE_COLOR",
        "NO_COLOR",
        "TTY_COMPATIBLE",
        "GITHUB_STEP_SUMMARY",
    ):
        monkeypatch.delenv(name, raising=False)


def shown(width, summary=SUMMARY, **options):
    """Return what a terminal of that width shows, without its colours; in a pipe where
    `force_terminal` is False.
    """
    console = Console(file=io.StringIO(), width=width, **({"force_terminal": True} | options))
    terminal.show(report.compose(summary, BENCH), console)
    return re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())  # type: ignore[attr-defined]


def bars(text):
    return [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in text.splitlines()
        if line.startswith("|")
    ]


# The table


def test_markdown_shows_each_arm_s_figures():
    assert bars(render(report.compose(SUMMARY, BENCH), "markdown"))[0] == HEADER
    assert bars(render(report.compose(SUMMARY, BENCH), "markdown"))[2:] == WHOLE


def test_a_pipe_shows_the_same_figures_a_line_an_arm_with_every_column():
    lines = shown(40, force_terminal=False).splitlines()
    rule = next(number for number, line in enumerate(lines) if "───" in line)
    assert [tuple(re.split(r" {2,}", line.strip())) for line in lines[rule - 1 : rule]] == [HEADER]
    assert [tuple(re.split(r" {2,}", line.strip())) for line in lines[rule + 1 : rule + 5]] == WHOLE


@pytest.mark.parametrize("width", [60, 80, 120, 200, 300])
def test_in_a_window_no_word_and_no_number_of_a_sentence_is_broken(width):
    said = " ".join(shown(width).split())
    texts = [
        report.heading(BENCH),
        lead_sentences(SUMMARY.lead),
        report.LEGEND,
        *(line.text for line in report.lines(SUMMARY, BENCH)),
    ]
    for text in texts:
        assert text in said
    assert not re.search(r"\d\n *%|±\n|\n *±", shown(width))


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(300, ()), (200, (*HEADER[9:12], "blocks")), (120, (*HEADER[4:5], *HEADER[6:8], *HEADER[9:]))],
)
def test_a_window_that_has_no_room_for_every_column_says_which_ones_it_has_not(width, left_out):
    text = " ".join(shown(width).split())
    said = (
        f"no room here for: {', '.join(left_out)}. To see all: harness bench --show --markdown FILE"
    )
    assert (said in text) if left_out else ("no room" not in text)


def test_told_arm_by_arm_every_figure_is_there_the_verdict_first_and_the_unknown_is_left_out():
    text = shown(60)
    assert (
        "jax/compiled: faster, epoch s 0.153 (0.151-0.154),\n  ratio 0.292 (0.287-0.300), to fit"
        in text
    )
    assert (
        "torch/keras: inconclusive, epoch s 123, ratio 235.8,\n  parity not checked, accuracy "
        "0.9799, blocks 11 in 3\n" in text
    )
    for cell in {cell for row in WHOLE for cell in row} - {"-"}:
        assert any(cell in line for line in text.splitlines()), cell


def test_no_colour_is_shown_where_the_user_wants_none(monkeypatch):
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    terminal.show(report.compose(SUMMARY, BENCH), console)
    assert "\x1b[32mfaster" in console.file.getvalue()  # type: ignore[attr-defined]
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    terminal.show(report.compose(SUMMARY, BENCH), console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert not re.search(r"\x1b\[[0-9;]*3\dm", shown)


def test_energy_has_a_column_where_any_is_known_and_a_sentence_where_none_is():
    known = replace(SUMMARY, arms=(replace(ARMS[0], energy_j=12.34), ARMS[1]))
    rows = bars(render(report.compose(known, BENCH), "markdown"))
    assert [row[rows[0].index("energy J")] for row in rows[2:]] == ["12.3", "-"]
    assert report.NO_ENERGY not in render(report.compose(known, BENCH), "markdown")
    assert report.NO_ENERGY in render(report.compose(SUMMARY, BENCH), "markdown")


def test_figures_of_an_arm_of_another_accuracy_or_a_failed_check_are_marked_too():
    different = replace(SAME, verdict="different", mean=Interval(-0.89, -0.88, -0.87))
    for changes in ({"accuracy": different}, {"parity": "failed"}):
        rows = bars(
            render(
                report.compose(
                    replace(SUMMARY, arms=(ARMS[0], replace(ARMS[1], **changes))), BENCH
                ),
                "markdown",
            )
        )
        assert rows[3][2:4] == ("0.153 (0.151-0.154) !", "0.292 (0.287-0.300) !")


# The sentences


def test_who_wins_stands_above_the_table():
    for text in (shown(300), shown(60), render(report.compose(SUMMARY, BENCH), "markdown")):
        flat = " ".join(text.split())
        assert flat.index(lead_sentences(SUMMARY.lead)) < flat.index("baseline")


def test_under_the_table_stand_the_floor_the_reasons_the_blocks_and_the_cost():
    assert [line.text for line in report.lines(SUMMARY, BENCH)] == [
        "A/A: jax/keras against itself, identical code: 1.004 (0.991-1.012); a smaller difference "
        "is noise",
        "torch/keras: inconclusive: 3 generations; a 95 % interval needs 6",
        "note: 2 blocks were run again or given up, by limits set beforehand: other processes used "
        "… % of the cores, at most 10 % allowed (2 times)",
        "note: Keras differs between environments (3.15.1, 3.16.0)",
        report.NO_ENERGY,
        "the harness itself took 0.8 % of the session's time",
        "versions: jax 0.10.2 on cpu, tensorflow 2.21.0 on cpu, torch 2.13.0+cpu on cpu",
    ]


def test_without_a_pair_of_identical_arms_that_is_said():
    (line, *_) = report.lines(replace(SUMMARY, floor=None), BENCH)
    assert line.text.startswith("A/A: identical code was not measured side by side")


def test_each_arm_that_ran_twice_has_its_own_line():
    lines = [
        line.text
        for line in report.lines(
            replace(SUMMARY, floors={"torch/keras": Interval(0.95, 1.03, 1.1)}), BENCH
        )
    ]
    assert lines[0].startswith("A/A: jax/keras against itself, identical code: 1.004")
    assert lines[1] == (
        "A/A: torch/keras against itself, identical code: 1.030 (0.950-1.100); a smaller "
        "difference is noise"
    )


def test_the_legend_says_that_the_baseline_s_floor_says_nothing_of_a_noisier_arm():
    assert "the baseline's says nothing of a noisier arm" in report.LEGEND


def test_the_heading_says_how_much_of_the_session_there_is():
    assert (
        "Keras 3.15.1, A processor, 2 cores, 8 GiB, Linux x86_64, 2 of 8 generations of 4 blocks, "
        "session 2026" in report.heading(BENCH)
    )


# Files


def test_the_csv_has_a_row_an_arm_with_numbers_in_full_and_nothing_where_there_is_none():
    rows = list(csv.DictReader(io.StringIO(render(report.compose(SUMMARY, BENCH), "csv"))))
    assert [row["arm"] for row in rows] == [arm.name for arm in ARMS]
    assert [row["ratio_low"] for row in rows] == ["1.0", "0.2871", "2.712", ""]
    assert [row["break_even"] for row in rows] == ["", "5.4", "never", ""]
    assert [row["memory_allocator_peak_bytes"] for row in rows] == ["", str(301 << 20), "", ""]
    assert [row["test_accuracy_sd"] for row in rows] == ["0.0014", "0.0011", "0.0018", ""]
    assert {row["floor_mid"] for row in rows} == {"1.004"}
    assert {row["session"] for row in rows} == {BENCH.session.run_id}


def test_the_json_is_strict_and_holds_the_plan_and_the_summary():
    whole = json.loads(render(report.compose(SUMMARY, BENCH), "json"), parse_constant=pytest.fail)
    assert whole["session"] == json.loads(BENCH.session.model_dump_json())
    assert whole["standing"]["reigns"][1] == {
        "name": "jax/compiled",
        "from_epoch": 6,
        "to_epoch": None,
    }
    arms = whole["standing"]["arms"]
    assert [arm["break_even"] for arm in arms] == [None, 5.4, "never", None]
    assert [arm["other_numbers"] for arm in arms] == [
        "",
        "",
        "it departs from the referee (harness parity says where)",
        "",
    ]
    assert arms[3]["ratio"] == {"low": None, "mid": 235.8, "high": None}
    assert arms[2]["accuracy"]["mean"] == {"low": None, "mid": 0.1, "high": None}


# Progress


def progress(**options):
    console = Console(file=io.StringIO(), **options)
    with bench_progress(console) as show:
        show("generation 3/8, block 2/4, jax/compiled, 0.52 s", 360.0, False)
        show("generation 3/8, done", None, True)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_without_a_terminal_there_is_one_line_a_generation():
    assert progress(width=20) == "generation 3/8, done\n"


def test_on_a_terminal_the_line_says_the_turn_and_the_time_left():
    assert "generation 3/8, block 2/4, jax/compiled, 0.52 s; 6 min left" in progress(
        width=80, force_terminal=True
    )


def test_a_narrow_terminal_does_not_cut_the_time_left():
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", progress(width=40, force_terminal=True))
    assert "generation 3/8, block 2/4, jax/compiled, 0.52 s; 6 min left" in " ".join(text.split())


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (99, "99 s"), (101, "2 min"), (3599, "1 h 0 min"), (3900, "1 h 5 min")],
)
def test_a_duration_is_said_as_a_person_would(seconds, said):
    assert duration(seconds) == said


# A workflow's summary


def test_a_summary_is_appended_to_what_the_step_already_said(tmp_path, monkeypatch):
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    append_summary(Document((Heading("one"),)))
    append_summary(Document((Paragraph(("± two",)),)))
    assert file.read_text(encoding="utf-8") == "before\n**one**\n\n± two\n\n"


def test_outside_of_a_workflow_nothing_is_written(capsys):
    append_summary(Document(()))
    assert capsys.readouterr() == ("", "")


def test_a_summary_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "nowhere" / "summary.md"))
    append_summary(Document(()))
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("! GITHUB_STEP_SUMMARY: ")
    assert "cannot be written (No such file or directory)" in error
