"""What is committed is what the records say: the reference set loads whole, its CSV and the README's table are its views."""

from pathlib import Path

import pytest

from harness.judge import speed
from harness.records import store
from harness.records.record import row
from harness.report import table

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "results" / "reference"


@pytest.fixture(scope="module")
def loaded():
    return store.load_all(REFERENCE)


def test_every_reference_record_is_readable_by_this_version(loaded):
    assert loaded.rejected == ()
    assert {each.request.spec_name for each in loaded.records} == {"mnist-mlp", "mnist-mlp-adam"}


def test_the_reference_csv_is_the_view_of_its_records(loaded):
    assert (REFERENCE / "results.csv").read_text() == store.as_csv(map(row, loaded.records))


def test_the_readme_shows_the_reference_table_as_compare_prints_it(loaded):
    printed = table.markdown(speed.compare(loaded.records))
    assert printed.strip() in (ROOT / "README.md").read_text()


def test_every_reference_run_reached_its_accuracy_from_equal_inputs(loaded):
    for each in loaded.records:
        assert each.measured.test_accuracy >= 0.975
        assert each.request.data.name == "mnist"
    assert all(shown.equal_inputs for shown in speed.compare(loaded.records))
