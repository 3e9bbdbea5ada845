"""Exported records say what the records say, read by each program's own library."""

import json
import statistics
import struct
from pathlib import Path

import duckdb
import polars
import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.cli.report_page import load
from harness.experiments.bench.judge import summarize

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
SESSION = "20261123T202318Z-ee119b"
pytestmark = pytest.mark.filterwarnings("default")  # of others' libraries


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A results folder with one session, three runs and all checks."""
    folder = tmp_path_factory.mktemp("results")
    for room in ("bench", "runs"):
        (folder / room).mkdir()
    (folder / "bench" / SESSION).symlink_to(REFERENCE / "bench" / SESSION)
    for file in sorted((REFERENCE / "runs").iterdir())[-3:]:
        (folder / "runs" / file.name).symlink_to(file)
    (folder / "parity").symlink_to(REFERENCE / "parity")
    return folder


@pytest.fixture(scope="module")
def records(results):
    return load(results)


@pytest.fixture(scope="module")
def summary(records):
    (bench,) = records.sessions
    return summarize(bench, records.all_checks, own_cost=bench.own_cost)


def export(results, folder, to):
    arguments = ["export", str(folder), "--to", to, "--results", str(results)]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    return found.output


def median_losses(records, arm):
    """An arm's median loss by step: epochs counted from 0, the first of which is no turn."""
    (bench,) = records.sessions
    counted = [block for block in bench.blocks if not block.invalid]
    return {
        number: statistics.median(
            block.turns[arm].loss for block in counted if block.block == number
        )
        for number in range(1, bench.session.n_blocks + 1)
    }


def accuracy(records, arm):
    (bench,) = records.sessions
    return statistics.fmean(end.test_accuracy for end in bench.ends if end.name == arm)


def test_mlflow_s_runs_are_the_arms_and_its_metrics_the_records(
    results, records, summary, tmp_path, monkeypatch
):
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    export(results, tmp_path, "mlflow")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("mnist-mlp")
    found = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in found if run.info.run_name == SESSION)
    children = {
        run.info.run_name: run
        for run in found
        if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
    }
    assert set(children) == {arm.name for arm in summary.arms}
    for arm in summary.arms:
        run = children[arm.name]
        history = client.get_metric_history(run.info.run_id, "loss")
        assert {each.step: each.value for each in history} == median_losses(records, arm.name)
        assert run.data.metrics["ratio_mid"] == arm.ratio.mid
        assert run.data.metrics["epoch_s_high"] == arm.epoch_s.high
        assert run.data.metrics["val_accuracy"] == accuracy(records, arm.name)
        assert run.data.tags["harness.verdict"] == arm.verdict
        assert run.data.tags["harness.parity"] == arm.parity
        assert run.data.params["baseline"] == summary.baseline
    (page,) = client.list_artifacts(parent.info.run_id)
    assert page.path.endswith(".html")


def test_mlflow_has_each_run_once_however_often_it_is_exported(
    results, records, tmp_path, monkeypatch
):
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    counts = []
    for _ in range(2):
        export(results, tmp_path, "mlflow")
        client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
        ids = [each.experiment_id for each in client.search_experiments()]
        counts.append(len(client.search_runs(ids)))
    (bench,) = records.sessions
    assert counts == [1 + len(bench.session.entrants) - 1 + len(records.runs)] * 2


HEAD, BLOCK = 7, 32_768  # bytes: of the file's mark, and of a block of LevelDB's log format


def logged(file):
    """The records in an offline file: a library of wandb's own for that is no longer in it."""
    content, at, parts = file.read_bytes(), HEAD, []
    while at + 7 <= len(content):
        if BLOCK - at % BLOCK < 7:  # no part begins in the last six bytes of a block
            at += BLOCK - at % BLOCK
            continue
        _, n, kind = struct.unpack("<IHB", content[at : at + 7])
        parts.append(content[at + 7 : at + 7 + n])
        at += 7 + n
        if kind in (1, 4):  # whole, or the last part
            yield b"".join(parts)
            parts = []


def offline_runs(folder):
    """Each offline run of Weights & Biases: its own record, and its history by step."""
    from wandb.proto.wandb_internal_pb2 import Record

    def named(items):
        return {
            each.key or ".".join(each.nested_key): json.loads(each.value_json) for each in items
        }

    for file in sorted(folder.rglob("*.wandb")):
        history, run, summary = {}, None, {}
        for record in map(Record.FromString, logged(file)):
            match record.WhichOneof("record_type"):
                case "run":
                    run = record.run
                case "history":
                    history[record.history.step.num] = named(record.history.item)
                case "summary":
                    summary |= named(record.summary.update)
        yield run, history, summary


