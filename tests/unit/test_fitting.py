"""Every table in every window: no name, number or unit is broken or cut, nothing is wider than the
window, nothing vanishes unsaid.
"""

import io
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from harness.experiments.bench import document as bench
from harness.experiments.bench import self_check_document as self_check
from harness.experiments.bench.judge import summarize
from harness.experiments.bench.self_check import Check
from harness.experiments.doctor import document as doctor
from harness.experiments.gate import document as gate
from harness.experiments.parity import document as parity
from harness.experiments.parity import model_document as user_model
from harness.experiments.proof import document as proof
from harness.experiments.proof.defects import DEFECTS
from harness.experiments.proof.prove import Kill, Null, Proof
from harness.experiments.proof.sensitivity import Seen, Target
from harness.experiments.train import document as table
from harness.experiments.train import judge as speed
from harness.experiments.train.rows import ArmRow
from harness.job.accelerators import Accelerator, Hardware
from harness.job.answers import Environment, Gradients, Host, Refusal
from harness.job.arm import ArmId
from harness.lessons import dataset
from harness.lessons import document as textbook
from harness.lessons.loops import PAIRS, Timing
from harness.lessons.momentum import loss, two_paths
from harness.lessons.summary import Row
from harness.records import sessions, store
from harness.records.user_model import BackendParity, ModelParity
from harness.report import terminal
from harness.report.document import Column, Document, Sentence, Table
from harness.report.document import words as words_of
from harness.spec import config
from harness.statistics.intervals import Spread
from tests.unit import test_gate
from tests.unit.records import record

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "results" / "reference"
WIDTHS = (40, 60, 80, 100, 120, 150, 200)
NAME = st.text("abcdefghij-/+.", min_size=1, max_size=34)
MODEL = {
    "model": "my_model.py:build",
    "batch": None,
    "seed": 0,
    "device": "auto",
    "threads": "auto",
    "harness": "0.5.0",
}
MODEL |= {
    "run_id": "20260102T030405Z-model-abcdef",
    "host": record().host,
    "started_at": "2026-01-02T03:04:05+00:00",
    "total_s": 3.0,
    "n_samples": 32,
    "n_parameters": 407_050,
}


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    """Keep this machine's own window out."""
    for name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def shown(renderable, width, *, window=True):
    console = Console(
        file=io.StringIO(), width=width, force_terminal=window, no_color=True, highlight=False
    )
    terminal.show(renderable, console)
    return re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())


def words(text):
    """The words of a text, without what a sentence puts behind a name or a figure."""
    return {word.strip(",:;.") for word in text.split()}


def assert_nothing_is_broken(renderable, width):
    whole, text = shown(renderable, 9_999, window=False), shown(renderable, width).replace("─", "")
    notes = " ".join(
        re.findall(r"no room here for: .+?\. To see all: [^.]+", " ".join(text.split()))
    )
    assert words(text) <= words(whole) | words(notes)
    for line in text.splitlines():
        assert len(line.rstrip()) <= width or len(line.split()) == 1, (
            line
        )  # one word that is wider than the window
    if width >= 60:  # where a figure has room beside its unit
        assert not re.search(r"\d\n +%|±\n|\n *±|\d\n *(s|ms|min|h|MiB|GiB|cores?)\b", text)


@cache
def loaded():
    return store.load_all(REFERENCE)


@cache
def runs():
    return table.compose(speed.compare(loaded().records, parities=loaded().parities))


@cache
def reference_benches():
    return [
        (summarize(each, loaded().parities), each) for each in sessions.load_all(REFERENCE).sessions
    ]


