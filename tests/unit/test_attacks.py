"""A few cases of each class of attack; `nox -s attacks` has thousands."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given

from harness.cli import main
from harness.errors import HarnessError, NotComparable, safe
from harness.job.kinds import LONGEST
from harness.records import files, frame, sessions, store
from tests.attacks import hostile, parsing
from tests.attacks.test_text import RUNS
from tests.unit import benches
from tests.unit.records import record

ROOT = Path(__file__).resolve().parents[2]
FAST = hostile.cases(25)
BIG = "9" * 400


@pytest.fixture
def results(tmp_path):
    store.ready(tmp_path / "results")
    store.add(tmp_path / "results", record())
    return tmp_path / "results"


def planted(results, value, stem="strange"):
    """Write a value as the store would, under an id of its own."""
    content = hostile.written({**value, "run_id": stem})
    file = results / "runs" / hostile.file_name(stem, content)
    file.write_bytes(content)
    return file


def whole():
    return json.loads(record().model_dump_json())


def set_at(value, place, number):
    hostile.at(value, place[:-1])[place[-1]] = number
    return value


BEYOND = {
    "a count of 400 digits": (("measured", "n_parameters"), 10**400),
    "a count past 2**53": (("measured", "n_updates"), 2**53 + 1),
    "a second too long": (("total_s",), 1e10),
    "an epoch that no clock can tell": (("measured", "epochs", 1, "seconds"), 5e-324),
    "an infinite loss": (("measured", "epochs", 1, "loss"), float("inf")),
    "a loss past float32": (("measured", "epochs", 1, "loss"), 1e300),
    "a setting of 400 digits": (("measured", "settings", "threads"), 10**400),
    "a name of a million letters": (("request", "backend"), "x" * 1_000_000),
    "a table 20,000 deep": (("measured", "settings"), hostile.Nested(20_000)),
}


@pytest.mark.parametrize(("place", "number"), BEYOND.values(), ids=BEYOND.keys())
def test_a_record_beyond_its_bounds_is_named_and_left_out_and_the_other_is_shown(
    results, place, number
):
    file = planted(results, set_at(whole(), place, number))
    loaded = frame.project(results)
    assert [each.run_id for each in loaded.records] == [record().run_id]
    ((entry),) = loaded.rejected
    assert entry.file == file
    assert len(entry.reason) <= safe.MOST


@pytest.mark.parametrize(
    "change",
    [
        {"n_generations": 10**15},
        {"n_blocks": 100},
        {"baseline": "nobody/keras"},
        {"again": "x again"},
    ],
)
def test_a_plan_beyond_its_bounds_is_named_and_left_out_at_once(tmp_path, change):
    good = benches.bench(n_generations=1, n_blocks=1)
    value = json.loads(good.session.model_dump_json()) | change | {"run_id": "bad"}
    content = json.dumps(value).encode()
    (tmp_path / "bench" / "bad").mkdir(parents=True)
    (tmp_path / "bench" / "bad" / hostile.file_name("session", content)).write_bytes(content)
    store.add(tmp_path, good.session)
    with hostile.within(10):
        loaded = sessions.load_all(tmp_path)
    assert [each.session.run_id for each in loaded.sessions] == [good.session.run_id]
    assert "bad" in [entry.file.name for entry in loaded.rejected]


def test_two_files_of_one_run_count_once(results):
    content = record(total_s=21.5).model_copy(update={"format": 3}).model_dump_json().encode()
    (results / "runs" / hostile.file_name(record().run_id, content)).write_bytes(content)
    loaded = store.load_all(results)
    assert len(loaded.records) == 1
    first, second = sorted(file.name for file in (results / "runs").iterdir())
    assert [(each.file.name, each.reason) for each in loaded.rejected] == [
        (second, f"line 1: a second file of one run: {first} counts")
    ]


@FAST
@given(hostile.harmed(whole()))
def test_a_record_changed_at_random_takes_nothing_down(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("results") / "results"
    store.ready(folder)
    store.add(folder, record())
    content = hostile.written(value)
    (folder / "runs" / hostile.file_name("strange", content)).write_bytes(content)
    loaded = frame.project(folder)
    assert len(loaded.records) + len(loaded.rejected) == 2


@pytest.mark.parametrize("oddity", hostile.ODDITIES, ids=lambda oddity: oddity.__name__)
def test_a_file_that_is_none_is_named_and_the_record_beside_it_is_read(results, oddity):
    for name in ("odd.0123456789ab.json", "notes"):
        oddity(results / "runs" / name)
    (results / "bench" / "session").mkdir(parents=True)
    oddity(results / "bench" / "odd")
    oddity(results / "bench" / "session" / "session.0123456789ab.json")
    with hostile.within(10):
        loaded, benches = frame.project(results), sessions.load_all(results)
    assert len(loaded.records) == 1
    assert {each.file.name for each in loaded.rejected} == {"odd.0123456789ab.json", "notes"}
    assert {"odd", "session"} <= {each.file.name for each in benches.rejected}


def test_a_file_larger_than_any_record_is_not_read(tmp_path):
    hostile.huge(tmp_path / "file")
    assert files.read(tmp_path / "file") == "larger than 8 MiB, which no record is"


@FAST
@given(hostile.TEXTS)
def test_text_from_elsewhere_is_text_in_every_format(text):
    for made in (
        safe.one_line(text),
        safe.short(text),
        safe.for_markdown(text),
        str(safe.for_csv(text)),
    ):
        parsing.assert_plain(made)
    assert len(safe.short(text)) <= safe.MOST
    parsing.assert_plain(safe.for_terminal(text), "\n")
    parsing.assert_sound_markdown(
        f"| a |\n| --- |\n| {safe.for_markdown(text)} |\n\n- {safe.for_markdown(text)}"
    )
    parsing.assert_sound_csv(safe.as_csv([{"a": text, "b": -1.5, "c": -2}]))
    assert RUNS[0].planted(text).request.backend.startswith(text)


def test_numbers_stay_numbers_in_csv():
    (row,) = parsing.assert_sound_csv(safe.as_csv([{"a": -1.5, "b": 2, "c": None, "d": "-x"}]))
    assert row == {"a": "-1.5", "b": "2", "c": "", "d": "'-x"}


def test_what_a_worker_says_is_cut_and_made_writable_before_it_is_kept(results):
    said = record(run_id="long", status="failed", reason="\udcff" + "x" * 2 * LONGEST)
    assert said.reason == "?" + "x" * (LONGEST - 1)
    store.add(results, said)
    assert said in store.load_all(results).records


def test_an_error_is_printed_without_commands(capsys, monkeypatch):
    monkeypatch.setattr(
        "sys.argv", ["harness", "compare", "--results", "/nowhere/\x1b[31m[red]\u202e"]
    )
    with pytest.raises(SystemExit) as ended:
        main.main()
    said = capsys.readouterr().err
    parsing.assert_plain(said, "\n")
    assert (ended.value.code, "[red]" in said) == (2, True)


# Other harnesses

HOLDER = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""
WRITER = """
import sys
from pathlib import Path
from harness.records import files
while not (Path(sys.argv[1]) / ".enough").exists():
    files.append(Path(sys.argv[1]) / "run.jsonl", b"content")
