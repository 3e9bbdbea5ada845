"""One measurement at a time on this machine, and what killed ones leave, by the harness itself."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta

import psutil
import pytest

from harness.spec.data import mnist
from tests.e2e.conftest import ROOT, workers
from tests.e2e.test_bench import n_blocks, small, until  # noqa: F401 - small is a fixture

ONE = ("--arm", "naive", "--dataset", "digits", "--epochs", "1")


def span(record):
    """When a run began and when its worker was gone."""
    began = datetime.fromisoformat(record["started_at"])
    return began, began + timedelta(seconds=record["total_s"])


def test_trainings_that_are_started_at_once_follow_one_another(small):  # noqa: F811
    several = [small.start("train", "numpy", "--seed", "0", "--seed", "1", *ONE) for _ in range(3)]
    said = [process.communicate(timeout=300)[0] for process in several]
    assert [process.returncode for process in several] == [0, 0, 0], said
    spans = sorted(map(span, small.records()))
    assert len(spans) == 6
    slack = timedelta(
        seconds=0.1
    )  # starts are by the clock of the day, which may be slewed, and durations by another one
    assert all(earlier[1] <= later[0] + slack for earlier, later in itertools.pairwise(spans))
    assert (
        sum("waiting: this machine is measured on: harness train, process" in each for each in said)
        == 2
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "numpy", *ONE),
        ("bench", "numpy/naive", "--generations", "1", "--dataset", "digits"),
        pytest.param(("bench", "--self-check"), marks=pytest.mark.long),
        pytest.param(
            ("parity", "numpy", "--arm", "naive", "--dataset", "digits"), marks=pytest.mark.long
        ),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_beside_a_session_a_verb_is_refused_or_waits_for_its_end(small, arguments):  # noqa: F811
    session = small.start(
        "bench",
        "numpy/naive",
        "--generations",
        "50",
        "--dataset",
        "digits",
        "--blocks",
        "2",
    )
    try:
        until(lambda: n_blocks(small) >= 1)
        began = time.monotonic()
        refused = small.run(*arguments, "--no-wait", "--results", str(small.root / "other"))
        assert refused.returncode == 2
        assert (
            f"this machine is measured on: harness bench, process {session.pid}, since"
            in refused.stderr
        )
        assert "Traceback" not in refused.stderr
        assert time.monotonic() - began < 10
        second = small.start(*arguments, "--results", str(small.root / "other"))
        assert "waiting: this machine is measured on: harness bench" in next(
            line for line in second.stdout if "waiting" in line
        )
        assert not workers(second)
    finally:
        session.send_signal(signal.SIGINT)
        session.communicate(timeout=60)
    until(lambda: workers(second) or second.poll() is not None)
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=60)


WRITING = """
import sys, time
from pathlib import Path
from harness.spec.files import scratch
with scratch(Path(sys.argv[1])) as folder:
    (folder / "x_train.npy").write_bytes(b"x" * 1_000_000)
    print("half", flush=True)
    time.sleep(60)
"""


def kill_while_it_prepares(folder):
    """Kill a process that has written half of what it prepares in a folder of the cache."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITING, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "half\n"
    process.kill()
    process.communicate()


@pytest.mark.long
def test_what_twenty_killed_runs_left_is_gone_after_one_normal_start(small, tmp_path):  # noqa: F811
    temporary, cache = tmp_path / "tmp", tmp_path / "cache"
    elsewhere = temporary / "harness-abcdefgh"  # of an older version, or of anybody
    elsewhere.mkdir(parents=True)
    mnist.prepare("digits")
    shutil.copytree(os.environ["HARNESS_CACHE_DIR"], cache)
    variables = {"TMPDIR": str(temporary), "HARNESS_CACHE_DIR": str(cache)}

    def left():
        return {file for folder in (temporary, cache) for file in folder.rglob("harness-scratch-*")}

    n_killed = 0
    for number in range(20):
        shutil.rmtree(cache / "draws", ignore_errors=True)
        process = subprocess.Popen(
            small.command("train", "numpy", *ONE),
            cwd=small.root,
            env=os.environ | variables,
            stdout=subprocess.DEVNULL,
        )
        until(lambda: workers(process) or process.poll() is not None)  # noqa: B023
        time.sleep(0.05 * (number % 8))
        theirs = workers(process)
        process.kill()
        n_killed += process.wait() == -signal.SIGKILL
        until(lambda: not any(psutil.pid_exists(worker.pid) for worker in theirs), 10)  # noqa: B023
        assert len(left()) <= 1, "the start before this one has removed what lay there"
    assert n_killed >= 15, "they were killed in their middle"
    for folder in ("datasets", "draws"):
        kill_while_it_prepares(cache / folder)
    assert len(left()) >= 3
    done = small.run("train", "numpy", *ONE, **variables)
    assert done.returncode == 0, done.stderr
    assert left() == set()
    assert list(temporary.iterdir()) == [elsewhere]
    assert {file.name for file in cache.iterdir()} == {"datasets", "draws", "environments"}


def test_a_run_that_lives_keeps_its_folders_while_others_start(project, tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    command = project.command("train", "numpy", *ONE[:-1], "50")
    first = subprocess.Popen(command, cwd=project.root, env=os.environ | {"TMPDIR": str(temporary)})
    try:
        until(lambda: workers(first))
        for _ in range(3):
            assert project.run("setup", "--dry-run", TMPDIR=str(temporary)).returncode == 0
        assert first.poll() is None
        assert len(list(temporary.glob("harness-scratch-*"))) == 1
    finally:
        first.send_signal(signal.SIGINT)
        first.wait(60)
    assert list(temporary.iterdir()) == []
