"""Run the cells of a sweep on an engine: what is done is not done again, what failed is retried."""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from harness.engine.cells import Engine, Ran, Task, outcomes
from harness.experiments.sweep.attempts import done_cells
from harness.experiments.sweep.plan import Cell, CellFile
from harness.records import sessions, store
from harness.spec.files import write

MOST_ATTEMPTS = 3  # at one cell in one call
HOPELESS = 2  # the exit code of what the next attempt would say too
CELLS = "cells"  # the folder of the cells' files and of what they print


class Driver:
    """The cells of one call that are to do, and what has become of the others."""

    def __init__(
        self, results: Path, say: Callable[[str], None], budget_s: float | None = None
    ) -> None:
        """Begin.

        Args:
            results: of the sweep.
            say: told what becomes of each cell.
            budget_s: no cell begins that would end later, as long as the longest so far.
        """
        self.results, self.say, self.budget_s = results, say, budget_s
        self.given_up: dict[str, str] = {}  # why, by the cell's name
        self.n_done, self.out_of_budget = 0, False
        self._to_do: deque[Cell] = deque()
        self._began_s: dict[str, float] = {}
        self._failed: Counter[str] = Counter()
        self._start_s, self._longest_s = time.monotonic(), 0.0

    def run(self, cells: Sequence[Cell], engine: Engine, ask: Callable[[Cell], CellFile]) -> None:
        """Run those of the cells that have no complete session yet.

        Args:
            cells: of one plan.
            engine: that runs them.
            ask: gives what a cell's file says.
        """
        for folder in (sessions.ROOM, CELLS):
            store.ready(self.results, folder)
        by_id = {cell.id: cell for cell in cells}
        done = done_cells(self.results, by_id)
        self._to_do.extend(cell for cell in cells if cell.id not in done)
        with closing(outcomes(lambda: self._next_task(ask), engine)) as ended:
            for task, ran in ended:
                self._take(by_id[task.file.stem], ran)

    def _next_task(self, ask: Callable[[Cell], CellFile]) -> Task | None:
        elapsed_s = time.monotonic() - self._start_s
        if self.budget_s is not None and self._longest_s:
            self.out_of_budget |= elapsed_s + self._longest_s > self.budget_s
        if self.out_of_budget or not self._to_do:
            return None
        cell = self._to_do.popleft()
        file = self.results / CELLS / f"{cell.id}.json"
        write(file, ask(cell).model_dump_json().encode())
        self._began_s[cell.id] = time.monotonic()
        command = (sys.executable, "-m", "harness", "cell", str(file))
        return Task(f"cell-{cell.id}", command, file, file.with_suffix(".log"))

    def _take(self, cell: Cell, ran: Ran) -> None:
        """Take note of a task that has ended; the records say what it came to."""
        for name, content in ran.files.items():
            room, _, plain = name.partition("/")
            target = self.results / room / Path(plain).name
            if room in store.ROOMS and not target.exists():
                store.ready(self.results, room)
                write(target, content)
        took_s = time.monotonic() - self._began_s[cell.id]
        if done_cells(self.results, [cell.id]):
            self.n_done += 1
            self._longest_s = max(self._longest_s, took_s)
            self.say(f"{cell.name}: done in {took_s:.0f} s; {len(self._to_do)} cells are to do")
            return
        self._failed[cell.id] += 1
        reason = ran.said or f"exit status {ran.code}"
        if ran.code == HOPELESS or self._failed[cell.id] >= MOST_ATTEMPTS:
            self.given_up[cell.name] = reason
            self.say(f"! {cell.name}: given up: {reason}")
        else:
            self._to_do.append(cell)
            self.say(f"! {cell.name}: not complete ({reason}); once more, later")
