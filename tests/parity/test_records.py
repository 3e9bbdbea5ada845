"""What the results table says of an arm's parity: only a check of the very same thing counts."""

import json
from pathlib import Path

import pytest

from harness.experiments.parity.judge import judge_arm
from harness.experiments.train import document, judge
from harness.experiments.train.document import SENTENCES
from harness.records import frame, store
from harness.records.parity import ArmParity, Departure, Parity
from harness.records.verdicts import verdict_on, verdicts_of
from harness.report.remarks import sentence_of
from harness.report.renderers import render
from tests.parity.small import handed_back, planned, reference
from tests.unit.records import record as make

ROOT = Path(__file__).resolve().parents[2]

QUICK = ("production init", "instrumented init", "production resync-10")
WHOLE = (*QUICK, "production resync-2", "epoch update-469")


def told(found):
    return tuple(sentence_of(remark, SENTENCES) for remark in found.remarks)


def parity_of(record, verdict="agrees", covers=(), scope="whole", at=(), **changes) -> Parity:
    """A check of one arm: what it covers, what that is of the gate, and the "PROGRAM POINT"s at
    which the arm departs.
    """
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
        covers=covers,
        scope=scope,
        departures=tuple(departure(*each.split()) for each in at),
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


def departure(program, point):
    return Departure(
        program=program, point=point, quantity="loss", measure="exact", error=1.0, gate=0.0
    )


def known_after(*checks):
    """What is known of an arm after checks in that order: (verdict, covers, scope, at) or (...,
    changes).
    """
    record, made = make(), []
    for number, (verdict, covers, scope, at, *changes) in enumerate(checks):
        when = f"2026-01-02T03:04:{number:02d}.000+00:00"
        made.append(
            parity_of(
                record,
                verdict,
                covers,
                scope,
                at,
                started_at=when,
                **(changes[0] if changes else {}),
            )
        )
    return verdict_on(record, verdicts_of(reversed(made)))


AGREED = ("agrees", WHOLE, "whole", ())
AGREED_QUICK = ("agrees", QUICK, "quick", ())
INIT_ALONE = ("agrees", ("production init", "instrumented init"), "part", ())
DEPARTED_AT_INIT = ("departs", WHOLE, "whole", ("production init",))
DEPARTED_IN_THE_EPOCH = ("departs", WHOLE, "whole", ("epoch update-469",))


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ((INIT_ALONE,), "not checked"),
        ((AGREED_QUICK,), "agrees (quick)"),
        ((AGREED,), "agrees"),
        ((AGREED, INIT_ALONE), "agrees"),
        ((AGREED, AGREED_QUICK), "agrees"),
        ((AGREED_QUICK, AGREED), "agrees"),
    ],
)
def test_a_check_of_a_part_never_counts_as_the_whole(checks, expected):
    assert known_after(*checks) == expected


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ((DEPARTED_IN_THE_EPOCH, INIT_ALONE), "departs"),
        ((DEPARTED_IN_THE_EPOCH, AGREED_QUICK), "departs"),
        ((DEPARTED_IN_THE_EPOCH, AGREED), "agrees"),
        (
            (DEPARTED_AT_INIT, INIT_ALONE),
            "not checked",
        ),  # settled, and the rest agreed of other code
        ((DEPARTED_AT_INIT, AGREED_QUICK), "agrees (quick)"),
        ((AGREED, DEPARTED_AT_INIT, INIT_ALONE), "not checked"),
        ((AGREED, ("departs", ("production init",), "part", ("production init",))), "departs"),
        ((DEPARTED_AT_INIT, DEPARTED_IN_THE_EPOCH, INIT_ALONE), "departs"),
        ((DEPARTED_AT_INIT, DEPARTED_IN_THE_EPOCH, AGREED_QUICK), "departs"),
        (
            (("departs", (), "whole", ()), AGREED_QUICK),
            "departs",
        ),  # an older record, which names no point
        ((("departs", (), "whole", ()), AGREED), "agrees"),
    ],
)
def test_a_departure_stands_until_the_same_points_agree(checks, expected):
    assert known_after(*checks) == expected


@pytest.mark.parametrize("other", ["seed", "dataset"])
def test_a_point_of_other_inputs_is_another_point(other):
    change = (
        {"seed": 7}
        if other == "seed"
        else {"data": make().request.data.model_copy(update={"sha256": "f" * 64})}
    )
    assert known_after(DEPARTED_AT_INIT, (*AGREED, change)) == "departs"
    assert known_after((*DEPARTED_AT_INIT, change), AGREED) == "departs"
    assert known_after((*DEPARTED_AT_INIT, change), AGREED, (*AGREED, change)) == "agrees"


