"""What is shown: the same figures in every format, in any window, and advice that can be typed."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from harness.cli.output import write_files
from harness.engine.host import advice, choose_build
from harness.errors import ConfigError, StoreError
from harness.experiments.doctor import document as doctor
from harness.experiments.train import document as table
from harness.experiments.train import progress as run_progress
from harness.experiments.train.judge import compare
from harness.job.accelerators import Accelerator, Hardware
from harness.job.answers import Environment, EpochEnd, Host, Phase, Refusal
from harness.lessons import dataset
from harness.records.files import Rejected
from harness.records.record import first_predictions
from harness.report import progress, terminal
from harness.report.drawing import draw
from harness.report.renderers import render
from harness.spec import config
from tests.unit.records import record

BACKENDS = config.load(Path(__file__).resolve().parents[2] / "backends.toml").backends
REJECTED = (Rejected(Path("results/runs/torn.json"), "torn or edited"),)


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    """Keep this machine's own window and GPU settings out."""
    for name in ("CUDA_VISIBLE_DEVICES", "COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def shown(renderable, width=150):
    """Return what a terminal of that width shows, without colours."""
    console = Console(file=io.StringIO(), width=width, no_color=True)
    terminal.show(renderable, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def at(minute):
    return f"2026-01-02T03:{minute:02}:00.000+00:00"


@pytest.fixture(scope="module")
def tables():
    return compare(
        [
            record(
                started_at=at(0),
                backend="tensorflow",
                seed=0,
                epoch_s=(3.0, 1.0, 1.25),
                test_accuracy=0.98,
                framework_version="2.21.0",
            ),
            record(
                started_at=at(1),
                backend="tensorflow",
                seed=1,
                epoch_s=(4.0, 1.5, 1.75),
                test_accuracy=0.981,
                framework_version="2.21.0",
            ),
            record(
                started_at=at(2), backend="jax", epoch_s=(5.0, 2.75, 2.75), test_accuracy=0.9795
            ),
            record(
                started_at=at(3),
                backend="jax",
                status="failed",
                reason="out of memory [red]here[/red]",
            ),
            record(started_at=at(4), backend="torch", status="failed", reason="killed by SIGKILL"),
            record(
                started_at=at(5),
                backend="jax",
                implementation="native",
                module="native.jax",
                epoch_s=(4.5, 1.25, 1.25),
            ),
        ]
    )


AS_TEXT = tuple(
    lambda *given, name=name: render(table.compose(*given), name) for name in ("markdown", "json")
)
ROWS = [
    (
        "tensorflow/keras",
        "2.21.0",
        "cpu",
        "not checked",
        "0.9805 ± 0.0007 (2 seeds)",
        "1.38 (1.00-1.75)",
        "1.00",
        "-",
        "3.50",
        "20.5",
        "600",
        "2 ok",
    ),
    (
        "jax/keras",
        "0.10.2",
        "cpu",
        "not checked",
        "0.9795 (1 seed)",
        "2.75",
        "2.00",
        "2.20",
        "5.00",
        "20.5",
        "600",
        "1 ok, 1 failed",
    ),
    (
        "jax/native",
        "0.10.2",
        "cpu",
        "not checked",
        "0.9800 (1 seed)",
        "1.25",
        "0.91",
        "1.00",
        "4.50",
        "20.5",
        "600",
        "1 ok",
    ),
    ("torch/keras", "-", "auto", "not checked", "-", "-", "-", "-", "-", "-", "-", "1 failed"),
]
FIGURE_NAMES = (
    "test_accuracy_mid",
    "epoch_s_low",
    "epoch_s_mid",
    "epoch_s_high",
    "ratio",
    "to_native",
    "first_epoch_s",
)
FIGURES = [
    dict(zip(FIGURE_NAMES, values, strict=True))
    for values in (
        (0.9805, 1.0, 1.375, 1.75, 1.0, None, 3.5),
        (0.9795, 2.75, 2.75, 2.75, 2.0, 2.2, 5.0),
        (0.98, 1.25, 1.25, 1.25, 1.25 / 1.375, 1.0, 4.5),
        (None,) * 7,
    )
]


def grid_lines(text):
    """Return the lines of the first grid's rows: from its rule to the next empty line."""
    lines = text.splitlines()
    rule = next(number for number, line in enumerate(lines) if "───" in line)
    end = next(number for number in range(rule, len(lines)) if not lines[number].strip())
    return lines[rule + 1 : end]


# The table, in four formats


def test_the_terminal_shows_each_row_s_figures(tables):
    rows = [
        tuple(re.split(r" {2,}", line.strip()))
        for line in grid_lines(shown(table.compose(tables), width=190))
    ]
    assert rows == ROWS


def test_markdown_shows_the_same_figures(tables):
    bars = [
        line
        for line in render(table.compose(tables), "markdown").splitlines()
        if line.startswith("|")
    ]
    cells = [tuple(cell.strip() for cell in bar.strip("|").split("|")) for bar in bars]
    assert cells[0] == tuple(column.title for column in table.COLUMNS)
    assert cells[2:] == ROWS


def test_the_legend_says_what_both_ratios_are_to(tables):
    said = (
        "ratio: median epoch to the baseline's (1.00); to native: to that of the same backend's "
        "native arm, "
        "which does the same sums without Keras."
    )
    assert said in shown(table.compose(tables))
    assert said in render(table.compose(tables), "markdown")


def assert_figures(rows):
    for row, expected in zip(rows, FIGURES, strict=True):
        for name, value in expected.items():
            assert row[name] == (None if value is None else pytest.approx(value)), name


def test_csv_shows_the_same_figures(tables):
    rows = list(csv.DictReader(io.StringIO(render(table.compose(tables), "csv"))))
    assert [f"{row['backend']}/{row['implementation']}" for row in rows] == [row[0] for row in ROWS]
    assert_figures(
        [
            {name: float(text) if (text := row[name]) else None for name in FIGURES[0]}
            for row in rows
        ]
    )


def test_json_shows_the_same_figures(tables):
    (whole,) = json.loads(render(table.compose(tables), "json"))["tables"]
    assert [f"{row['backend']}/{row['implementation']}" for row in whole["rows"]] == [
        row[0] for row in ROWS
    ]
    assert_figures([flat(row) for row in whole["rows"]])


def flat(row):
    """Return a row of the JSON with its spreads as name_low, name_mid, name_high, as the CSV has
    them.
    """
    spreads = {
        f"{name}_{part}": (row[name] or {}).get(part)
        for name in ("test_accuracy", "epoch_s")
        for part in ("low", "mid", "high")
    }
    return row | spreads


def test_csv_of_nothing_is_empty():
    assert render(table.compose(()), "csv") == ""


@pytest.mark.parametrize("render", [lambda tables: shown(table.compose(tables)), *AS_TEXT])
def test_each_failure_is_told_with_its_reason_letter_by_letter(tables, render):
    text = render(tables)
    assert "out of memory [red]here[/red]" in text
    assert "killed by SIGKILL" in text


@pytest.mark.parametrize(
    "render",
    [lambda *given: shown(table.compose(*given)), *AS_TEXT],
    ids=["terminal", "markdown", "json"],
)
def test_a_file_left_out_is_named_with_its_reason(tables, render):
    text = render(tables, REJECTED)
    assert "torn.json" in text
    assert "torn or edited" in text


@pytest.mark.parametrize(
    "render",
    [lambda tables: shown(table.compose(tables)), AS_TEXT[0]],
    ids=["terminal", "markdown"],
)
def test_several_tables_say_what_they_differ_in(render):
    two = compare([record(started_at=at(0)), record(started_at=at(1), keras="3.16.0")])
    assert "2 tables, since runs differ in: keras. Do not compare across them." in render(two)


def test_the_heading_says_what_the_rows_share(tables):
    assert table.heading(tables[0]) == (
        "mnist-mlp, mnist (dddddddd), 3 epochs, Keras 3.15.1, A processor, 2 cores, 8 GiB, Linux "
        "x86_64"
    )


def test_the_heading_names_the_threads_where_they_were_set():
    assert table.heading(compare([record(threads=2)])[0]).endswith(", threads 2")


def test_equal_inputs_are_said_of_several_arms():
    tables = compare([record(backend="jax"), record(backend="torch", started_at=at(1))])
    assert table.EQUAL_INPUTS in shown(table.compose(tables))
    assert table.EQUAL_INPUTS in render(table.compose(tables), "markdown")


def test_equal_inputs_are_not_said_of_one_arm():
    assert table.EQUAL_INPUTS not in render(table.compose(compare([record()])), "markdown")


def test_markdown_escapes_a_pipe():
    bars = [
        line
        for line in render(
            table.compose(compare([record(device="gpu: A|B")])), "markdown"
        ).splitlines()
        if line.startswith("|")
    ]
    assert "gpu: A&#124;B" in bars[2]
    assert {bar.count("|") for bar in bars} == {len(table.COLUMNS) + 1}


# A run's progress


def test_a_run_that_went_well_is_one_line():
    run = record(epoch_s=(3.0, 1.25, 1.5), total_s=20.04, test_accuracy=0.98125)
    assert (
        run_progress.line(run)
        == "jax/keras, seed 0: test accuracy 0.9812, epoch 1.25-1.50 s, 20.0 s in all, on cpu"
    )


def test_a_run_of_one_epoch_has_no_epoch_time_in_its_line():
    assert (
        run_progress.line(record(epoch_s=(3.0,)))
        == "jax/keras, seed 0: test accuracy 0.9800, 20.5 s in all, on cpu"
    )


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_a_run_that_did_not_go_well_is_one_line_with_its_reason(status):
    assert (
        run_progress.line(record(status=status, reason="why", seed=3))
        == f"jax/keras, seed 3: {status}: why"
    )


EVENTS = (
    Phase(phase="import"),
    EpochEnd(epoch=1, epochs=2, loss=0.25, accuracy=0.925, seconds=3.0, feed_s=0.25),
    EpochEnd(epoch=2, epochs=2, loss=0.125, accuracy=0.96, seconds=1.5, feed_s=0.25),
)


def bar_output(**options):
    console = Console(file=io.StringIO(), no_color=True, **options)
    with progress.run_bar(console) as show:
        for event in EVENTS:
            show("[1/3] jax/keras, seed 0", 2, run_progress.mark(event))
    return console.file.getvalue()


def test_without_a_terminal_progress_is_a_plain_line_an_epoch_however_narrow():
    assert bar_output(width=40) == (
        "[1/3] jax/keras, seed 0: epoch 1/2, loss 0.2500, accuracy 0.9250, 3.00 s\n"
        "[1/3] jax/keras, seed 0: epoch 2/2, loss 0.1250, accuracy 0.9600, 1.50 s\n"
    )


def test_in_a_terminal_progress_is_a_bar_with_phase_epoch_and_time_left():
    text = bar_output(width=140, force_terminal=True)
    assert "[1/3] jax/keras, seed 0" in text
    assert "importing" in text
    assert "epoch 1/2, loss 0.2500, accuracy 0.9250, 3.00 s, 3 s left" in text


def test_a_download_is_told_in_at_most_ten_steps():
    console = Console(file=io.StringIO(), width=40)
    with progress.download_bar(console) as show:
        for done in range(1, 1001):
            show(done * 11_000, 11_000_000)
    lines = console.file.getvalue().splitlines()
    assert len(lines) <= 11
    assert lines[-1] == "MNIST: 10.5 MiB of 10.5"


def test_a_download_of_unknown_length_is_told_by_the_mebibyte():
    console = Console(file=io.StringIO(), width=40)
    with progress.download_bar(console) as show:
        for done in range(1, 33):
            show(done << 16, None)
    assert console.file.getvalue().splitlines() == [
        "MNIST: 0.1 MiB",
        "MNIST: 1.0 MiB",
        "MNIST: 2.0 MiB",
    ]


# A look at the dataset


@pytest.fixture(scope="module")
def parts():
    """Ten images of each class, the class's number times 20 all over."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), 10)[np.random.default_rng(0).permutation(100)]
    images = np.broadcast_to(labels[:, None, None] * np.uint8(20), (100, 28, 28)).copy()
    return {"x_train": images, "y_train": labels, "x_test": images[:30], "y_test": labels[:30]}


def test_a_picture_has_two_columns_a_pixel_and_darker_marks_for_higher_values():
    image = np.array([[0, 255], [64, 128], [191, 0]], np.uint8)
    assert draw(dataset.picture(image)) == "  ██\n░░▒▒\n▓▓"


def test_a_sheet_is_a_png_with_a_class_a_row_dark_on_light(parts):
    with Image.open(io.BytesIO(dataset.sheet(parts))) as sheet:
        assert (sheet.format, sheet.mode, sheet.size) == ("PNG", "L", (10 * 28 * 2, 10 * 28 * 2))
        pixels = np.asarray(sheet)
    for label in range(10):
        assert (pixels[label * 56 : (label + 1) * 56] == 255 - 20 * label).all()


def test_a_sheet_that_cannot_be_written_is_an_error_that_names_the_option(tmp_path):
    file = tmp_path / "missing" / "sheet.png"
    with pytest.raises(StoreError) as caught:
        write_files({"--png": (file, b"")})
    assert str(caught.value) == f"--png: {file}: cannot be written (No such file or directory)"


def test_an_overview_shows_arrays_classes_slices_and_the_sample(parts):
    text = shown(dataset.overview(parts, 4, "digits", {}))
    label = parts["y_train"][4]
    for expected in (
        r"x_train +3 +\(100, 28, 28\) +uint8 +0 +180 +90\.000\n",
        r"y_train +1 +\(100,\) +uint8 +0 +9 +4\.500\n",
        r"y_train( +10){10}\n",
        r"images\[10:100\] +\(90, 28, 28\)\n",
        r"images\[:, 14:, 14:\]  \(bottom-right 14x14\) +\(100, 14, 14\)\n",
        r"images\[:, 7:-7, 7:-7\]  \(centred 14x14\) +\(100, 14, 14\)\n",
        rf"Training sample 4, labelled {label}:\n",
    ):
        assert re.search(expected, re.sub(r" +\n", "\n", text)), expected


def test_an_overview_shows_what_each_arm_takes_the_first_test_images_for_under_their_labels(parts):
    first = parts["y_test"][0]
    text = shown(
        dataset.overview(
            parts,
            4,
            "digits",
            {"jax/keras": (first, *range(9)), "torch/keras": (first + 1, *range(9))},
        )
    )
    digits = " ".join(map(str, range(9)))
    for expected in (
        rf"test_labels\[:10\] +{' '.join(map(str, parts['y_test'][:10]))}\n",
        rf"predictions.argmax\(1\)\[:10\] +jax/keras +{first} {digits} +{first} == {first}: True\n",
        rf"predictions.argmax\(1\)\[:10\] +torch/keras +{first + 1} {digits} +{first + 1} == "
        rf"{first}: False\n",
    ):
        assert re.search(expected, re.sub(r" +\n", "\n", text)), expected
    assert "harness train" not in text


def test_an_overview_says_what_to_type_where_there_are_no_predictions(parts):
    assert "Run: harness train --dataset digits\n" in shown(
        dataset.overview(parts, 4, "digits", {}), width=60
    )


def predicting(*classes, **changes):
    run = record(**changes)
    return run.model_copy(update={"measured": replace(run.measured, first_predictions=classes)})


def test_the_predictions_shown_are_each_arm_s_newest():
    runs = [
        predicting(1, backend="jax", started_at=at(0)),
        predicting(2, backend="jax", started_at=at(1)),
        predicting(3, backend="jax", implementation="naive", started_at=at(2)),
    ]
    assert first_predictions(runs, "d" * 64) == {"jax/keras": (2,), "jax/naive": (3,)}


@pytest.mark.parametrize(
    "run",
    [
        predicting(7, data_sha256="e" * 64),
        predicting(7, status="diverged"),
        predicting(),
        record(status="failed"),
    ],
    ids=["another dataset", "diverged", "an older harness's", "failed"],
)
def test_no_predictions_are_shown_of_a_run_that_is(run):
    assert first_predictions([run], "d" * 64) == {}


# The doctor

HOST = Host(
    machine="A processor, 2 cores, 8 GiB, Linux x86_64",
    n_cores=2,
    memory_bytes=8 << 30,
    accelerators=(),
    driver=None,
    load_1m=0.1,
)
H200 = Hardware((Accelerator("NVIDIA H200", 141 << 30, "570.86", "12.8"),))
APPLE = Hardware((Accelerator("Apple M4", 16 << 30, None, None),))
NONE = Hardware(())


def seen(devices=("cpu",), cuda=None, **settings):
    versions = {"framework_version": "0.10.2", "keras": "3.15.1", "numpy": "2.4.6"}
    return Environment(
        versions=versions | {"python": "3.11.7"},
        devices=tuple(devices),
        cuda=cuda,
        settings={"tf32": False, "onednn": None, "affinity": 2, **settings},
    )


def checkup(hardware, answer, width=200):
    places = {"jax": "a/place (setup)"}
    return shown(doctor.compose(HOST, hardware, {"jax": answer}, BACKENDS, places), width)


def test_the_doctor_names_machine_and_accelerators():
    lines = checkup(H200, seen(["gpu: NVIDIA H200"], "12.9")).splitlines()
    assert lines.pop(1).startswith("harness 0.")
    assert lines[:2] == [
        "machine: A processor, 2 cores, 8 GiB, Linux x86_64",
        "accelerators: NVIDIA H200, 141 GiB, driver 570.86, CUDA up to 12.8",
    ]


def test_the_doctor_says_so_where_there_is_no_accelerator():
    assert "accelerators: none: every backend runs on the CPU\n" in checkup(NONE, seen())


def test_the_doctor_passes_on_what_is_wrong_with_the_hardware():
    assert "! no driver answers\n" in checkup(Hardware((), "no driver answers"), seen())


def test_the_doctor_has_a_row_for_a_backend_with_versions_devices_and_settings():
    (row,) = grid_lines(checkup(H200, seen(["gpu: NVIDIA H200", "cpu"], "12.9", jit=True)))
    cells = re.split(r" {2,}", row.strip())
    versions = ["jax", "a/place (setup)", "0.10.2", "3.15.1", "2.4.6", "3.11.7"]
    assert cells == [*versions, "gpu: NVIDIA H200, cpu", "12.9", "tf32 off, affinity 2, jit on"]


def test_the_doctor_has_a_row_of_dashes_and_the_reason_for_a_backend_that_does_not_answer():
    text = checkup(NONE, Refusal(reason="train-jax: environment missing. Run: nox -s train-jax"))
    (row,) = grid_lines(text)
    assert row.split() == ["jax", "a/place", "(setup)", *["-"] * 7]
    assert "! jax: train-jax: environment missing. Run: nox -s train-jax\n" in text


def test_the_doctor_s_advice_is_one_line_in_a_narrow_terminal():
    assert "! jax: a CPU-only build is installed. Run: harness setup jax --gpu\n" in checkup(
        H200, seen(), width=60
    )


def test_the_doctor_shows_a_device_s_name_letter_by_letter():
    assert "gpu: Beta [b]oard" in checkup(NONE, seen(["gpu: Beta [b]oard"]))


# Advice

ADVICE = {
    "a GPU that is used": (H200, seen(["cpu", "gpu: NVIDIA H200"], "12.9"), None, ""),
    "no GPU": (NONE, seen(), None, ""),
    "no GPU and a build for one": (NONE, seen(cuda="12.9"), None, ""),
    "a build without CUDA": (
        H200,
        seen(),
        None,
        "a CPU-only build is installed. Run: harness setup jax --gpu",
    ),
    "a driver too old": (
        H200,
        seen(cuda="13.0"),
        None,
        "the driver (570.86) runs CUDA up to 12.8, this build needs 13.0. Update the driver",
    ),
    "a GPU hidden by -1": (
        H200,
        seen(cuda="12.9"),
        "-1",
        "CUDA_VISIBLE_DEVICES='-1' hides the GPU. Unset it",
    ),
    "a GPU hidden by an empty list": (
        H200,
        seen(cuda="12.9"),
        "",
        "CUDA_VISIBLE_DEVICES='' hides the GPU. Unset it",
    ),
    "a build that sees nothing": (
        H200,
        seen(cuda="12.9"),
        None,
        "built for CUDA 12.9, and yet it sees no GPU. Build it anew: harness setup jax --gpu "
        "--anew",
    ),
    "a build that sees nothing of the GPU that is listed": (
        H200,
        seen(cuda="12.9"),
        "0",
        "built for CUDA 12.9, and yet it sees no GPU. Build it anew: harness setup jax --gpu "
        "--anew",
    ),
    "an accelerator without CUDA": (
        APPLE,
        seen(),
        None,
        "this backend has no build for this accelerator; it runs on the CPU",
    ),
    "an accelerator without CUDA that is used": (APPLE, seen(["gpu: mps"]), None, ""),
    "no answer": (
        H200,
        Refusal(reason="train-jax: environment missing"),
        None,
        "train-jax: environment missing",
    ),
}


@pytest.mark.parametrize(
    ("hardware", "answer", "visible", "sentence"), ADVICE.values(), ids=ADVICE.keys()
)
def test_advice_for(monkeypatch, hardware, answer, visible, sentence):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert advice(hardware, answer, "jax", BACKENDS["jax"]) == sentence


@pytest.mark.parametrize(
    ("device", "hardware", "wanted"),
    [
        ("auto", H200, "gpu"),
        ("auto", NONE, "cpu"),
        ("auto", APPLE, "cpu"),
        ("cpu", H200, "cpu"),
        ("cpu", NONE, "cpu"),
        ("gpu", H200, "gpu"),
        ("gpu", APPLE, "cpu"),
    ],
    ids=[
        "auto and a GPU",
        "auto and none",
        "auto and Apple's",
        "cpu and a GPU",
        "cpu and none",
        "gpu and a GPU",
        "gpu and Apple's",
    ],
)
def test_the_build_is_that_for(device, hardware, wanted):
    assert choose_build(device, hardware) == wanted


def test_a_gpu_build_is_refused_where_there_is_no_gpu():
    with pytest.raises(
        ConfigError,
        match=r"--device gpu: this machine has no accelerator .+ --device cpu runs there",
    ):
        choose_build("gpu", NONE)
