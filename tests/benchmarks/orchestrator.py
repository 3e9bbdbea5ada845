"""What the orchestrator itself costs: `--help`, `compare` over 10,000 records, and its share of a
run while it waits.

Prints a row for each with the figure to reach, and exits 1 where one is passed over.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

N_RECORDS = 10_000
HARNESS = [sys.executable, "-m", "harness"]
ROOT = Path(__file__).resolve().parents[2]

# In a process of its own: a child's peak of memory begins at its parent's.
WRITE = """
import sys
from pathlib import Path
from harness.records import store
from tests.unit.records import record
results = Path(sys.argv[1])
store.ready(results)
for number in range(int(sys.argv[2])):
    backend = ("tensorflow", "jax", "torch")[number % 3]
    spec = ("mnist-mlp", "mnist-mlp-adam")[number // 3 % 2]
    status = "failed" if number % 50 == 0 else "ok"
    changes = {"run_id": f"r{number:05}", "backend": backend, "spec_name": spec}
    changes |= {"seed": number % 10, "status": status}
    reason = "a reason" if status == "failed" else ""
    store.add(results, record(**changes, epoch_s=(3.0, 1.0, 1.1, 1.0, 1.2), reason=reason))
"""


def cost(*arguments: str) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and peak MB of the harness command, without its children."""
    start = time.perf_counter()
    process = subprocess.Popen([*HARNESS, *arguments], stdout=subprocess.DEVNULL, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(
            f"harness {' '.join(arguments)} ended with status {os.waitstatus_to_exitcode(status)}"
        )
    return (
        time.perf_counter() - start,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * 1024 / 1e6,
    )


def waiting_share(backend: str) -> float:
    """Return the orchestrator's CPU seconds over its worker's, between the first epoch's end and
    the last one's.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *HARNESS,
            "train",
            backend,
            "--arm",
            "keras",
            "--epochs",
            "6",
            "--results",
            folder,
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            parent = psutil.Process(process.pid)
            spent = []
            for line in process.stdout or ():
                if "epoch 1/6" in line:
                    worker = parent.children(recursive=True)[-1]
                if "epoch 1/6" in line or "epoch 5/6" in line:
                    spent.append((sum(parent.cpu_times()[:2]), sum(worker.cpu_times()[:2])))
    (parent_before, worker_before), (parent_after, worker_after) = spent
    return (parent_after - parent_before) / (worker_after - worker_before)


def figures() -> Iterator[tuple[str, float, float, str]]:
    """Give name, figure, the figure to reach, unit."""
    yield "harness --help, CPU", cost("--help")[1], 0.3, "s"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", WRITE, folder, str(N_RECORDS)], check=True, cwd=ROOT)
        for name in ("first, writing results.csv", "again"):
            wall, _, peak = cost("compare", "--results", folder)
            yield f"compare over {N_RECORDS:,} records ({name}), wall", wall, 3.0, "s"
            yield f"compare over {N_RECORDS:,} records ({name}), peak memory", peak, 300.0, "MB"
    yield "waiting for jax: orchestrator's CPU over the worker's", waiting_share("jax"), 0.01, ""


def main() -> int:
    """Print the table; 1 where a figure is passed over."""
    grid = Table("figure", "measured", "to reach")
    reached = True
    for name, measured, limit, unit in figures():
        reached &= measured <= limit
        grid.add_row(name, f"{measured:.4g} {unit}", f"{limit:g} {unit}")
    Console(width=120).print(grid)
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