def doctors():
    seen = {
        "versions": {
            "framework_version": "2.21.0+cpu",
            "keras": "3.15.1",
            "numpy": "2.4.6",
            "python": "3.11.7",
        },
        "devices": ["gpu: NVIDIA H200", "cpu"],
        "cuda": "12.9",
        "settings": {
            "tf32": False,
            "onednn": True,
            "affinity": 2,
            "jit": True,
            "precision": "float32",
        },
    }
    host = Host(
        machine="A processor, 2 cores, 8 GiB, Linux x86_64",
        n_cores=2,
        memory_bytes=8 << 30,
        accelerators=(),
        driver=None,
        load_1m=0.1,
    )
    hardware = Hardware(
        (Accelerator("NVIDIA H200", memory_bytes=141 << 30, driver="570.86", cuda="12.8"),)
    )
    answers = {
        "tensorflow": Environment(**seen),
        "jax": Environment(**seen | {"cuda": None, "devices": ("cpu",)}),
        "torch": Refusal(reason="train-torch: no environment"),
    }
    backends = config.load(ROOT / "backends.toml").backends
    places = {name: f".nox/{each.environment} (nox)" for name, each in backends.items()}
    return doctor.compose(host, hardware, answers, backends, places)


def proofs():
    kills = tuple(
        Kill(defect, departures)
        for defect in DEFECTS
        for departures in ((), departing().arms[0].departures)
    )
    seen = Seen(Target("learning rate", lambda by: {}, 1e-5), 1e-6, "update/hidden/kernel")
    null = Null(
        "twins",
        "mnist-mlp",
        0,
        120,
        departing().arms[0].departures,
        {("gradient", "relative"): 5.25},
    )
    return proof.compose(Proof(kills, (null,), (seen,), 12.5))


def departing():
    return next(each for each in loaded().parities if each.verdict == "departs")


def user_models():
    versions = {"framework_version": "2.13.0+cpu", "keras": "3.15.1"}
    backends = tuple(
        BackendParity(
            backend=name,
            device="gpu: NVIDIA H200",
            versions=versions,
            verdict=verdict,
            reason="output/squash: 1.6e-05",
        )
        for name, verdict in (("tensorflow", "agrees"), ("jax", "agrees"), ("torch", "departs"))
    )
    return user_model.compose(ModelParity(**MODEL, verdict="departs", backends=backends))


def loops():
    seconds = (0.000123, 0.000234, 12.345678)
    return textbook.ops([Timing(pair, 1000, seconds, seconds[::-1], 1e-7) for pair in PAIRS])


def looks():
    parts = {
        "x_train": np.zeros((600, 28, 28), np.uint8),
        "y_train": np.arange(600, dtype=np.uint8) % 10,
    }
    parts |= {"x_test": parts["x_train"][:99], "y_test": parts["y_train"][:99]}
    return dataset.overview(parts, 4, "digits", {"tensorflow/native-idiomatic": tuple(range(10))})


TABLES = {
    "train and compare": runs,
    **{
        f"parity {number}": (lambda number=number: parity.compose(loaded().parities[number]))
        for number in range(6)
    },
    **{
        f"bench {number}": (lambda number=number: bench.compose(*reference_benches()[number]))
        for number in range(2)
    },
    "gate": lambda: gate.compose(test_gate.CONFIRMED),
    "proof": proofs,
    "doctor": doctors,
    "self-check": lambda: self_check.compose(
        [Check("identical code", "called different in 4.8 % of 2,000", True)] * 2, "2026-abc"
    ),
    "user's model": user_models,
    "textbook summary": lambda: textbook.summary(
        "mnist-mlp", 784, [Row("hidden", "Dense, relu", (None, 512), 401_920)]
    ),
    "textbook ops": loops,
    "textbook gradients": lambda: textbook.gradients(
        dict.fromkeys(("tensorflow", "jax", "torch"), Gradients(values={}))
    ),
    "textbook momentum": lambda: textbook.momentum(two_paths(), loss),
    "data": looks,
}


PICTURES = ("textbook momentum", "data")  # 59 and 56 columns wide, as a curve and an image are


@pytest.mark.parametrize(
    ("name", "width"),
    [(name, width) for name in TABLES for width in WIDTHS if width >= 60 or name not in PICTURES],
)
def test_no_name_number_or_unit_of_any_table_is_broken(name, width):
    assert_nothing_is_broken(TABLES[name](), width)


