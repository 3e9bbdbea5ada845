"""Run a bench session: generations of fresh workers that take turns, every part kept at once.

A sitting is one call's work on a session. What is still to be done follows from the session's plan
and the parts there are, so a sitting that was killed is followed by one that goes on with the same
generations and blocks, in fresh processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from harness.engine import disturbance, host
from harness.engine.cores import cores_of
from harness.engine.live import Gone, start_live_worker
from harness.engine.plan import Planned
from harness.experiments.bench import schedule
from harness.experiments.bench.forecast import Forecast
from harness.experiments.bench.remaining import (
    closed_blocks,
    entrants_without_end,
    missing_blocks,
    unfinished_generations,
)
from harness.experiments.bench.same_plan import check_same_environment
from harness.experiments.bench.turns import Process, take_turn, validate
from harness.records.bench import Bench, Block, End, Part, Rates, Session, Sitting, Start, Turn

Outcome = Literal["complete", "budget", "stopped", "interrupted"]
Show = Callable[[str, float | None, bool], None]
"""What is being done, the seconds that are left, and whether a generation is over."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a sitting is given besides the session."""

    root: Path  # whose .nox holds the environments
    planned: Callable[[str, int], Planned]  # of an entrant, in a generation
    keep: Callable[[Part], object]
    show: Show = lambda what, left_s, done: None


def run_session(
    bench: Bench, room: Room, *, budget_s: float | None = None, stop_after: int | None = None
) -> tuple[Bench, Outcome]:
    """Measure what a session still lacks, and return it with what was added.

    Args:
        bench: the session, and what there is of it.
        room: where it runs, and where its parts go.
        budget_s: no generation begins that would end after so many seconds, as long as the longest
            so far.
        stop_after: end after so many generations; the session can go on later.
    """
    work = Work(bench, room, budget_s)
    outcome = work.measure(stop_after)
    if len(work.bench.starts) > len(bench.starts):
        total_s, busy_s, number = (
            work.forecast.elapsed_s,
            work.forecast.busy_s,
            len(bench.sittings) + 1,
        )
        work.keep(Sitting(number=number, outcome=outcome, total_s=total_s, busy_s=busy_s))
    return work.bench, outcome


