"""Records of every format there ever was are kept in formats/N, as they were written.

This version reads and compares them.
"""

import json
import shutil
from pathlib import Path

import pytest

from harness.experiments.train.judge import compare
from harness.records import sessions, store
from harness.records.record import Record

FORMATS = Path(__file__).parent / "formats"
FILES = sorted(FORMATS.glob("[0-9]/*.json*"))
OF_0_5 = FORMATS / "results-of-0.5"


@pytest.fixture
def results(tmp_path):
    store.ready(tmp_path / "results")
    return tmp_path / "results"


def kept(results, file):
    """Return the record in a file of formats/.

    Loaded from a results folder that holds nothing else.
    """
    shutil.copy(file, results / "runs")
    loaded = store.load_all(results)
    assert loaded.rejected == ()
    (record,) = loaded.records
    return record


def in_format(record, number):
    """Return the same run as a harness of another format writes it, under a name of its own."""
    whole = json.loads(record.model_dump_json())
    return Record.model_validate_json(
        json.dumps(whole | {"format": number, "run_id": f"{record.run_id}-{number}"})
    )


def test_a_record_of_every_older_format_is_kept():
    assert {int(file.parent.name) for file in FILES} >= set(range(1, store.newest(Record)))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_record_kept_is_read_whole_and_has_the_format_of_its_folder(results, file):
    assert kept(results, file).format == int(file.parent.name)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_record_kept_stands_in_one_table_with_the_same_run_in_this_format(results, file):
    old = kept(results, file)
    new = in_format(old, store.newest(Record))
    store.add(results, new)
    both = store.load_all(results).records
    assert {record.format for record in both} == {old.format, store.newest(Record)}
    assert compare([old])[0].key == compare([new])[0].key
    (table,) = compare(both)
    assert [row.status for row in table.rows] == ["2 ok"]


def test_what_format_1_did_not_hold_is_read_as_it_was_then(results):
    (file,) = (FORMATS / "1").glob("*.json")
    record = kept(results, file)
    spec, measured = record.request.spec, record.measured
    assert measured is not None
    assert (spec.epochs, spec.initializer, spec.shuffle, spec.inputs) == (
        None,
        "glorot_uniform",
        True,
        "equal",
    )
    assert (record.request.options, measured.first_predictions) == ({}, ())
    assert {epoch.teardown_s for epoch in measured.epochs} == {0.0}


def test_a_parity_check_of_0_5_is_read_with_the_verdict_that_was_kept_in_it():
    loaded = store.load_all(OF_0_5)
    (parity,) = loaded.parities
    assert loaded.rejected == ()
    assert (parity.format, parity.verdict, parity.arms[0].verdict) == (2, "agrees", "agrees")
    assert parity.arms[0].margin >= 3


def test_a_session_of_0_5_is_read_whole_and_goes_on_in_a_file_beside_its_folder(tmp_path):
    shutil.copytree(OF_0_5, tmp_path / "results")
    (old,) = sessions.load_all(OF_0_5).sessions
    assert (old.session.format, len(old.starts), len(old.blocks), len(old.ends)) == (2, 2, 1, 2)
    sitting = old.sittings[0].model_copy(update={"number": 2, "format": 5})
    store.add(tmp_path / "results", sitting, old.session.run_id)
    found = sessions.load_all(tmp_path / "results")
    assert found == sessions.Sessions((old.with_part(sitting),), ())


def part_of(folder, stem):
    (file,) = folder.glob(f"{stem}.*.json")
    return file


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-9]), "torn or edited: "),
        (lambda file: file.rename(file.with_name("notes.txt")), "not a record: expected a name"),
        (
            lambda file: file.rename(file.with_name(file.name.replace("b01", "b02"))),
            "renamed: it holds g01.b01.1",
        ),
        (
            lambda file: file.rename(file.with_name(file.name.replace("b01.1", "pause"))),
            "not a part of a session: no part is called g01.pause",
        ),
    ],
)
def test_a_damaged_part_of_an_old_session_is_named_and_the_others_count(tmp_path, harm, reason):
    shutil.copytree(OF_0_5, tmp_path / "results")
    (folder,) = (tmp_path / "results" / "bench").iterdir()
    harm(part_of(folder, "g01.b01.1"))
    bench, left_out = sessions.load(tmp_path / "results", folder.name)
    assert (len(bench.starts), len(bench.blocks), len(bench.ends)) == (2, 0, 2)
    ((entry),) = left_out
    assert entry.reason.startswith(reason)