"""


def test_the_table_is_printed_without_the_csv_where_another_process_holds_its_lock(
    results, capsys, monkeypatch
):
    monkeypatch.setattr(frame, "PATIENCE_S", 0.1)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(results / ".lock")], stdin=pipe, stdout=pipe
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        main.app(["compare", "--results", str(results)], standalone_mode=False)
        holder.communicate()
    printed = capsys.readouterr()
    assert "jax/keras" in printed.out
    assert "results.csv is as it was: another harness has held" in printed.err
    assert not (results / "results.csv").exists()
    with FileLock(results / ".lock", timeout=1):
        pass


def test_a_folder_in_which_another_process_writes_can_be_written(tmp_path):
    folder = tmp_path / "results" / "runs"
    store.ready(tmp_path / "results")
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], cwd=ROOT) as writer:
        while not list(folder.glob("run.*")):
            assert writer.poll() is None
        try:
            for _ in range(150):
                store.ready(tmp_path / "results")
        finally:
            (folder / ".enough").touch()


def test_a_session_whose_backend_has_left_backends_toml_is_refused_with_exit_code_4(tmp_path):
    plan = benches.session(("gone/keras", "jax/keras", "gone/keras again"))
    store.ready(tmp_path / "results", "bench")
    store.add(tmp_path / "results", plan)
    arguments = [
        "bench",
        "--resume",
        "--results",
        str(tmp_path / "results"),
        "--config",
        str(ROOT / "backends.toml"),
    ]
    with pytest.raises(HarnessError, match="gone/keras: it began with") as refused:
        main.app(arguments, standalone_mode=False)
    assert (type(refused.value), refused.value.exit_code) == (NotComparable, 4)
