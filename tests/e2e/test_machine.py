"""One measurement at a time on this machine, and what killed ones leave, with the harness itself."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path

import psutil
import pytest

from tests.e2e.test_bench import n_blocks, small, until, workers  # noqa: F401 - small is a fixture

ONE = ("--arm", "naive", "--dataset", "digits", "--epochs", "1")


def span(record):
    """When a run began and when its worker was gone."""
    began = datetime.fromisoformat(record["started_at"])
    return began, began + timedelta(seconds=record["total_s"])


def test_trainings_that_are_started_at_once_follow_one_another(project):
    several = [project.start("train", "numpy", "--seed", "0", "--seed", "1", *ONE) for _ in range(3)]
    said = [process.communicate(timeout=300)[0] for process in several]
    assert [process.returncode for process in several] == [0, 0, 0], said
    spans = sorted(map(span, project.records()))
    assert len(spans) == 6
    slack = timedelta(milliseconds=5)  # a start is kept in whole milliseconds
    assert all(earlier[1] <= later[0] + slack for earlier, later in itertools.pairwise(spans))
    assert sum("waiting: this machine is measured on: harness train, process" in each for each in said) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "numpy", *ONE),
        ("bench", "--arms", "numpy/naive", "--generations", "1", "--dataset", "digits"),
        ("bench", "--self-check"),
        ("parity", "numpy", "--arm", "naive", "--dataset", "digits"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_beside_a_session_a_verb_that_measures_is_refused_or_waits_until_the_session_has_ended(small, arguments):  # noqa: F811
    session = small.start("bench", "--arms", "numpy/naive", "--generations", "50", "--dataset", "digits", "--blocks", "2")
    try:
        until(lambda: n_blocks(small) >= 1)
        began = time.monotonic()
        refused = small.run(*arguments, "--no-wait", "--results", str(small.root / "other"))
        assert refused.returncode == 2
        assert f"this machine is measured on: harness bench, process {session.pid}, since" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert time.monotonic() - began < 10
        second = small.start(*arguments, "--results", str(small.root / "other"))
        assert "waiting: this machine is measured on: harness bench" in next(line for line in second.stdout if "waiting" in line)
        assert not workers(second)
    finally:
        session.send_signal(signal.SIGINT)
        session.communicate(timeout=60)
    until(lambda: workers(second) or second.poll() is not None)
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=60)


def test_what_twenty_killed_runs_have_left_is_gone_after_one_normal_start(project, tmp_path):
    temporary, cache = tmp_path / "tmp", tmp_path / "cache"
    temporary.mkdir()
    elsewhere = temporary / "harness-abcdefgh"  # of an older version, or of anybody
    elsewhere.mkdir()
    variables = os.environ | {"TMPDIR": str(temporary), "HARNESS_CACHE_DIR": str(cache)}

    def left():
        return [file for folder in (temporary, cache) for file in folder.rglob("harness-scratch-*")]

    n_left = 0
    for number in range(20):
        if number % 4 == 0:
            shutil.rmtree(cache, ignore_errors=True)  # so that it is killed while it prepares, too
        process = subprocess.Popen(
            project.command("train", "numpy", *ONE), cwd=project.root, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        before = set(left())
        until(lambda: set(left()) - before or process.poll() is not None)  # noqa: B023
        time.sleep(0.06 * (number % 5))
        theirs = workers(process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        until(lambda: not any(psutil.pid_exists(worker.pid) for worker in theirs), 10)  # noqa: B023
        n_left += bool(left())
    assert n_left >= 10, "they were killed in their middle"
    done = subprocess.run(project.command("train", "numpy", *ONE), cwd=project.root, env=variables, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert left() == []
    assert list(temporary.iterdir()) == [elsewhere]
    assert {file.name for file in cache.iterdir()} == {"datasets", "draws"}
    assert all(re.fullmatch(r"(weights|order)-[0-9a-f]{64}\.np[yz]", file.name) for file in Path(cache / "draws").iterdir())


def test_a_run_that_lives_keeps_its_folders_while_others_start(project, tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    variables = os.environ | {"TMPDIR": str(temporary)}
    first = subprocess.Popen(project.command("train", "numpy", *ONE[:-1], "300"), cwd=project.root, env=variables)
    try:
        until(lambda: workers(first))
        for _ in range(3):
            assert project.run("doctor", TMPDIR=str(temporary)).returncode == 0
        assert first.poll() is None
        assert len(list(temporary.glob("harness-scratch-*"))) == 1
    finally:
        first.send_signal(signal.SIGINT)
        first.wait(60)
    assert list(temporary.iterdir()) == []
