"""The results folder: what was written comes back, and nothing else does."""

import csv
import gc
import hashlib
import io
import json
import shutil
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.records import files, frame, store
from harness.records.frame import COLUMNS, row
from tests.unit.records import SPEC, record

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    store.ready(tmp_path / "results")
    return tmp_path / "results"


def line(kind, version, content, digest=None):
    """A line as the store would write it, so that only what is given can be at fault."""
    head = b'{"kind":"%s","format":%d,"content":%s' % (kind.encode(), version, content)
    digest = digest or hashlib.sha256(head).hexdigest()
    return head + b',"digest":"' + digest.encode() + b'"}\n'


def planted(results, content, run_id="20260101T000000Z-jax-keras-s0-abcdef"):
    file = results / "runs" / f"{run_id}.jsonl"
    file.write_bytes(content)
    return file


def left_out(results):
    return {entry.file.name: entry.reason for entry in store.load_all(results).rejected}


def test_a_record_comes_back_as_it_was_written(results):
    written = record()
    file = store.add(results, written)
    assert file == results / "runs" / f"{written.run_id}.jsonl"
    assert store.load_all(results) == store.Loaded((written,), ())


def test_a_line_is_json_with_kind_format_content_and_the_digest_of_what_stands_before_it(results):
    text = store.add(results, record()).read_text()
    parts = json.loads(text)
    assert list(parts) == ["kind", "format", "content", "digest"]
    assert (parts["kind"], parts["format"]) == ("run", 6)
    assert parts["digest"] == hashlib.sha256(text.split(',"digest"')[0].encode()).hexdigest()


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
        (b"", "empty: nothing was finished"),
        (b"\n", "line 1: damaged: no kind, format, content and digest"),
        (b"[1, 2]\n", "line 1: damaged: no kind"),
        (
            line("run", 7, b'{"brand": "new"}'),
            "line 1: format 7, written by a newer harness; this one reads up to 6. Update the",
        ),
        (line("run", 4, b"{}"), "line 1: not a record: [harness]: expected a value; the key is"),
        (line("start", 3, b"{}"), "line 1: no start belongs here: expected run"),
        (line("run", 4, b"{}", "0" * 64), "line 1: damaged or edited: its content is not what"),
        (line("run", 4, b"{}")[:-9], "line 1: torn: the harness was stopped while it wrote this"),
    ],
)
def test_content_that_is_no_record_is_left_out_by_name(results, content, reason):
    store.add(results, record())
    file = planted(results, content)
    assert len(store.load_all(results).records) == 1
    assert {name: why[: len(reason)] for name, why in left_out(results).items()} == {
        file.name: reason
    }


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_appended_after_a_torn_line_counts_and_the_torn_one_is_named(results, whole):
    written = record()
    file = store.add(results, written)
    text = file.read_bytes()
    file.write_bytes(text[:-1] if whole else text[:-200])
    store.add(results, written)
    assert store.load_all(results).records == (written,)
    (said,) = left_out(results).values()
    assert said.startswith("line 2: a second" if whole else "line 1: damaged")


def test_of_a_file_of_rubbish_only_the_first_lines_are_named(results):
    planted(results, b"\n" * 1_000_000)
    assert len(store.load_all(results).rejected) == store.N_DAMAGED


def test_a_line_longer_than_any_record_ends_the_reading(results, monkeypatch):
    monkeypatch.setattr(files, "LIMIT_BYTES", 1 << 20)
    planted(results, b"x" * (3 << 20) + b"\n")
    assert list(left_out(results).values()) == ["line 1: longer than 1 MiB, which no record is"]


def test_a_foreign_file_is_left_out_by_name_and_a_hidden_one_is_not_looked_at(results):
    (results / "runs" / "notes.txt").write_text("mine")
    (results / "runs" / ".partial-x").write_text("half")
    said = "not a record: expected a name ID.jsonl, or of older versions ID.DIGEST.json"
    assert left_out(results) == {"notes.txt": said}


def test_a_record_with_an_unknown_key_or_a_number_out_of_range_is_left_out(results):
    whole = json.loads(record().model_dump_json(exclude={"format"}))
    planted(results, line("run", 4, json.dumps({**whole, "surprise": 1}).encode()), "a")
    whole["measured"]["test_accuracy"] = 1.5
    planted(results, line("run", 4, json.dumps(whole).encode()), "b")
    reasons = left_out(results)
    assert "surprise" in reasons["a.jsonl"]
    said = "[measured] test_accuracy: expected less than or equal to 1; received 1.5"
    assert reasons["b.jsonl"] == f"line 1: not a record: {said}"


def test_a_renamed_copy_of_a_record_is_not_counted_twice(results):
    file = store.add(results, record(run_id="mine"))
    file.with_name("copy.jsonl").write_bytes(file.read_bytes())
    assert [each.run_id for each in store.load_all(results).records] == ["mine"]
    assert left_out(results) == {"copy.jsonl": "line 1: renamed: it holds the run mine"}


def test_an_empty_or_missing_folder_holds_no_records(tmp_path):
    assert store.load_all(tmp_path) == store.Loaded((), ())
    assert frame.project(tmp_path / "nowhere") == store.Loaded((), ())


def test_the_csv_is_rebuilt_from_the_records_alone(results):
    each = record()
    store.add(results, each)
    (results / "results.csv").write_text("rubbish")
    frame.project(results)
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
    frame.project(results)
    before = (results / "results.csv").stat().st_ino
    frame.project(results)
    assert (results / "results.csv").stat().st_ino == before


def test_a_folder_that_cannot_be_made_is_said_with_what_to_type(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        StoreError,
        match=r"results cannot be written there .+ Name another folder: --results FOLDER",
    ):
        store.ready(tmp_path / "file" / "results")


def test_a_record_goes_to_the_state_folder_when_the_results_folder_is_gone(results, tmp_path):
    each = record()
    shutil.rmtree(results)
    file = store.add(results, each)
    assert tmp_path / "state" in file.parents
    store.ready(results)
    file.rename(results / "runs" / file.name)  # put back by hand, it is whole
    assert store.load_all(results).records == (each,)


def test_where_neither_folder_can_be_written_the_error_names_both(results, tmp_path):
    shutil.rmtree(results)
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
            frame.project(tmp_path)
            assert (gc.isenabled(), gc.get_freeze_count()) == (was_on, n_frozen)
        finally:
            gc.enable()
