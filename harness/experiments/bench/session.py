"""Run a bench session: generations of fresh workers that take turns, every part kept at once.

A sitting is one call's work on a session. What is still to be done follows from the session's plan
and the parts there are, so a sitting that was killed is followed by one that goes on with the same
generations and blocks, in fresh processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from harness.engine.executor import Executor
from harness.engine.live import Gone, LiveWorker
from harness.engine.plan import Planned
from harness.experiments.bench import limits, schedule
from harness.experiments.bench.forecast import Budget, Forecast
from harness.experiments.bench.remaining import (
    closed_blocks,
    entrants_without_end,
    missing_blocks,
    unfinished_generations,
)
from harness.experiments.bench.same_plan import check_same_environment, check_same_machine
from harness.experiments.bench.turns import Process, take_turn
from harness.job.accelerators import process_memory
from harness.job.answers import Evaluated, Rates
from harness.job.asked import Live
from harness.job.cores import cores_of
from harness.records.bench import Bench, Block, End, Part, Session, Sitting, Start, Turn
from harness.spec.model import own_model

Outcome = Literal["complete", "budget", "stopped", "interrupted"]
Show = Callable[[str, float | None, bool], None]
"""What is being done, the seconds that are left, and whether a generation is over."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a sitting is given besides the session."""

    executor: Executor
    planned: Callable[[str, int], Planned]  # of an entrant, in a generation
    keep: Callable[[Part], object]
    show: Show = lambda what, left_s, done: None


def run_session(
    bench: Bench, room: Room, *, budget: Budget | None = None, stop_after: int | None = None
) -> tuple[Bench, Outcome]:
    """Measure what a session still lacks, and return it with what was added.

    Args:
        bench: the session, and what there is of it.
        room: where it runs, and where its parts go.
        budget: no generation begins that would end after it, as long as the longest so far.
        stop_after: end after so many generations; the session can go on later.
    """
    work, longest_s, n_done = Work(bench, room, budget), 0.0, 0
    known = bench.session.n_generations - len(unfinished_generations(bench))
    outcome: Outcome | None = None
    for number in unfinished_generations(bench):
        began_s = work.forecast.elapsed_s
        if n_done == stop_after:
            outcome = "stopped"
        elif n_done and not work.forecast.has_room(longest_s, known + n_done):
            outcome = "budget"
        if outcome:
            break
        try:
            work.generation(number)
        except KeyboardInterrupt:
            outcome = "interrupted"
            break
        longest_s, n_done = max(longest_s, work.forecast.elapsed_s - began_s), n_done + 1
    left = unfinished_generations(work.bench)
    outcome = outcome or ("stopped" if left else "complete")
    if len(work.bench.starts) > len(bench.starts):
        total_s, busy_s = work.forecast.elapsed_s, work.forecast.busy_s
        number = len(bench.sittings) + 1
        work.keep(Sitting(number=number, outcome=outcome, total_s=total_s, busy_s=busy_s))
    return work.bench, outcome