class Work:
    """A sitting: the session as far as it is measured, and the generation's live processes."""

    def __init__(self, bench: Bench, room: Room, budget_s: float | None) -> None:
        self.bench, self.room = bench, room
        self.session: Session = bench.session
        self.forecast = Forecast(budget_s)
        self.processes: dict[str, Process] = {}

    def keep(self, part: Part) -> None:
        """Keep a part, here and on disk, with the time if it does not say when it began."""
        if isinstance(part, Start | End | Sitting):
            part = part.model_copy(update={"written_at": _now()})
        self.bench = self.bench.with_part(
            part
        )  # first: an interrupt comes once the part is written
        self.room.keep(part)

    def say(self, generation: int, what: str, *, done: bool = False) -> None:
        """Show what is being done."""
        left_s = self.forecast.left_s(self._steps_left(generation, here=not done))
        self.room.show(
            f"generation {generation}/{self.session.n_generations}, {what}", left_s, done
        )

    def measure(self, stop_after: int | None) -> Outcome:
        """Measure one generation after another, and return why that ended."""
        longest_s, n_done = 0.0, 0
        for number in unfinished_generations(self.bench):
            if n_done == stop_after:
                return "stopped"
            began_s = self.forecast.elapsed_s
            if (
                n_done
                and self.forecast.budget_s is not None
                and began_s + longest_s > self.forecast.budget_s
            ):
                return "budget"
            try:
                self.generation(number)
            except KeyboardInterrupt:
                return "interrupted"
            finally:
                self.processes = {}
            longest_s, n_done = max(longest_s, self.forecast.elapsed_s - began_s), n_done + 1
        return "stopped" if unfinished_generations(self.bench) else "complete"

    def generation(self, number: int) -> None:
        """Start a fresh process for each entrant, have them take their turns, and end them."""
        names = [entrant.name for entrant in self.session.entrants]
        wanted = (
            names
            if missing_blocks(self.bench, number)
            else entrants_without_end(self.bench, number)
        )
        with ExitStack() as stack:
            for name in schedule.starts(names, self.session.seed, number):
                if name in wanted:
                    self._start(name, number, stack)
            for block in missing_blocks(self.bench, number):
                self._block(number, block, stack)
            for process in self.processes.values():
                self._end(number, process)
        self.say(number, "done", done=True)

    def _start(self, name: str, generation: int, stack: ExitStack) -> None:
        """Start an entrant's process, again where it fails, until it lives or is set aside."""
        while name not in self.bench.set_aside:
            self.say(generation, f"{name} starts")
            number = 1 + sum(
                (each.generation, each.name) == (generation, name) for each in self.bench.starts
            )
            ids = {"generation": generation, "process": number, "name": name}
            which = [entrant.name for entrant in self.session.entrants].index(name)
            began = time.monotonic()
            context = stack.enter_context(ExitStack())
            try:
                with self.forecast.step("start", name):
                    variables = schedule.process_variables(
                        self.session.seed, generation, which, number
                    )
                    planned = self.room.planned(name, generation)
                    worker = start_live_worker(
                        planned, self.room.root, variables, self.session.cores
                    )
                    alive, told = context.enter_context(worker)
                    has_children = bool(told.pop("has_children", True))
                    start = validate(Start, told | ids)
            except Gone as gone:
                context.close()  # what said no start may live on
                total_s = time.monotonic() - began
                failed = {
                    "status": "failed",
                    "reason": gone.reason,
                    "log_tail": gone.log,
                    "total_s": total_s,
                }
                self.keep(Start.model_validate(ids | failed))
                continue
            check_same_environment(self.bench, start)
            self.keep(start)
            n_cores = len(cores_of(alive.pid))
            process = Process(name, number, alive, context, n_cores, has_children)
            self.processes[name] = process
            return

    def _block(self, generation: int, block: int, stack: ExitStack) -> None:
        """Take a block's turns, again where it is not valid, until it is, or is given up."""
        names = [entrant.name for entrant in self.session.entrants]
        index = (generation - 1) * self.session.n_blocks + block - 1
        while block in missing_blocks(self.bench, generation) and self.processes:
            attempt = 1 + sum(
                (each.generation, each.block) == (generation, block) for each in self.bench.blocks
            )
            order = tuple(
                name
                for name in schedule.turns(names, self.session.seed, index)
                if name in self.processes
            )
            ids = {
                "generation": generation,
                "block": block,
                "attempt": attempt,
                "started_at": _now(),
                "order": order,
            }
            part, crash = self._turns(ids, order)
            self.keep(part)
            if crash:
                process, gone = crash
                del self.processes[process.name]
                self._ended(generation, process, gone)
                self._start(process.name, generation, stack)
            self._evaluate_those_due(generation, stack)

    def _turns(
        self, ids: Mapping[str, Any], order: tuple[str, ...]
    ) -> tuple[Block, tuple[Process, Gone] | None]:
        """Return a block with its turns, and the process that crashed in it, if one did."""
        turns: dict[str, Turn] = {}
        said: dict[str, str] = {}
        crash: tuple[Process, Gone] | None = None
        for name in order:
            process = self.processes[name]
            last = f", {next(reversed(turns.values())).seconds:.2f} s" if turns else ""
            self.say(
                ids["generation"], f"block {ids['block']}/{self.session.n_blocks}, {name}{last}"
            )
            try:
                with self.forecast.step("turn", name):
                    turns[name] = take_turn(process)
            except Gone as gone:
                said[name], crash = f"it ended: {gone.reason}", (process, gone)
                break
            if reason := disturbance.invalid_reason(
                turns[name], self.session.limits, process.n_cores
            ):
                said[name] = reason
        processes = {name: self.processes[name].number for name in turns}
        invalid = "; ".join(f"{name}: {reason}" for name, reason in said.items())
        return Block.model_validate(
            {**ids, "turns": turns, "processes": processes, "invalid": invalid}
        ), crash

    def _evaluate_those_due(self, generation: int, stack: ExitStack) -> None:
        """Evaluate each process that has trained the planned epochs: later it may train more."""
        for process in list(self.processes.values()):
            if process.evaluated is None and process.n_epochs == 1 + self.session.n_blocks:
                try:
                    with self.forecast.step("evaluate", process.name):
                        process.evaluated = self._evaluate(generation, process)
                except Gone as gone:
                    del self.processes[process.name]
                    self._ended(generation, process, gone)
                    if missing_blocks(self.bench, generation):
                        self._start(process.name, generation, stack)

    def _end(self, generation: int, process: Process) -> None:
        """Have a process say what it came to, and end it."""
        try:
            with self.forecast.step("end", process.name):
                end = process.evaluated or self._evaluate(generation, process)
                on_device = host.process_memory(process.alive.pid)
                more = {} if on_device is None else {"NVML used": on_device}
                memory_bytes = end.memory_bytes | more
                rates = self._rates(process)
                end = end.model_copy(update={"memory_bytes": memory_bytes, "rates": rates})
        except Gone as gone:
            self._ended(generation, process, gone)
            return
        self.keep(end)

    def _evaluate(self, generation: int, process: Process) -> End:
        """Have a process say what its model comes to by now."""
        return validate(End, process.alive.tell("evaluate") | process.ids(generation))

    def _rates(self, process: Process) -> Rates | None:
        """Return what a process can do at most, and end it; None where it cannot say.

        What it trained counts all the same.
        """
        try:
            rates = validate(Rates, process.alive.tell("rates"))
            process.alive.close()
        except Gone:
            return None
        finally:
            process.context.close()
        return rates

    def _ended(self, generation: int, process: Process, gone: Gone) -> None:
        """End a process that cannot go on, wait until it is gone, and keep why."""
        process.context.close()
        failed = {
            "status": "failed",
            "reason": gone.reason,
            "log_tail": gone.log,
            "n_epochs": process.n_epochs,
        }
        self.keep(End.model_validate(process.ids(generation) | failed))

    def _steps_left(self, generation: int, *, here: bool) -> Iterable[tuple[str, str, int]]:
        """Yield (kind, entrant, how often) of what is left; `here`: this generation is not over."""
        session, done = self.session, closed_blocks(self.bench)
        blocks = range(1, session.n_blocks + 1)
        n_open = [
            sum((number, block) not in done for block in blocks)
            for number in range(1, session.n_generations + 1)
        ]
        later = sum(n > 0 for n in n_open[generation:])
        for entrant in session.entrants:
            if entrant.name not in self.bench.set_aside:
                yield "start", entrant.name, later + (here and entrant.name not in self.processes)
                yield "turn", entrant.name, sum(n_open)
                yield "evaluate", entrant.name, later + here
                yield "end", entrant.name, later + here


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