FIGURE = st.none() | st.floats(0, 1e9)
SPREAD = st.builds(Spread, st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0, 1e9))
ROW = st.builds(
    ArmRow,
    arm=st.builds(ArmId.of, NAME, NAME, NAME, NAME, st.just({})),
    device=NAME,
    framework_version=NAME | st.just(""),
    parity=st.sampled_from(("agrees", "departs", "failed", "not checked")),
    status=st.just("999 ok, 99 diverged, 99 failed"),
    n_seeds=st.integers(0, 10**6),
    test_accuracy=st.none() | SPREAD,
    test_accuracy_sd=FIGURE,
    test_loss=FIGURE,
    epoch_s=st.none() | SPREAD,
    ratio=FIGURE,
    to_native=FIGURE,
    first_epoch_s=FIGURE,
    total_s=FIGURE,
    peak_rss_bytes=st.none() | st.integers(0, 2**60),
)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(ROW, min_size=1, max_size=5),
    width=st.sampled_from(WIDTHS),
    machine=st.lists(NAME, max_size=9).map(" ".join),
)
def test_no_name_number_or_unit_of_an_extreme_table_of_runs_is_broken(rows, width, machine):
    (whole,) = speed.compare([record()])
    key = replace(whole.key, machine=machine)
    assert_nothing_is_broken(table.compose([replace(whole, key=key, rows=tuple(rows))]), width)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), width=st.sampled_from(WIDTHS), n_columns=st.integers(3, 9))
def test_the_columns_that_are_left_out_are_the_least_important_and_named(data, width, n_columns):
    header = [f"column-{number}" for number in range(n_columns)]
    order = data.draw(st.permutations(header[2:]))
    cell = st.text(
        "0123456789", min_size=1, max_size=8
    )  # no wider than its column's name: each column takes the same room
    rows = data.draw(st.lists(st.tuples(*[cell] * n_columns), min_size=1, max_size=4))
    ranks = {name: rank for rank, name in enumerate(order, start=1)}
    columns = tuple(Column(name, ranks.get(name, 0), align="left") for name in header)
    text = shown(Document((Table(columns, tuple(rows), "look here"),)), width)
    _, titles, *_ = text.splitlines()
    assert titles.split() == sorted({*header[:2], *order[: len(titles.split()) - 2]})
    left_out = sorted(order[len(titles.split()) - 2 :])
    note = " ".join(text.partition("no room here for: ")[2].split())
    assert note == (f"{', '.join(left_out)}. To see all: look here" if left_out else "")
    names = titles.split() + order[len(titles.split()) - 2 :][:1]
    one_more = Table(words_of(*names), tuple(row[: len(titles.split()) + 1] for row in rows))
    assert not left_out or max(map(len, shown(Document((one_more,)), 200).splitlines())) > width


# Sentences


@pytest.mark.parametrize("width", WIDTHS)
def test_a_command_at_the_end_of_a_sentence_stands_in_one_line_where_the_window_has_room_for_it(
    width,
):
    command = "nox -s train-jax --reuse-venv=never"
    broken = "train-jax: environment broken (No module named 'jax'). Build it anew"
    text = shown(Document((Sentence(f"{broken}: {command}"),)), width)
    assert command in text
    assert max(map(len, text.splitlines())) <= width


def test_in_a_pipe_a_sentence_is_one_line_and_a_table_has_every_column():
    text = shown(runs(), 40, window=False)
    assert table.LEGEND in text.splitlines()
    assert all(column.title in text for column in table.COLUMNS)
    assert "no room" not in text


def test_rows_that_have_the_same_name_show_what_they_differ_in():
    tables = speed.compare(
        [
            record(device="cpu"),
            record(device="gpu: NVIDIA H200", started_at="2026-01-02T04:04:05.678+00:00"),
        ]
    )
    assert "NVIDIA H200" in shown(table.compose(tables), 80)