class Work:
    """A sitting: the session as far as it is measured, and the generation's live processes."""

    def __init__(self, bench: Bench, room: Room, budget: Budget | None) -> None:
        self.bench, self.room = bench, room
        self.session: Session = bench.session
        self.forecast = Forecast(budget)
        self.processes: dict[str, Process] = {}

    def keep(self, part: Part) -> None:
        """Keep a part, here and on disk, with the time if it does not say when it began."""
        if isinstance(part, Start | End | Sitting):
            part = part.model_copy(update={"written_at": _now()})
        # First: an interrupt comes once the part is written.
        self.bench = self.bench.with_part(part)
        self.room.keep(part)

    def _say(self, generation: int, what: str, *, done: bool = False) -> None:
        """Show what is being done."""
        left_s = self.forecast.left_s(self._steps_left(generation, here=not done))
        self.room.show(
            f"generation {generation}/{self.session.n_generations}, {what}", left_s, done
        )

    def generation(self, number: int) -> None:
        """Start a fresh process for each entrant, have them take their turns, and end them."""
        names = [entrant.name for entrant in self.session.entrants]
        blocks = missing_blocks(self.bench, number)
        wanted = names if blocks else entrants_without_end(self.bench, number)
        self.processes = {}
        with ExitStack() as stack:
            for name in schedule.starts(names, self.session.seed, number):
                if name in wanted:
                    self._start(name, number, stack)
            for block in blocks:
                while block in missing_blocks(self.bench, number) and self.processes:
                    self._attempt(number, block, stack)
            for process in self.processes.values():
                self._end(number, process)
        self._say(number, "done", done=True)

    def _start(self, name: str, generation: int, stack: ExitStack) -> None:
        """Start an entrant's process, again where it fails, until it lives or is set aside."""
        while name not in self.bench.set_aside:
            self._say(generation, f"{name} starts")
            number = 1 + sum(
                (each.generation, each.name) == (generation, name) for each in self.bench.starts
            )
            ids = {"generation": generation, "process": number, "name": name}
            began, context = time.monotonic(), stack.enter_context(ExitStack())
            try:
                with self.forecast.step("start", name):
                    held = self._hold(name, generation, number)
                    alive = context.enter_context(held)
            except Gone as gone:
                context.close()  # what said no start may live on
                failed = {"status": "failed", "reason": gone.reason, "log_tail": gone.log}
                total = {"total_s": time.monotonic() - began}
                self.keep(Start.model_validate(ids | failed | total))
                continue
            start = _start_of(alive, ids)
            check_same_machine(self.session, alive.started.host)
            check_same_environment(self.bench, start)
            self.keep(start)
            has_children = alive.started.has_children
            cores = len(cores_of(alive.pid))
            self.processes[name] = Process(name, number, alive, context, cores, has_children)
            return

    def _hold(self, name: str, generation: int, number: int) -> AbstractContextManager[LiveWorker]:
        """Return the context of an entrant's n-th process in a generation."""
        which = [entrant.name for entrant in self.session.entrants].index(name)
        variables = schedule.process_variables(self.session.seed, generation, which, number)
        planned = self.room.planned(name, generation)
        job = Live(**planned.training(), cores=self.session.cores)
        return self.room.executor.hold(job, variables)

    def _attempt(self, generation: int, block: int, stack: ExitStack) -> None:
        """Have each process take its turn, keep the block, and replace a process that crashed."""
        index = (generation - 1) * self.session.n_blocks + block - 1
        names = [entrant.name for entrant in self.session.entrants]
        turns: dict[str, Turn] = {}
        said: dict[str, str] = {}
        crash: tuple[Process, Gone] | None = None
        ordered = schedule.turns(names, self.session.seed, index)
        order, started_at = tuple(name for name in ordered if name in self.processes), _now()
        for name in order:
            process = self.processes[name]
            last = f", {next(reversed(turns.values())).seconds:.2f} s" if turns else ""
            self._say(generation, f"block {block}/{self.session.n_blocks}, {name}{last}")
            try:
                with self.forecast.step("turn", name):
                    turns[name] = take_turn(process)
            except Gone as gone:
                said[name], crash = f"it ended: {gone.reason}", (process, gone)
                break
            given = turns[name], self.session.limits, process.n_cores
            if reason := limits.invalid_reason(*given):
                said[name] = reason
        self._keep_block(generation, block, started_at, order, turns, said)
        if crash:
            self._replace(generation, *crash, stack)
        self._evaluate_those_due(generation, stack)

    def _keep_block(
        self,
        generation: int,
        block: int,
        started_at: str,
        order: tuple[str, ...],
        turns: dict[str, Turn],
        said: Mapping[str, str],
    ) -> None:
        """Keep a block with its turns, and why it does not count."""
        taken = [(each.generation, each.block) for each in self.bench.blocks]
        self.keep(
            Block(
                generation=generation,
                block=block,
                attempt=1 + taken.count((generation, block)),
                started_at=started_at,
                order=order,
                processes={name: self.processes[name].number for name in turns},
                turns=turns,
                invalid="; ".join(f"{name}: {reason}" for name, reason in said.items()),
            )
        )

    def _replace(self, generation: int, process: Process, gone: Gone, stack: ExitStack) -> None:
        """End a process that cannot go on, and start another one where blocks are missing."""
        del self.processes[process.name]
        self._ended(generation, process, gone)
        if missing_blocks(self.bench, generation):
            self._start(process.name, generation, stack)

    def _evaluate_those_due(self, generation: int, stack: ExitStack) -> None:
        """Evaluate each process that has trained the planned epochs: later it may train more."""
        for process in list(self.processes.values()):
            if process.evaluated is None and process.n_epochs == 1 + self.session.n_blocks:
                try:
                    with self.forecast.step("evaluate", process.name):
                        process.evaluated = process.alive.ask(Evaluated)
                except Gone as gone:
                    self._replace(generation, process, gone, stack)

    def _end(self, generation: int, process: Process) -> None:
        """Have a process say what it came to, and end it."""
        try:
            with self.forecast.step("end", process.name):
                evaluated = process.evaluated or process.alive.ask(Evaluated)
                on_device = process_memory(process.alive.pid)
                more = {} if on_device is None else {"NVML used": on_device}
                rates = self._rates(process)
        except Gone as gone:
            self._ended(generation, process, gone)
            return
        known = vars(evaluated) | {"memory_bytes": evaluated.memory_bytes | more}
        self.keep(End(**process.ids(generation), **known, rates=rates))

    def _rates(self, process: Process) -> Rates | None:
        """Return what a process can do at most, and end it; None where it cannot say.

        What it trained counts all the same.
        """
        try:
            rates = None if own_model(self.session.spec) else process.alive.ask(Rates)
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


def _start_of(alive: LiveWorker, ids: Mapping[str, Any]) -> Start:
    """Return what is kept of a live worker's start."""
    told = {k: v for k, v in vars(alive.started).items() if k not in ("has_children", "host")}
    total = {"total_s": alive.total_s, "environment_sha256": alive.environment_sha256}
    return Start.model_validate({**ids, **told, **total})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
