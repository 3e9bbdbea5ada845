"""A session's folder.

Every part that was written comes back, and nothing else does, whenever the harness was killed.
"""

import hashlib
import json
import os
import time

import pytest

from harness.errors import StoreError
from harness.records import bench_store
from harness.records.bench import FORMAT, Bench, Sitting
from tests.unit import benches
from tests.unit.benches import end

ARMS = ("jax/keras", "torch/keras")


def session(**changes):
    return benches.session((*ARMS, "jax/keras again"), **changes)


def block(generation=1, number=1, attempt=1, names=ARMS):
    return benches.block(generation, number, dict.fromkeys(names, 0.5), attempt=attempt)


def start(name="jax/keras", **changes):
    return benches.start(name, **changes)


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
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "results"


@pytest.fixture
def folder(results):
    """A session's folder that holds its plan."""
    found = bench_store.folder_of(results, session())
    bench_store.ready(found)
    bench_store.add(found, session())
    return found


def planted(folder, stem, content):
    """Write a file as the store would name it, so that only its content can be at fault."""
    file = folder / f"{stem}.{hashlib.sha256(content).hexdigest()[:12]}.json"
    file.write_bytes(content)
    return file


def reasons(folder):
    return {entry.file.name: entry.reason for entry in bench_store.left_out(folder)}


def test_all_kinds_of_part_come_back_as_they_were_written_in_the_order_of_the_plan(folder):
    for part in reversed(PARTS):
        bench_store.add(folder, part)
    assert bench_store.load(folder) == Bench(
        session=session(), starts=PARTS[:2], blocks=PARTS[2:4], ends=PARTS[4:6], sittings=SITTINGS
    )
    assert bench_store.left_out(folder) == ()


def test_a_part_s_file_is_called_after_what_it_holds_and_the_digest_of_its_bytes(folder):
    file = bench_store.add(folder, start("jax/keras again"))
    assert (
        file
        == folder
        / f"g01.start.jax-keras-again.1.{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}.json"
    )


def test_the_last_generation_that_a_plan_can_have_comes_back(folder):
    bench_store.add(folder, block(generation=99, number=99))
    assert bench_store.load(folder).blocks == (block(generation=99, number=99),)


@pytest.mark.parametrize(
    "harm",
    [
        lambda whole: whole[:-9],
        lambda whole: whole.replace(b"0.5", b"0.4", 1),
        lambda whole: whole + b"\n",
    ],
)
def test_a_torn_or_edited_part_is_left_out_by_name_and_the_others_count(folder, harm):
    bench_store.add(folder, start())
    file = bench_store.add(folder, block())
    file.write_bytes(harm(file.read_bytes()))
    assert bench_store.load(folder) == Bench(session=session(), starts=(start(),))
    assert {name: reason.partition(":")[0] for name, reason in reasons(folder).items()} == {
        file.name: "torn or edited"
    }


@pytest.mark.parametrize(
    ("stem", "content", "reason"),
    [
        ("g01.b01.1", b"", "not JSON: "),
        ("g01.b01.1", b"[1]", "not a record: "),
        (
            "g01.start.jax-keras.1",
            b'{"generation": 1}',
            "not a record: [process]: expected a value; the key is missing",
        ),
        ("g01.end.jax-keras.1", start().model_dump_json().encode(), "not a record: "),
        (
            "g01.start.jax-keras.2",
            start().model_dump_json().encode(),
            "renamed: it holds g01.start.jax-keras.1",
        ),
        ("g01.pause.1", b"{}", "not a part of a session: no part is called g01.pause.1"),
        (
            "g01.start.tensorflow-keras.1",
            start("tensorflow/keras").model_dump_json().encode(),
            "of another session: the plan has no tens",
        ),
        (
            "g01.b02.1",
            block(number=2, names=("numpy/naive",)).model_dump_json().encode(),
            "of another session: the plan has no numpy/n",
        ),
    ],
)
def test_content_that_is_no_part_is_left_out_by_name(folder, stem, content, reason):
    file = planted(folder, stem, content)
    assert bench_store.load(folder) == Bench(session=session())
    assert {name: why[: len(reason)] for name, why in reasons(folder).items()} == {
        file.name: reason
    }


def test_a_foreign_file_is_left_out_by_name_and_what_a_killed_harness_left_half_is_not_looked_at(
    folder,
):
    (folder / "notes.txt").write_text("mine")
    (folder / ".partial-x").write_text('{"generation": 1')
    assert bench_store.load(folder) == Bench(session=session())
    assert list(reasons(folder)) == ["notes.txt"]


def test_what_a_killed_harness_left_half_is_removed_after_an_hour(folder):
    old, new = folder / ".partial-old", folder / ".partial-new"
    for file in (old, new):
        file.write_text("half")
    os.utime(old, (time.time() - 4000,) * 2)
    bench_store.ready(folder)
    assert (old.exists(), new.exists()) == (False, True)


def at(minute):
    return f"2026-01-02T03:{minute:02d}:00.000+00:00"


def twice(kind, **changes):
    """The same part written in two minutes."""
    when = "started_at" if kind is block else "written_at"
    return [
        kind(**changes).model_copy(update={when: at(minute), **more})
        for minute, more in ((1, {}), (2, LATER[kind]))
    ]


LATER = {block: {"invalid": "steal 9 %"}, start: {"total_s": 11.0}, end: {"test_accuracy": 0.5}}
KINDS = ((block, "blocks", {}), (start, "starts", {}), (end, "ends", {"name": "jax/keras"}))


