"""What the results table says of an arm's parity: only a check of the very same thing counts."""

import json

import pytest

from harness.judge import speed
from harness.records import store
from harness.records.parity import ArmParity, Departure, Parity, verdict_on, verdicts_of
from harness.report import table
from tests.unit.records import record as make


def parity_of(record, verdict="agrees", **changes) -> Parity:
    measured = record.measured
    arm = ArmParity(
        backend=record.request.backend,
        implementation=record.request.implementation,
        module=record.request.module,
        options=record.request.options,
        device=measured.device,
        versions=measured.versions,
        environment_sha256=record.environment_sha256,
        verdict=verdict,
    )
    whole = Parity(
        harness=record.harness,
        run_id="20260102T030405Z-parity-mnist-mlp-s0-abc123",
        spec_name=record.request.spec_name,
        spec=record.request.spec,
        seed=0,
        data=record.request.data,
        device="auto",
        threads="auto",
        host=record.host,
        started_at="2026-01-02T03:04:05.678+00:00",
        total_s=30.0,
        verdict=verdict,
        arms=(arm,),
    )
    return whole.model_copy(update=changes)


def test_an_arm_that_was_checked_has_its_verdict_in_the_table():
    record = make()
    for verdict in ("agrees", "departs", "failed"):
        (shown,) = speed.compare([record], parities=[parity_of(record, verdict)])
        assert shown.rows[0].parity == verdict


def test_an_arm_that_was_not_checked_says_so():
    (shown,) = speed.compare([make()])
    assert shown.rows[0].parity == "not checked"


@pytest.mark.parametrize(
    "change",
    [
        {"implementation": "naive"},
        {"backend": "torch"},
        {"options": {"flavour": "idiomatic"}},
        {"machine": "Another processor, 2 cores, 8 GiB, Linux x86_64"},
        {"harness": "0.0.9"},
        {"device": "gpu: another"},
        {"environment_sha256": "e" * 64},
    ],
)
def test_a_check_of_something_else_says_nothing(change):
    verdicts = verdicts_of([parity_of(make())])
    assert verdict_on(make(), verdicts) == "agrees"
    assert verdict_on(make(**change), verdicts) == "not checked"


def test_a_check_of_another_spec_of_the_same_name_says_nothing():
    record = make()
    other = record.request.spec.model_copy(update={"batch_size": 64})
    assert verdict_on(record, verdicts_of([parity_of(record, spec=other)])) == "not checked"


def test_a_verdict_on_an_edited_environment_leaves_the_healthy_one_its_own_whichever_came_later():
    healthy, edited = (make(environment_sha256=digit * 64) for digit in "ab")
    verdicts = verdicts_of([parity_of(healthy), parity_of(edited, "departs", started_at="2026-01-03T00:00:00.000+00:00")])
    assert verdict_on(healthy, verdicts) == "agrees"
    assert verdict_on(edited, verdicts) == "departs"
    assert verdict_on(make(environment_sha256="c" * 64), verdicts) == "not checked"
    assert verdict_on(make(), verdicts) == "not checked", "nobody looked what that environment held"


def test_a_verdict_holds_for_the_same_options_in_whatever_order_they_are_written():
    options = {"mode": "compile", "fused": True}
    verdicts = verdicts_of([parity_of(make(options=options))])
    turned = make(options=dict(reversed(options.items())))
    assert list(turned.request.options) != list(options)
    assert verdict_on(turned, verdicts) == "agrees"


def test_the_newest_check_counts():
    record = make()
    old = parity_of(record, "departs", started_at="2026-01-01T00:00:00.000+00:00")
    assert verdict_on(record, verdicts_of([parity_of(record), old])) == "agrees"
    assert verdict_on(record, verdicts_of([old])) == "departs"


def test_a_speed_whose_arm_departs_is_marked_and_said_to_be_no_comparison():
    record = make()
    tables = speed.compare([record], parities=[parity_of(record, "departs")])
    assert any("no comparison" in remark for remark in tables[0].remarks)
    assert " ! |" in table.markdown(tables)
    assert " ! |" not in table.markdown(speed.compare([record], parities=[parity_of(record)]))


def test_the_csv_has_the_verdict_and_follows_a_later_check(results):
    record = make()
    store.add(results, record)
    store.project(results)
    assert ",not checked," in (results / "results.csv").read_text()
    store.add(results, parity_of(record))
    loaded = store.project(results)
    assert ",agrees," in (results / "results.csv").read_text()
    assert loaded.parities == (parity_of(record),)


def test_a_torn_check_is_named_and_left_out(results):
    file = store.add(results, parity_of(make()))
    file.write_text(file.read_text()[:-40])
    loaded = store.load_all(results)
    assert loaded.parities == ()
    assert "torn or edited" in loaded.rejected[0].reason


def test_a_number_that_is_none_is_null_in_json_and_comes_back():
    departure = Departure(program="production", point="init", quantity="loss", measure="exact", error=float("inf"), gate=0.0)
    again = Departure.model_validate_json(departure.model_dump_json())
    assert again == departure
    assert json.loads(departure.model_dump_json())["error"] is None


@pytest.fixture
def results(tmp_path):
    (tmp_path / "runs").mkdir()
    return tmp_path