def test_an_offline_run_of_wandb_is_an_arm_with_the_records_metrics(
    results, records, summary, tmp_path
):
    export(results, tmp_path, "wandb")
    found = {
        run.job_type: (run, history, figures)
        for run, history, figures in offline_runs(tmp_path)
        if run.run_group == SESSION
    }
    assert set(found) == {arm.name.replace("/", "_") for arm in summary.arms}
    for arm in summary.arms:
        run, history, figures = found[arm.name.replace("/", "_")]
        assert run.display_name == arm.name
        assert run.project == "mnist-mlp"
        losses = {step: row["loss"] for step, row in history.items() if "loss" in row}
        assert losses == median_losses(records, arm.name)
        assert figures["ratio_mid"] == arm.ratio.mid


def test_trackio_s_runs_are_the_arms_each_once_with_the_records_metrics(
    results, records, summary, tmp_path, monkeypatch
):
    for name in ("TRACKIO_DIR", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, "")  # so that it is taken back after the test
    for _ in range(2):
        export(results, tmp_path, "trackio")
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    found = {
        run.config["arm"]: run for run in trackio.Api().runs("mnist-mlp") if SESSION in run.name
    }
    projects = {"mnist-mlp", *(run.request.spec_name for run in records.runs)}
    n_runs = sum(len(trackio.Api().runs(project)) for project in projects)
    assert n_runs == len(summary.arms) + len(records.runs)
    assert set(found) == {arm.name for arm in summary.arms}
    for arm in summary.arms:
        run = found[arm.name]
        assert run.config["_Group"] == SESSION
        assert run.config["verdict"] == arm.verdict
        rows = SQLiteStorage.get_logs("mnist-mlp", run.name)
        losses = {row["step"]: row["loss"] for row in rows if "loss" in row}
        assert losses == median_losses(records, arm.name)
        (ratio,) = (row["ratio_mid"] for row in rows if "ratio_mid" in row)
        assert ratio == arm.ratio.mid


def test_tensorboard_s_accumulator_reads_training_validation_and_hparams(
    results, records, summary, tmp_path
):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    export(results, tmp_path, "tensorboard")
    for arm in summary.arms:
        place = tmp_path / SESSION / arm.name.replace("/", "_")
        read = {}
        for part in ("train", "validation", "."):
            read[part] = EventAccumulator(str(place / part))
            read[part].Reload()
        losses = {each.step: each.value for each in read["train"].Scalars("epoch_loss")}
        assert losses == pytest.approx(median_losses(records, arm.name))
        (value,) = read["validation"].Scalars("epoch_accuracy")
        assert value.value == pytest.approx(accuracy(records, arm.name))
        content = read["."].PluginTagToContent("hparams")["_hparams_/session_start_info"]
        given = HParamsPluginData.FromString(content).session_start_info.hparams
        assert given["backend"].string_value == arm.name.partition("/")[0]
        assert given["arm"].string_value == arm.name
        (ratio,) = read["."].Scalars("ratio_mid")
        assert ratio.value == pytest.approx(arm.ratio.mid)


def readers(folder, name):
    """A table's rows as DuckDB and polars read them: of the CSV as text, and of the Parquet."""
    csv, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
    with duckdb.connect() as connection:
        text = connection.read_csv(str(csv), all_varchar=True, header=True).fetchall()
        typed = connection.read_parquet(str(parquet)).fetchall()
    yield text, typed
    yield polars.read_csv(csv, infer_schema=False).rows(), polars.read_parquet(parquet).rows()


def is_same(text, value):
    """Whether a CSV's cell is a value: an empty one is none; a formula's sign has a ' before it."""
    if value is None or value == "":
        return text in (None, "")
    if isinstance(value, float):
        return float(text) == value
    return (text or "").removeprefix("'") == str(value)


def test_parquet_is_csv_to_duckdb_and_to_polars(results, tmp_path):
    for to in ("csv", "parquet"):
        export(results, tmp_path, to)
    names = {file.stem for file in tmp_path.glob("*.csv")}
    assert names >= {"environments", "epochs", "pairs", "runs"}
    for name in names:
        for text, typed in readers(tmp_path, name):
            assert len(text) == len(typed) > 0
            for one, other in zip(text, typed, strict=True):
                assert all(map(is_same, one, other)), (name, one, other)