def test_a_check_that_failed_stands_until_the_same_points_agree_and_hides_no_departure():
    failed = ("failed", WHOLE, "whole", ())
    assert known_after(AGREED, failed) == "failed"
    assert known_after(failed, AGREED_QUICK) == "failed"
    assert known_after(failed, AGREED) == "agrees"
    assert known_after(DEPARTED_AT_INIT, failed) == "departs"


def test_a_shorter_training_of_the_same_spec_says_nothing_of_points_that_it_does_not_have():
    late = ("departs", (*WHOLE, "production resync-2345"), "whole", ("production resync-2345",))
    assert known_after(late, AGREED) == "departs"


@pytest.mark.parametrize(
    "file",
    sorted((ROOT / "results" / "reference" / "parity").glob("*.json")),
    ids=lambda file: file.name[:16],
)
def test_records_of_older_versions_are_checks_of_the_whole_gate(file):
    found = Parity.model_validate_json(file.read_bytes())
    said = {each for of in verdicts_of([found]).values() for each in of.values()}
    assert said == {arm.verdict for arm in found.arms}
    assert said <= {"agrees", "departs"}


def test_every_departure_of_an_arm_is_at_a_point_that_its_verdict_covers():
    wrong = handed_back(settings=lambda optimizer: optimizer.model_copy(update={"rho": 0.5}))
    arm = judge_arm(reference(), wrong, planned(), {})
    places = {f"{each.program} {each.point}" for each in arm.departures}
    assert places
    assert places <= set(arm.covers)
    assert arm.scope == "part"


def test_an_arm_that_was_checked_has_its_verdict_in_the_table():
    record = make()
    for verdict in ("agrees", "departs", "failed"):
        (shown,) = judge.compare([record], parities=[parity_of(record, verdict)])
        assert shown.rows[0].parity == verdict


@pytest.mark.parametrize(
    ("scope", "expected"), [("quick", "agrees (quick)"), ("part", "not checked")]
)
def test_the_table_says_how_much_of_the_gate_an_arm_was_held_to(scope, expected):
    (shown,) = judge.compare([make()], parities=[parity_of(make(), "agrees", QUICK, scope)])
    assert shown.rows[0].parity == expected


def test_an_arm_that_was_not_checked_says_so():
    (shown,) = judge.compare([make()])
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
    verdicts = verdicts_of(
        [
            parity_of(healthy),
            parity_of(edited, "departs", started_at="2026-01-03T00:00:00.000+00:00"),
        ]
    )
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
    tables = judge.compare([record], parities=[parity_of(record, "departs")])
    assert any("no comparison" in remark for remark in told(tables[0]))
    assert " ! |" in render(document.compose(tables), "markdown")
    assert " ! |" not in render(
        document.compose(judge.compare([record], parities=[parity_of(record)])), "markdown"
    )


def test_the_csv_has_the_verdict_and_follows_a_later_check(results):
    record = make()
    store.add(results, record)
    frame.project(results)
    assert ",not checked," in (results / "results.csv").read_text()
    store.add(results, parity_of(record))
    loaded = frame.project(results)
    assert ",agrees," in (results / "results.csv").read_text()
    assert loaded.parities == (parity_of(record),)


def test_a_torn_check_is_named_and_left_out(results):
    file = store.add(results, parity_of(make()))
    file.write_text(file.read_text()[:-40])
    loaded = store.load_all(results)
    assert loaded.parities == ()
    assert "torn" in loaded.rejected[0].reason


def test_a_number_that_is_none_is_null_in_json_and_comes_back():
    departure = Departure(
        program="production",
        point="init",
        quantity="loss",
        measure="exact",
        error=float("inf"),
        gate=0.0,
    )
    again = Departure.model_validate_json(departure.model_dump_json())
    assert again == departure
    assert json.loads(departure.model_dump_json())["error"] is None


@pytest.fixture
def results(tmp_path):
    (tmp_path / "runs").mkdir()
    return tmp_path


def test_a_check_is_kept_with_every_gate_and_without_a_verdict_which_is_computed_from_it(results):
    arms = [
        judge_arm(reference(), answer, planned(), {})
        for answer in (
            handed_back(),
            handed_back(settings=lambda optimizer: optimizer.model_copy(update={"rho": 0.5})),
        )
    ]
    written = parity_of(make()).model_copy(update={"arms": tuple(arms), "verdict": "departs"})
    text = store.add(results, written).read_text()
    content = json.loads(text)["content"]
    assert "verdict" not in content
    assert not {"verdict", "margin", "tightest", "n_gates"} & set(content["arms"][0])
    (read,) = store.load_all(results).parities
    assert read == written
    assert [arm.verdict for arm in read.arms] == ["agrees", "departs"]
    assert sum(map(len, read.arms[0].gates.values())) == arms[0].n_gates
    floors = [gate.floor for gates in read.arms[0].gates.values() for gate in gates]
    assert any(floor for floor in floors)