@pytest.mark.parametrize(("kind", "place", "changes"), KINDS, ids=[place for _, place, _ in KINDS])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("times", [(1, 2), (2, 1), (1, 1)])
def test_of_a_part_written_twice_the_first_counts_by_what_it_says_whatever_a_copy_made_of_its_files(
    folder, kind, place, changes, order, times
):
    parts = twice(kind, **changes)
    files = {number: bench_store.add(folder, parts[number]) for number in order}
    for number, time_s in zip(order, times, strict=True):
        os.utime(files[number], (time_s, time_s))
    assert getattr(bench_store.load(folder), place) == (parts[0],)
    assert list(reasons(folder)) == [files[1].name]
    assert reasons(folder)[files[1].name].endswith("the one written before it counts")


def test_a_part_that_does_not_say_when_it_was_written_is_older_than_one_that_does(folder):
    older, newer = start(), start(total_s=11.0, written_at=at(1))
    for part in (newer, older):
        bench_store.add(folder, part)
    assert bench_store.load(folder).starts == (older,)


def test_of_two_old_parts_the_same_one_counts_on_every_machine(folder):
    files = [bench_store.add(folder, start(total_s=float(seconds))) for seconds in range(5)]
    first = min(files)
    counts = bench_store.load(folder).starts
    assert counts[0].model_dump_json(indent=1).encode() == first.read_bytes()
    for file in files:
        os.utime(file, (files.index(file),) * 2)
    assert bench_store.load(folder).starts == counts


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
def test_every_part_carries_its_format_and_one_of_a_newer_harness_is_named(folder, part):
    file = bench_store.add(folder, part)
    content = json.loads(file.read_bytes())
    assert content["format"] == FORMAT
    file.unlink()
    newer = planted(
        folder,
        bench_store.name_of(part),
        json.dumps(content | {"format": FORMAT + 1, "shape": "new"}).encode(),
    )
    assert bench_store.load(folder) == Bench(session=session())
    said = f"format {FORMAT + 1}, written by a newer harness; "
    said += f"this one reads up to {FORMAT}. Update the harness"
    assert reasons(folder) == {newer.name: said}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
def test_a_part_of_0_4_which_carries_no_format_is_read_as_it_is(folder, part):
    old = part.model_dump(mode="json", exclude={"format", "written_at"})
    planted(folder, bench_store.name_of(part), json.dumps(old).encode())
    found = bench_store.load(folder)
    assert (*found.starts, *found.blocks, *found.ends, *found.sittings) == (part,)


def test_a_second_attempt_at_a_block_is_another_part(folder):
    for attempt in (1, 2):
        bench_store.add(folder, block(attempt=attempt))
    assert [each.attempt for each in bench_store.load(folder).blocks] == [1, 2]


def test_a_folder_without_a_plan_is_no_session_and_says_why(folder):
    (plan,) = folder.glob("session.*")
    whole = plan.read_bytes()
    plan.write_bytes(whole[:-9])
    assert (
        bench_store.load(folder)
        == "no session: torn or edited: its content is not what was written "
        "(the digest in its name differs)"
    )
    plan.unlink()
    bench_store.add(folder, block())
    assert bench_store.load(folder) == "no session: its plan, session.DIGEST.json, is missing"
    assert bench_store.left_out(folder) == ()


def test_a_session_of_a_newer_harness_is_left_out_with_what_to_do(folder):
    (plan,) = folder.glob("session.*")
    newer = planted(
        folder,
        "session",
        json.dumps(json.loads(plan.read_bytes()) | {"format": 3, "shape": "new"}).encode(),
    )
    plan.unlink()
    reason = "format 3, written by a newer harness; this one reads up to 2. Update the harness"
    assert bench_store.load(folder) == f"no session: {reason}"
    assert reasons(folder) == {newer.name: reason}


def test_sessions_come_back_newest_first_and_what_is_none_is_left_out_by_name(results, folder):
    newer = session(run_id="b", started_at="2026-02-01T00:00:00+00:00")
    bench_store.ready(bench_store.folder_of(results, newer))
    bench_store.add(bench_store.folder_of(results, newer), newer)
    (results / "bench" / "empty").mkdir()
    (results / "bench" / "notes.txt").write_text("mine")
    assert [each.session for each in bench_store.sessions(results)] == [newer, session()]
    left_out = bench_store.load_all(results).rejected
    assert [entry.file.name for entry in left_out] == ["empty", "notes.txt"]


def test_a_copied_folder_is_not_a_second_session(results, folder):
    copy = folder.with_name("copy")
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    loaded = bench_store.load_all(results)
    assert [each.session for each in loaded.sessions] == [session()]
    assert [(entry.file, entry.reason) for entry in loaded.rejected] == [
        (copy, f"renamed: it holds the session {session().run_id}")
    ]


def test_a_results_folder_without_sessions_has_none(tmp_path):
    assert bench_store.load_all(tmp_path / "nowhere") == bench_store.Loaded((), ())


def test_a_part_goes_to_the_state_folder_when_the_session_s_is_gone_and_is_whole_when_put_back(
    folder, tmp_path
):
    (plan,) = folder.glob("session.*")
    plan.rename(tmp_path / plan.name)
    folder.rmdir()
    kept = bench_store.add(folder, block())
    assert kept.parent == tmp_path / "state" / "keras-backend-harness" / "bench" / session().run_id
    folder.mkdir()
    (tmp_path / plan.name).rename(folder / plan.name)
    kept.rename(folder / kept.name)
    assert bench_store.load(folder) == Bench(session=session(), blocks=(block(),))


def test_where_neither_folder_can_be_written_the_error_names_both(folder, tmp_path):
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(
        StoreError, match=r"cannot be written .+, nor can it be kept in .+keras-backend-harness"
    ):
        bench_store.add(folder / "gone", block())
