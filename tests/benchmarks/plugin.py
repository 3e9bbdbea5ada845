"""What the pytest plugin adds to a project's tests that do not ask for its fixture.

A run of pytest over a file with one empty test, with the plugin and without it, in turn, the order
of the two alternating: the difference of a pair is the plugin's. Over the pairs: the
Hodges-Lehmann estimate with the exact Wilcoxon signed-rank interval, of the seconds and of the CPU
seconds. Exits with 1 where the upper end of either passes the limit.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.statistics.intervals import hodges_lehmann

LIMIT_S = 0.030
TEST = "def test_nothing():\n    pass\n"
NAME = "keras-backend-harness"  # under which pytest finds the plugin by itself
WITHOUT, WITH = ("-p", f"no:{NAME}"), ()


def spend(folder, *options):
    """Return the seconds and the CPU seconds of a run of pytest in a folder."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=variables(), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(command)} failed")
    return seconds, usage.ru_utime + usage.ru_stime


def variables():
    """Return the variables of a project's tests: none of the harness's own."""
    kept = os.environ.items()
    return {name: value for name, value in kept if not name.startswith(("HARNESS", "PYTEST"))}


def check_found(folder):
    """Raise SystemExit where pytest does not find the plugin, or finds it nevertheless."""
    for options, expected in ((WITH, True), (WITHOUT, False)):
        command = [sys.executable, "-m", "pytest", "--help", *options]
        done = subprocess.run(
            command, cwd=folder, env=variables(), capture_output=True, text=True, check=True
        )
        if ("--harness-backends" in done.stdout) != expected:
            raise SystemExit(f"pytest {' '.join(options)}: the plugin is not what was asked for")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=24)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_nothing.py").write_text(TEST)
        check_found(folder)
        differences = []
        for number in range(given.pairs):
            order = (WITH, WITHOUT) if number % 2 else (WITHOUT, WITH)
            spent = {options: spend(folder, *options) for options in order}
            differences.append([a - b for a, b in zip(spent[WITH], spent[WITHOUT], strict=True)])
    bad = 0
    for name, several in zip(("wall", "CPU"), zip(*differences, strict=True), strict=True):
        found = hodges_lehmann(several)
        bad += found.high > LIMIT_S
        interval = f"{1000 * found.low:.1f} to {1000 * found.high:.1f}"
        print(
            f"the plugin adds {1000 * found.mid:.1f} ms of {name} ({interval}), {given.pairs} pairs"
        )
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
