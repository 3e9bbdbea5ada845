"""`harness report` from the reference results, as a user runs it."""

import subprocess
import sys
import time

import pytest

from tests.e2e.conftest import ROOT

LIMIT_BYTES, LIMIT_S = 700_000, 5.0


@pytest.mark.long
def test_the_page_is_small_soon_there_and_equal_twice(tmp_path):
    contents, seconds = set(), []
    for number in range(3):
        file = tmp_path / f"{number}.html"
        where = ("--results", ROOT / "results" / "reference", "--output", file)
        began = time.monotonic()
        command = [sys.executable, "-m", "harness", "report", *map(str, where)]
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.monotonic() - began)
        contents.add(file.read_bytes())
    (content,) = contents
    assert len(content) <= LIMIT_BYTES
    assert min(seconds) <= LIMIT_S, seconds
