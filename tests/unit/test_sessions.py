"""A session's file: every part that was written comes back, and nothing else does."""

import shutil
from pathlib import Path

import pytest

from harness.records import sessions, store
from harness.records.bench import Bench, Sitting
from tests.unit import benches
from tests.unit.benches import end

ARMS = ("jax/keras", "torch/keras")


def session(**changes):
    return benches.session((*ARMS, "jax/keras again"), **changes)


def block(generation=1, number=1, attempt=1, names=ARMS):
    return benches.block(generation, number, dict.fromkeys(names, 0.5), attempt=attempt)


def start(name="jax/keras", **changes):
    return benches.start(name, **changes)


RUN_ID = session().run_id
SITTINGS = tuple(
    Sitting(number=number, outcome="stopped", total_s=9.0, busy_s=8.0) for number in (2, 10)
)
PARTS = (
    start(),
    start("torch/keras"),
    block(),
    block(number=2),
    end("jax/keras"),
    end("torch/keras"),
    *SITTINGS,
)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A results folder that holds a session's plan."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    store.ready(tmp_path / "results", "bench")
    store.add(tmp_path / "results", session())
    return tmp_path / "results"


def add(results, *parts):
    for part in parts:
        file = store.add(results, part, RUN_ID)
    return file


def loaded(results):
    return sessions.load(results, RUN_ID)[0]


def reasons(results):
    return [entry.reason for entry in sessions.load(results, RUN_ID)[1]]


def test_all_kinds_of_part_come_back_as_they_were_written_in_the_order_of_the_plan(results):
    file = add(results, *reversed(PARTS))
    assert file == results / "bench" / f"{RUN_ID}.jsonl"
    assert loaded(results) == Bench(
        session=session(), starts=PARTS[:2], blocks=PARTS[2:4], ends=PARTS[4:6], sittings=SITTINGS
    )
    assert reasons(results) == []


def test_the_last_generation_that_a_plan_can_have_comes_back(results):
    add(results, block(generation=99, number=99))
    assert loaded(results).blocks == (block(generation=99, number=99),)


def test_a_torn_last_line_is_dropped_and_named_and_the_session_goes_on_after_it(results):
    file = add(results, start(), block())
    file.write_bytes(file.read_bytes()[:-9])
    assert loaded(results) == Bench(session=session(), starts=(start(),))
    assert reasons(results) == ["line 3: torn: the harness was stopped while it wrote this"]
    add(results, block())
    assert loaded(results) == Bench(session=session(), starts=(start(),), blocks=(block(),))
    assert reasons(results) == ["line 3: damaged: no kind, format, content and digest"]


def test_a_line_edited_in_the_middle_is_named_and_left_out_and_the_others_count(results):
    file = add(results, start(), block())
    text = file.read_text().splitlines(keepends=True)
    text[1] = text[1].replace("jax", "jxx", 1)
    file.write_text("".join(text))
    assert loaded(results) == Bench(session=session(), blocks=(block(),))
    (said,) = reasons(results)
    assert said.startswith("line 2: damaged or edited: ")


@pytest.mark.parametrize(
    "part", [start("tensorflow/keras"), block(number=2, names=("numpy/naive",))]
)
def test_a_part_of_an_arm_that_the_plan_does_not_have_is_left_out(results, part):
    add(results, part)
    assert loaded(results) == Bench(session=session())
    assert reasons(results)[0].startswith("line 2: of another session: the plan has no ")


def at(minute):
    return f"2026-01-02T03:{minute:02d}:00.000+00:00"


LATER = {block: {"invalid": "steal 9 %"}, start: {"total_s": 11.0}, end: {"test_accuracy": 0.5}}
KINDS = ((block, "blocks", {}), (start, "starts", {}), (end, "ends", {"name": "jax/keras"}))


@pytest.mark.parametrize(("kind", "place", "changes"), KINDS, ids=[place for _, place, _ in KINDS])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_a_part_written_twice_the_first_counts_by_what_it_says(
    results, kind, place, changes, order
):
    when = "started_at" if kind is block else "written_at"
    parts = [
        kind(**changes).model_copy(update={when: at(minute), **more})
        for minute, more in ((1, {}), (2, LATER[kind]))
    ]
    add(results, *(parts[number] for number in order))
    assert getattr(loaded(results), place) == (parts[0],)
    (said,) = reasons(results)
    assert said.endswith("the one written before it counts")


def test_a_second_attempt_at_a_block_is_another_part(results):
    add(results, block(attempt=1), block(attempt=2))
    assert [each.attempt for each in loaded(results).blocks] == [1, 2]


def test_a_file_without_a_plan_is_no_session_and_says_why(results):
    file = sessions.file_of(results, RUN_ID)
    file.write_bytes(file.read_bytes()[:-9])
    add(results, block())
    assert loaded(results) == "no session: its plan is missing or damaged"
    assert reasons(results)[0] == "line 1: damaged: no kind, format, content and digest"


def test_sessions_come_back_newest_first_and_what_is_none_is_left_out_by_name(results):
    newer = session(run_id="b", started_at="2026-02-01T00:00:00+00:00")
    store.add(results, newer)
    (results / "bench" / "empty").mkdir()
    (results / "bench" / "notes.txt").write_text("mine")
    found = sessions.load_all(results)
    assert [each.session for each in found.sessions] == [newer, session()]
    assert [entry.file.name for entry in found.rejected] == ["empty", "notes.txt"]


def test_a_copied_file_is_not_a_second_session(results):
    file = sessions.file_of(results, RUN_ID)
    shutil.copy(file, file.with_name("copy.jsonl"))
    found = sessions.load_all(results)
    assert [each.session for each in found.sessions] == [session()]
    assert [entry.reason for entry in found.rejected] == [
        f"no session: renamed: it holds the session {RUN_ID}"
    ]


def test_a_results_folder_without_sessions_has_none(tmp_path):
    assert sessions.load_all(tmp_path / "nowhere") == sessions.Sessions((), ())


def test_a_part_goes_to_the_state_folder_when_the_results_are_gone_and_counts_once_appended(
    results, tmp_path
):
    aside = results.rename(tmp_path / "aside")
    kept = add(results, block())
    assert kept.parent == tmp_path / "state" / "keras-backend-harness" / "bench"
    with sessions.file_of(aside, RUN_ID).open("ab") as file:
        file.write(Path(kept).read_bytes())
    assert loaded(aside) == Bench(session=session(), blocks=(block(),))
