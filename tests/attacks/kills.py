"""Writers killed at random moments: nothing that was finished is lost or counts twice.

A process adds runs, and goes on with one session from wherever the last process left it; it says
what it has finished, and is killed by SIGKILL. `python -m tests.attacks.kills 500` does so 500
times.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

from harness.records import sessions, store
from tests.unit import benches
from tests.unit.records import record

PLAN = benches.session(("jax/keras", "torch/keras", "jax/keras again"), n_blocks=99)
FORK = multiprocessing.get_context("fork")


def write(results: Path, name: str, said: Connection) -> None:
    """Add runs and blocks for ever, and say the id of each that is finished."""
    known, _ = sessions.load(results, PLAN.run_id)
    done = len(known.blocks) if not isinstance(known, str) else store.add(results, PLAN) and 0
    for number in range(1_000_000):
        run_id = f"{name}-{number}"
        store.add(results, record(run_id=run_id))
        said.send(run_id)
        generation, block = divmod(done + number, 99)
        part = benches.block(generation + 1, block + 1, dict.fromkeys(("jax/keras",), 0.5))
        store.add(results, part, PLAN.run_id)
        said.send((generation + 1, block + 1))


def kill_writers(results: Path, n_kills: int, seed: int = 5) -> list[str]:
    """Return what was lost or counts twice after so many kills, and each damage left unnamed."""
    chance, finished = random.Random(seed), []
    for attempt in range(n_kills):
        heard, said = FORK.Pipe(duplex=False)
        writer = FORK.Process(target=write, args=(results, f"w{attempt}", said))
        writer.start()
        said.close()
        finished.append(heard.recv())
        time.sleep(chance.random() * 0.02)
        os.kill(writer.pid or 0, signal.SIGKILL)
        try:
            while True:
                finished.append(heard.recv())
        except EOFError:
            writer.join()
    return faults_after(results, finished)


def faults_after(results: Path, finished: list[object]) -> list[str]:
    """Return how what is in the results differs from what was finished."""
    loaded, (bench, left_out) = store.load_all(results), sessions.load(results, PLAN.run_id)
    if isinstance(bench, str):
        return [bench]
    there = Counter[object](each.run_id for each in loaded.records)
    there.update((block.generation, block.block) for block in bench.blocks)
    torn = [each.reason for each in (*loaded.rejected, *left_out)]
    strange = [
        each for each in torn if not any(word in each for word in ("torn", "damaged", "empty"))
    ]
    lost = [f"lost: {each}" for each in set(finished) - set(there)]
    return [*lost, *(f"twice: {each}" for each, n in there.items() if n > 1), *strange]


def main() -> int:
    """Kill as many writers as asked, and print what came of it."""
    n_kills = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    with tempfile.TemporaryDirectory() as folder:
        store.ready(Path(folder))
        faults = kill_writers(Path(folder), n_kills)
        loaded = store.load_all(Path(folder))
        bench, left_out = sessions.load(Path(folder), PLAN.run_id)
        n_parts = 0 if isinstance(bench, str) else len(bench.blocks)
        n_torn = len(loaded.rejected) + len(left_out)
    print(f"{n_kills} kills: {len(loaded.records)} runs and {n_parts} blocks kept, {n_torn} torn")
    print("\n".join(faults) or "nothing that was finished is lost or counts twice")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
