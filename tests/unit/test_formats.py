"""Records of every format there ever was are kept in formats/N, as they were written.

This version reads and compares them.
"""

import json
import shutil
from pathlib import Path

import pytest

from harness.experiments.train.judge import compare
from harness.records import store
from harness.records.record import FORMAT, Record

FORMATS = Path(__file__).parent / "formats"
FILES = sorted(FORMATS.glob("*/*.json"))


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
    assert {int(file.parent.name) for file in FILES} >= set(range(1, FORMAT))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_record_kept_is_read_whole_and_has_the_format_of_its_folder(results, file):
    assert kept(results, file).format == int(file.parent.name)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_record_kept_stands_in_one_table_with_the_same_run_in_this_format(results, file):
    old = kept(results, file)
    new = in_format(old, FORMAT)
    store.add(results, new)
    both = store.load_all(results).records
    assert {record.format for record in both} == {old.format, FORMAT}
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
