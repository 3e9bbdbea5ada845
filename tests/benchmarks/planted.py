"""A slowdown planted in a real arm, and whether sessions of the default size find it: real
processes, real training.

`python -m tests.benchmarks.planted [BACKEND] [--slowdown 1.05] [--sessions 3]`. A copy of the
workers' code gets one more arm: the keras arm with so many more samples in each epoch. Each session
says what it calls that arm (it must be "slower"), and by how much the two processes of the
untouched arm differ (they must not be called different).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.experiments.bench.judge import summarize
from harness.records.bench import Bench
from harness.records.sessions import load_all
from harness.statistics.verdict import judge_ratio

ROOT = Path(__file__).resolve().parents[2]
SLOWED = '''"""The keras arm with more samples in each epoch."""
import numpy as np
from harness.worker.arms import keras_fit
from harness.worker.arms.keras_fit import build, predict, export, slots, resume, wait, facts

OPTIONS = {}


def place(x, y):
    n = round(len(x) * SHARE)
    return keras_fit.place(np.concatenate([x, x[:n]]), np.concatenate([y, y[:n]]))


def epoch(state, data):
    return keras_fit.epoch(state, data)
'''


def make_project(root: Path, backend: str, slowdown: float) -> None:
    """Make a project that has the slowed arm."""
    (root / "slowed.py").write_text(SLOWED.replace("SHARE", repr(slowdown - 1)))
    table = f"[backends.{backend}.arms]\n"
    whole = (
        (ROOT / "backends.toml")
        .read_text()
        .replace(table, f'{table}slowed = {{ module = "slowed.py" }}\n')
    )
    (root / "backends.toml").write_text(whole)
    (root / ".nox").symlink_to(ROOT / ".nox")


def sessions(backend: str, slowdown: float, n_sessions: int) -> list[Bench]:
    """Return what so many sessions of the default size measured."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make_project(root, backend, slowdown)
        arms = f"{backend}/keras,{backend}/slowed"
        command = [
            sys.executable,
            "-m",
            "harness",
            "bench",
            "--no-parity",
            arms,
            "--baseline",
            f"{backend}/keras",
        ]
        for _ in range(n_sessions):
            subprocess.run(command, cwd=root, check=False)
        return list(load_all(root / "results").sessions)


def main() -> int:
    """Measure, print what each session says, and return 1 where one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backend", nargs="?", default="jax")
    parser.add_argument("--slowdown", type=float, default=1.05)
    parser.add_argument("--sessions", type=int, default=3)
    arguments = parser.parse_args()
    wrong = 0
    for number, bench in enumerate(
        reversed(sessions(arguments.backend, arguments.slowdown, arguments.sessions)), start=1
    ):
        found = summarize(bench)
        slowed = next(arm for arm in found.arms if arm.name.endswith("/slowed"))
        same = judge_ratio(found.floor, slowed.n_generations, found.floor, 0.0)[0]
        ratio = f"{slowed.ratio.mid:.3f} ({slowed.ratio.low:.3f}-{slowed.ratio.high:.3f})"
        planted = f"planted {arguments.slowdown:.3f}: {slowed.verdict}, {ratio}"
        untouched = (
            f"A/A: {same}, {found.floor.mid:.3f} ({found.floor.low:.3f}-{found.floor.high:.3f})"
        )
        print(f"session {number}: {planted}; {untouched}; {found.n_invalid} invalid blocks")
        wrong += slowed.verdict != "slower" or same in ("faster", "slower")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
