"""`harness gate` with real processes: an arm made slower is measured again, and fails the gate."""

import os

import pytest

# Turns must be long beside what a kernel does by itself, a tenth of a second here and there, or no
# block is valid: hence 192 units.
SLOWED = '''"""The network from scratch, each epoch longer by a share of itself."""
import time
from harness.worker.arms.naive import numpy as plain
from harness.worker.arms.naive.numpy import build, place, predict, export
from harness.worker.arms.naive.numpy import slots, resume, wait, facts


def epoch(state, data):
    began = time.perf_counter()
    trained = plain.epoch(state, data)
    until = time.perf_counter() + SHARE * (time.perf_counter() - began)
    while time.perf_counter() < until:
        pass
    return trained
'''
ARMS = ("numpy/naive,numpy/other", "--baseline", "numpy/naive")
MEASURE = (
    "bench",
    *ARMS,
    "--no-parity",
    "--generations",
    "6",
    "--blocks",
    "1",
    "--dataset",
    "digits",
)


@pytest.fixture
def measured(project):
    """A project whose base was measured; and a function that makes its other arm, one of its own,
    slower by a share.
    """
    whole = (project.root / "backends.toml").read_text()
    whole = whole.replace(
        '{ name = "hidden", units = 512, activation = "relu" }',
        '{ name = "hidden", units = 192, activation = "relu" }',
    )
    whole = whole.replace(
        "[backends.numpy.arms]\n", '[backends.numpy.arms]\nother = { module = "slowed.py" }\n'
    )
    (project.root / "backends.toml").write_text(whole)

    def run(*arguments, share):
        (project.root / "slowed.py").write_text(SLOWED.replace("SHARE", repr(share)))
        return project.run(*arguments)

    assert run(*MEASURE, "--results", "base", share=0.0).returncode in (0, 3)
    return run


def test_an_arm_made_slower_is_measured_again_and_fails_the_gate(measured, project, tmp_path):
    assert measured(*MEASURE, share=0.6).returncode in (0, 3)
    summary = tmp_path / "summary"
    os.environ["GITHUB_STEP_SUMMARY"] = str(summary)
    try:
        slower = measured("gate", "--against", "base", share=0.6)
        alone = measured(
            "gate", "--against", "base", "--no-confirm", "--report=gate.html", share=0.6
        )
    finally:
        del os.environ["GITHUB_STEP_SUMMARY"]
    assert slower.returncode == 1, slower.stdout + slower.stderr
    assert "numpy/other: may have regressed; measured again, in fresh blocks" in slower.stdout
    assert len(list((project.results / "confirm" / "bench").glob("*.jsonl"))) == 1, (
        "a session of its own"
    )
    assert len(list((project.results / "bench").glob("*.jsonl"))) == 1, (
        "and none that the next gate would take for a head"
    )
    assert alone.returncode == 3, "unconfirmed, nothing is called a regression"
    assert "numpy/other" in summary.read_text()
    page = (project.root / "gate.html").read_text()
    assert "Has it become slower?" in page
    assert "suspect" in page
