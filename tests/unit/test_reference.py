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
    assert all(each.status == "ok" and each.request.data.name == "mnist" for each in loaded.records)


def test_the_reference_csv_is_the_view_of_its_records(loaded):
    assert (REFERENCE / "results.csv").read_text() == store.as_csv(map(row, loaded.records))


def of(loaded, *specs):
    return [each for each in loaded.records if each.request.spec_name in specs]


def test_the_readme_shows_the_reference_table_of_the_default_spec_as_compare_prints_it(loaded):
    assert table.markdown(speed.compare(of(loaded, "mnist-mlp"))).strip() in (ROOT / "README.md").read_text()


def test_the_reference_set_s_own_page_shows_all_tables_as_compare_prints_them(loaded):
    assert table.markdown(speed.compare(loaded.records)).strip() in (REFERENCE / "README.md").read_text()


def test_s1_and_s2_reached_their_accuracy_on_every_arm_from_equal_inputs(loaded):
    runs = of(loaded, "mnist-mlp", "mnist-mlp-adam")
    assert {(each.request.spec_name, *each.arm) for each in runs} >= {
        (spec, backend, "keras") for spec in ("mnist-mlp", "mnist-mlp-adam") for backend in ("tensorflow", "jax", "torch")
    }
    assert all(each.measured.test_accuracy >= 0.975 for each in runs)
    assert all(shown.equal_inputs for shown in speed.compare(runs))


def test_s3_to_s5_reached_theirs_and_agree_from_equal_inputs(loaded):
    reached = {each.arm: each.measured.test_accuracy for each in of(loaded, "mnist-naive")}
    assert set(reached) >= {(backend, "naive") for backend in ("tensorflow", "jax", "torch", "numpy")}
    assert set(reached) >= {("tensorflow", "naive-ops"), ("tensorflow", "naive-optimizer")}
    assert all(0.805 <= accuracy <= 0.830 for accuracy in reached.values())
    assert max(reached.values()) - min(reached.values()) <= 0.002


def test_s3_as_numpy_draws_it_is_the_published_reference(loaded):
    (numpy,) = (each for each in of(loaded, "mnist-naive-native") if each.request.backend == "numpy")
    assert round(numpy.measured.test_accuracy, 4) == 0.8158
    assert 0.699 <= round(numpy.measured.test_loss, 3) <= 0.704


def test_s6_in_pytorch_s_own_idiom_reached_the_published_course(loaded):
    (run,) = of(loaded, "mnist-torch-native")
    assert run.measured.test_accuracy >= 0.975
    losses = [epoch.loss for epoch in run.measured.epochs]
    for loss, published in zip(losses, (0.2136, 0.0885, 0.0574, 0.0399, 0.0290), strict=True):
        assert abs(loss - published) < 0.15 * published
    assert abs(run.measured.epochs[0].accuracy - 0.9379) < 0.005
    assert abs(run.measured.epochs[-1].accuracy - 0.9910) < 0.002
