"""Records for other programs, read back by these programs' own rules."""

import csv
import json
import statistics
import struct
import sys
from pathlib import Path

import jsonschema
import polars
import pytest
from tensorboardX.proto.event_pb2 import Event
from typer.testing import CliRunner

from harness.cli.export import tables
from harness.cli.main import app
from harness.cli.report_page import load
from harness.errors import EnvironmentMissing
from harness.experiments.bench.judge import summarize
from harness.report import tensorboard
from harness.report.arm_run import ArmRun

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"


def export(folder, to):
    found = CliRunner().invoke(
        app, ["export", str(folder), "--to", to, "--results", str(REFERENCE)]
    )
    assert found.exit_code == 0, found.output
    return found.output


@pytest.fixture(scope="module")
def records():
    return load(REFERENCE)


def test_long_tables_hold_every_epoch_turn_and_pair_of_the_records(records):
    found = tables(records)
    n_epochs = sum(len(run.measured.epochs) for run in records.runs)
    n_turns = sum(len(block.turns) for bench in records.sessions for block in bench.blocks)
    assert len(found["epochs"]) == n_epochs + n_turns
    assert len(found["runs"]) == len(records.runs)
    assert len({tuple(row) for row in found["epochs"]}) == 1, "all rows have the same columns"
    (default,) = (bench for bench in records.sessions if len(bench.session.entrants) == 7)
    of_default = [row for row in found["pairs"] if row["record"] == default.session.run_id]
    assert len(of_default) == 6 * default.session.n_generations


def test_parquet_is_what_csv_says(tmp_path):
    export(tmp_path, "csv")
    export(tmp_path, "parquet")
    for file in sorted(tmp_path.glob("*.csv")):
        frame = polars.read_parquet(file.with_suffix(".parquet"))
        with file.open(encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened))
        assert frame.columns == list(rows[0])
        assert frame.height == len(rows)
        for name in set(frame.columns) & {"seconds", "ratio", "loss", "value", "arm"}:
            shown = ["" if value is None else str(value) for value in frame[name].to_list()]
            assert shown == [row[name].removeprefix("'") for row in rows]


def test_services_get_every_arm_s_figures_with_their_intervals(tmp_path, records):
    summary = summarize(records.sessions[0], records.checks)
    export(tmp_path, "bencher")
    export(tmp_path, "github")
    metrics = json.loads((tmp_path / "bencher.json").read_text())
    entries = json.loads((tmp_path / "github-action-benchmark.json").read_text())
    assert set(metrics) == {arm.name for arm in summary.arms}
    for arm in summary.arms:
        epoch = metrics[arm.name]["epoch"]
        shown = (epoch["lower_value"], epoch["value"], epoch["upper_value"])
        assert shown == (arm.epoch_s.low, arm.epoch_s.mid, arm.epoch_s.high)
    assert {frozenset(entry) for entry in entries} == {
        frozenset({"name", "unit", "value", "range", "extra"})
    }
    assert len({entry["name"] for entry in entries}) == len(entries)


def events(folder):
    """The scalars of a folder's event file, by its own rules: (tag, step) -> value."""
    (file,) = folder.glob("*tfevents*")
    content, at, found = file.read_bytes(), 0, {}
    while at < len(content):
        (n,) = struct.unpack("<Q", content[at : at + 8])
        event = Event.FromString(content[at + 12 : at + 12 + n])
        found |= {(each.tag, event.step): each.simple_value for each in event.summary.value}
        at += 12 + n + 4
    return found


def test_tensorboard_has_each_arm_s_median_loss_by_epoch_and_what_it_came_to(tmp_path, records):
    export(tmp_path, "tensorboard")
    bench = next(bench for bench in records.sessions if len(bench.session.entrants) == 7)
    place = tmp_path / bench.session.run_id / "torch_keras"
    losses = [block.turns["torch/keras"].loss for block in bench.blocks if block.block == 1]
    trained, validated = events(place / "train"), events(place / "validation")
    assert trained["epoch_loss", 1] == pytest.approx(statistics.median(losses))
    assert {tag for tag, _ in trained} == {"epoch_loss", "epoch_accuracy", "epoch_s"}
    ends = [end.test_accuracy for end in bench.ends if end.name == "torch/keras"]
    last = bench.session.n_blocks
    assert validated["epoch_accuracy", last] == pytest.approx(statistics.fmean(ends))
    n_arms = len(records.runs) + sum(
        len(bench.session.entrants) - len(bench.session.duplicates) for bench in records.sessions
    )
    assert len(list(tmp_path.rglob("train"))) == n_arms


def test_a_hostile_name_of_an_arm_or_a_record_stays_inside_the_log_folder(tmp_path):
    given = {"experiment": "x", "in_session": True, "started_at": "", "total_s": 1.0}
    given |= {"params": {}, "tags": {}, "figures": {}}
    run = ArmRun(record="../../up", arm="/etc/x", epochs={1: {"loss": 0.5}}, **given)
    (place,) = tensorboard.write([run], tmp_path / "logs")
    assert place.resolve().is_relative_to(tmp_path / "logs")
    assert [each.name for each in tmp_path.iterdir()] == ["logs"]


METRIC = {
    "type": "object",
    "properties": {name: {"type": "number"} for name in ("value", "lower_value", "upper_value")},
    "required": ["value"],
}
MEASURES = {"type": "object", "propertyNames": {"maxLength": 64}, "additionalProperties": METRIC}
BENCHER = {"type": "object", "propertyNames": {"maxLength": 1024}, "additionalProperties": MEASURES}


def test_bencher_s_json_is_of_its_published_form(tmp_path):
    export(tmp_path, "bencher")
    jsonschema.validate(json.loads((tmp_path / "bencher.json").read_text()), BENCHER)


@pytest.mark.parametrize("to", ["mlflow", "trackio", "wandb"])
def test_without_a_tracker_s_library_one_sentence_says_what_to_type(tmp_path, monkeypatch, to):
    monkeypatch.setitem(sys.modules, to, None)
    arguments = ["export", str(tmp_path), "--to", to, "--results", str(REFERENCE)]
    found = CliRunner().invoke(app, arguments)
    assert isinstance(found.exception, EnvironmentMissing)
    assert f"pip install 'keras-backend-harness[{to}]'" in str(found.exception)
