"""The results folder: what was written comes back, and nothing else does."""

import csv
import gc
import hashlib
import io
import json
import os
import time
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.records import store
from harness.records.record import COLUMNS, row
from tests.unit.records import SPEC, record

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    store.ready(tmp_path / "results")
    return tmp_path / "results"


def planted(results, content, run_id="20260101T000000Z-jax-keras-s0-abcdef"):
    """Write a file as the store would name it, so that only its content can be at fault."""
    file = results / "runs" / f"{run_id}.{hashlib.sha256(content).hexdigest()[:12]}.json"
    file.write_bytes(content)
    return file


def test_a_record_comes_back_as_it_was_written(results):
    written = record()
    file = store.add(results, written)
    assert file.parent == results / "runs"
    assert store.load_all(results) == store.Loaded((written,), ())


def test_records_come_back_in_the_order_of_their_start(results):
    later, earlier = (
        record(run_id="b", started_at="2026-02-01T00:00:00+00:00"),
        record(run_id="a", started_at="2026-01-01T00:00:00+00:00"),
    )
    for each in (later, earlier):
        store.add(results, each)
    assert [each.run_id for each in store.load_all(results).records] == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON: "),
        (b"[1, 2]", "not a record: "),
        (
            b'{"format": 4, "brand": "new"}',
            "format 4, written by a newer harness; this one reads up to 3. Update the harness",
        ),
        (b'{"format": 1}', "not a record: [harness]: expected a value; the key is missing"),
    ],
)
def test_content_that_is_no_record_is_left_out_by_name(results, content, reason):
    store.add(results, record())
    file = planted(results, content)
    loaded = store.load_all(results)
    assert len(loaded.records) == 1
    assert [(entry.file, entry.reason[: len(reason)]) for entry in loaded.rejected] == [
        (file, reason)
    ]


@pytest.mark.parametrize(
    "harm",
    [
        lambda whole: whole[:-200],
        lambda whole: whole.replace(b"0.9", b"0.99", 1),
        lambda whole: whole + b"\n",
    ],
)
def test_a_torn_or_edited_record_is_left_out_by_name(results, harm):
    file = store.add(results, record())
    file.write_bytes(harm(file.read_bytes()))
    loaded = store.load_all(results)
    assert loaded.records == ()
    assert [(entry.file, entry.reason.partition(":")[0]) for entry in loaded.rejected] == [
        (file, "torn or edited")
    ]


def test_a_foreign_file_is_left_out_by_name_and_a_hidden_one_is_not_looked_at(results):
    (results / "runs" / "notes.txt").write_text("mine")
    (results / "runs" / ".partial-x").write_text("half")
    (entry,) = store.load_all(results).rejected
    assert (entry.file.name, entry.reason) == (
        "notes.txt",
        "not a record: expected a name RUN_ID.DIGEST.json",
    )


def test_a_record_with_an_unknown_key_or_a_number_out_of_range_is_left_out(results):
    whole = json.loads(record().model_dump_json())
    planted(results, json.dumps({**whole, "surprise": 1}).encode(), "a")
    whole["measured"]["test_accuracy"] = 1.5
    planted(results, json.dumps(whole).encode(), "b")
    reasons = [entry.reason for entry in store.load_all(results).rejected]
    assert "surprise" in reasons[0]
    assert (
        reasons[1]
        == "not a record: [measured] test_accuracy: expected less than or equal to 1; received 1.5"
    )


def test_a_renamed_copy_of_a_record_is_not_counted_twice(results):
    file = store.add(results, record(run_id="mine"))
    (results / "runs" / file.name.replace("mine", "copy")).write_bytes(file.read_bytes())
    loaded = store.load_all(results)
    assert [each.run_id for each in loaded.records] == ["mine"]
    assert [entry.reason for entry in loaded.rejected] == ["renamed: it holds the run mine"]


def test_an_empty_or_missing_folder_holds_no_records(tmp_path):
    assert store.load_all(tmp_path) == store.Loaded((), ())
    assert store.project(tmp_path / "nowhere") == store.Loaded((), ())


def test_the_csv_is_rebuilt_from_the_records_alone(results):
    each = record()
    store.add(results, each)
    (results / "results.csv").write_text("rubbish")
    store.project(results)
    (line,) = csv.DictReader(io.StringIO((results / "results.csv").read_text()))
    assert list(line) == list(COLUMNS)
    assert line == {name: "" if value is None else str(value) for name, value in row(each).items()}


def test_a_row_s_teardown_is_the_median_of_the_epochs_after_the_first():
    assert (
        row(record(epoch_s=(9.0, 1.0, 1.0, 2.0), teardown_s=(5.0, 0.25, 0.0, 0.5)))["teardown_s"]
        == 0.25
    )


def test_a_row_of_one_epoch_has_no_teardown():
    assert row(record(epoch_s=(9.0,), teardown_s=(5.0,)))["teardown_s"] is None


def test_a_row_of_native_inputs_has_the_digests_that_the_worker_saw():
    native = row(record(spec=SPEC.model_copy(update={"inputs": "native"})))
    assert (native["weights_sha256"], native["order_sha256"]) == ("a" * 64, "b" * 64)


def test_a_failed_row_of_native_inputs_has_no_digest_of_what_was_never_drawn():
    failed = row(record(status="failed", spec=SPEC.model_copy(update={"inputs": "native"})))
    assert (failed["weights_sha256"], failed["order_sha256"]) == (None, None)


def test_an_unchanged_csv_is_not_written_again(results):
    store.add(results, record())
    store.project(results)
    before = (results / "results.csv").stat().st_ino
    store.project(results)
    assert (results / "results.csv").stat().st_ino == before


def test_leftovers_of_a_killed_harness_are_removed_after_an_hour(results):
    old, new = results / "runs" / ".partial-old", results / "runs" / ".partial-new"
    for file in (old, new):
        file.write_text("half")
    os.utime(old, (time.time() - 4000,) * 2)
    store.ready(results)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_folder_that_cannot_be_made_is_said_with_what_to_type(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        StoreError,
        match=r"results cannot be written there .+ Name another folder: --results FOLDER",
    ):
        store.ready(tmp_path / "file" / "results")


def test_a_record_goes_to_the_state_folder_when_the_results_folder_is_gone(results, tmp_path):
    each = record()
    (results / "runs").rmdir()
    file = store.add(results, each)
    assert tmp_path / "state" in file.parents
    (results / "runs").mkdir()
    file.rename(results / "runs" / file.name)  # put back by hand, it is whole
    assert store.load_all(results).records == (each,)


def test_where_neither_folder_can_be_written_the_error_names_both(results, tmp_path):
    (results / "runs").rmdir()
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(
        StoreError, match=r"cannot be written .+, nor can it be kept in .+keras-backend-harness"
    ):
        store.add(results, record())


def test_every_column_is_explained_in_the_results_readme_and_no_other():
    page = (ROOT / "results" / "README.md").read_text()
    lines = page.split("## Columns of results.csv")[1].split("\n## ")[0].splitlines()
    explained = [line.split("`")[1] for line in lines if line.startswith("| `")]
    assert explained == list(COLUMNS)


def test_reading_a_folder_leaves_its_caller_s_garbage_collector_alone(tmp_path):
    (tmp_path / "runs").mkdir()
    for was_on in (True, False):
        gc.enable() if was_on else gc.disable()
        n_frozen = gc.get_freeze_count()
        try:
            store.load_all(tmp_path)
            store.project(tmp_path)
            assert (gc.isenabled(), gc.get_freeze_count()) == (was_on, n_frozen)
        finally:
            gc.enable()
