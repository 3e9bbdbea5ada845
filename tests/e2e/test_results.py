"""The results folder under attack: writers killed at any moment, several at once, a full disk."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

from harness.records import store
from tests.attacks.kills import kill_writers
from tests.e2e.conftest import ROOT
from tests.unit.records import record

WRITER = """
import sys
from pathlib import Path
from harness.records import frame, store
from tests.unit.records import record
results, name, n = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for number in range(n):
    store.add(results, record(run_id=f"{name}-{number}"))
    frame.project(results)
    print(number, flush=True)
"""


@pytest.fixture
def results(tmp_path):
    store.ready(tmp_path)
    return tmp_path


def writer(results, name, n=1_000_000):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(results), name, str(n)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def whole_csv(results):
    """The rows of results.csv, which must be whole whenever it is read."""
    try:
        text = (results / "results.csv").read_text()
    except FileNotFoundError:
        return []
    rows = list(csv.DictReader(io.StringIO(text)))
    assert text.endswith("\n")
    assert all(None not in row and None not in row.values() for row in rows)
    return rows


def test_sixty_writers_killed_at_random_moments_lose_and_double_nothing(results):
    assert kill_writers(results, 60) == []


def test_two_harnesses_on_one_folder_lose_nothing_and_the_csv_is_whole_at_every_moment(results):
    with writer(results, "one", 40) as one, writer(results, "two", 40) as two:
        n_seen = [len(whole_csv(results))]
        while one.poll() is None or two.poll() is None:
            n_seen.append(len(whole_csv(results)))
    assert n_seen == sorted(n_seen), "results.csv lost a row"
    assert {row["run_id"] for row in whole_csv(results)} == {
        f"{name}-{number}" for name in ("one", "two") for number in range(40)
    }


def test_a_record_that_no_longer_fits_on_the_disk_is_kept_elsewhere_and_nothing_half_stays(
    results, tmp_path
):
    limited = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from harness.records import files, store
from tests.unit.records import record
real = files.append
def append(target, line):
    small = str(sys.argv[1]) in str(target)
    unlimited = resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000 if small else unlimited, unlimited))
    return real(target, line)
files.append = append
print(store.add(Path(sys.argv[1]), record()))
"""
    done = subprocess.run(
        [sys.executable, "-c", limited, str(results)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert str(results) not in done.stdout
    assert list((results / "runs").iterdir()) == []
    kept = Path(done.stdout.strip())
    assert [found for found, _ in store.scan(kept, store.ROOMS["runs"])] == [record()]
