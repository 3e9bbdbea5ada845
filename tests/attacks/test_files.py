"""Files that are none among the results: each is named and left out within seconds, and the rest is
shown.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from harness.records import files, frame, sessions, store
from tests.attacks.hostile import ODDITIES, REFERENCE, ROOT, cases, removed, within

SESSION = sorted((REFERENCE / "bench").iterdir())[0].name
RECORD = "20260101T000000Z-jax-keras-s0-abcdef.0123456789ab.json"
PLACES = (
    f"runs/{RECORD}",
    "runs/notes.txt",
    f"parity/{RECORD}",
    "bench/20260101T000000Z-abcdef",
    f"bench/{SESSION}/session.0123456789ab.json",
    f"bench/{SESSION}/g01.b01.1.0123456789ab.json",
    f"bench/{SESSION}/notes.txt",
)
VERBS = (
    ("compare",),
    ("bench", "--show"),
    ("gate", "--no-confirm", "--against"),
    ("data", "--dataset", "digits"),
)
NOBODY = 65534


def harness(*arguments, cwd, **options):
    """Run the command as a user does; it ends within 30 s, of which its start takes some on a busy
    machine.
    """
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **options,
    )


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    for room in ("runs", "parity"):
        shutil.copytree(REFERENCE / room, folder / room)
    shutil.copytree(REFERENCE / "bench" / SESSION, folder / "bench" / SESSION)
    return folder


def whole(results):
    """Return how much is read, and the names of what is left out."""
    loaded, benches = store.load_all(results), sessions.load_all(results)
    left = {entry.file.name for entry in (*loaded.rejected, *benches.rejected)}
    return (
        len(loaded.records),
        len(loaded.parities),
        len(benches.sessions),
        sum(len(each.blocks) for each in benches.sessions),
    ), left


def test_odd_files_are_named_and_the_rest_is_read(results):
    sound, nothing = whole(results)
    assert nothing == set()

    @cases(120)
    @given(
        st.lists(
            st.tuples(st.sampled_from(PLACES), st.sampled_from(ODDITIES)),
            min_size=1,
            max_size=5,
            unique_by=lambda pair: pair[0],
        )
    )
    def attack(planted):
        try:
            for place, oddity in planted:
                oddity(results / place)
            with within(10):
                found, left = whole(results)
                frame.project(results)
            assert found == sound
            assert {Path(place).name for place, _ in planted} <= left
        finally:
            for place, _ in planted:
                removed(results / place)

    attack()


@pytest.mark.parametrize(
    "room",
    [
        "results",
        "results/runs",
        "results/parity",
        "results/bench",
        "results/results.csv",
        "results/.lock",
    ],
)
@pytest.mark.parametrize("oddity", ODDITIES, ids=lambda oddity: oddity.__name__)
def test_an_odd_file_in_the_place_of_a_folder_is_an_error_in_one_sentence(
    results, room, oddity, tmp_path
):
    place = tmp_path / room
    if place.is_dir():
        shutil.rmtree(place)
    oddity(place)
    verb = (
        ("bench", "--show", "--config", str(ROOT / "backends.toml"))
        if room == "results/bench"
        else ("compare",)
    )
    done = harness(*verb, "--results", str(results), cwd=tmp_path)
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_every_verb_that_reads_results_goes_on_beside_odd_files(results, verb, tmp_path):
    for number, oddity in enumerate(ODDITIES):
        for place in (
            "runs/{}-jax-keras-s0-abcdef.0123456789ab.json",
            "bench/{}",
            f"bench/{SESSION}/g01.b01.{{}}.0123456789ab.json",
        ):
            oddity(results / place.format(1000 + number))
    arguments = [
        *verb,
        *([str(REFERENCE)] if verb[-1] == "--against" else []),
        "--results",
        str(results),
    ]
    if verb[0] == "bench":
        arguments += ["--config", str(ROOT / "backends.toml")]
    done = harness(*arguments, cwd=tmp_path)
    assert done.returncode in (0, 1, 3, 4), done.stderr
    assert "Traceback" not in done.stderr
    assert not [entry for entry in tmp_path.iterdir() if entry.name not in ("results", ".cache")]


def test_a_session_that_may_not_be_read_blocks_no_other():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for session in (REFERENCE / "bench").iterdir():
            shutil.copytree(session, folder / "bench" / session.name)
        closed = folder / "bench" / SESSION
        closed.chmod(0)
        is_root = os.geteuid() == 0
        if is_root:  # whom no mode keeps out
            os.seteuid(NOBODY)
        try:
            loaded = sessions.load_all(folder)
        finally:
            if is_root:
                os.seteuid(0)
            closed.chmod(0o755)
        assert len(loaded.sessions) == 1
        ((entry),) = loaded.rejected
        assert (entry.file, "Permission denied" in entry.reason) == (closed, True)


def test_a_link_to_a_record_of_elsewhere_counts_as_that_record(results, tmp_path):
    before, _ = whole(results)
    file = next((results / "runs").iterdir())
    file.rename(tmp_path / file.name)
    file.symlink_to(tmp_path / file.name)
    assert whole(results) == (before, set())


# Several harnesses at once

WRITER = """
import sys, time
from pathlib import Path
from harness.records import files
folder, end = Path(sys.argv[1]), time.monotonic() + 60
while time.monotonic() < end and not (folder.parent / "enough").exists():
    files.append(folder / "run.jsonl", b"content")
"""


def test_a_harness_that_starts_while_others_write_finds_the_folder_writable(tmp_path):
    results = tmp_path / "results"
    store.ready(results)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(results / "runs")], cwd=ROOT)
        for _ in range(3)
    ]
    try:
        while not list((results / "runs").glob("run.jsonl")):
            time.sleep(0.01)
        for _ in range(1000):
            store.ready(results)
    finally:
        (results / "enough").touch()
        codes = [writer.wait(60) for writer in writers]
    assert codes == [0, 0, 0]


def test_compare_prints_its_table_without_the_csv_where_another_holds_the_lock(results, tmp_path):
    with FileLock(results / ".lock"):
        began = time.monotonic()
        done = harness("compare", "--results", str(results), cwd=tmp_path)
    assert time.monotonic() - began < frame.PATIENCE_S + 10
    assert done.returncode == 0
    assert "jax/keras" in done.stdout
    assert "results.csv is as it was: another harness has held" in done.stderr
    assert not (results / "results.csv").exists()


def test_a_record_grows_no_larger_in_memory_than_its_limit(tmp_path):
    file = tmp_path / f"run.{'0' * 12}.json"
    with file.open("wb") as opened:
        opened.truncate(files.LIMIT_BYTES + 1)
    assert files.read(file) == "larger than 8 MiB, which no record is"
    with file.open("wb") as opened:
        opened.truncate(files.LIMIT_BYTES)
    assert len(files.read(file)) == files.LIMIT_BYTES
