"""Engines for the cells of a sweep: any `concurrent.futures.Executor` that runs a command.

An engine places and queues; this program does neither. What became of a cell is read from the
results folder, never from an exit code, which is also that of a job that was cancelled or killed.
"""

from __future__ import annotations

import importlib
import shlex
import subprocess
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, HarnessError, choice
from harness.errors.safe import short
from harness.spec import sweeps
from harness.spec.config import Config

TAIL_BYTES = 2000
NOWHERE = "the engine did not run it"


@dataclass(frozen=True, slots=True)
class Task:
    """A cell as an engine is given it: a command, which runs wherever the engine has it run."""

    name: str
    command: tuple[str, ...]  # harness cell FILE
    file: Path  # that names the cell
    log: Path  # for what it prints


@dataclass(frozen=True, slots=True)
class Ran:
    """What is known of a task that has ended: how, the end of what it printed, what it left."""

    code: int
    said: str
    # Records by room and file, as bench/ID.jsonl, where it ran without the results folder.
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Engine:
    """Where tasks run."""

    executor: Executor
    run: Callable[[Task], Ran]
    in_flight: int
    interrupt: Callable[[], None] = lambda: None


def open_engine(name: str, config: Config, in_flight: int | None = None) -> Engine:
    """Return the engine of that name: of backends.toml, of the package, or MODULE:FUNCTION.

    Args:
        name: as on a command line.
        config: whose [engines] go before the package's.
        in_flight: tasks that it is given at once; its own number where none is named.

    Raises:
        ConfigError: there is no such engine, or its function is not there.
    """
    known = {**sweeps.ENGINES, **config.engines}
    if ":" in name and name not in known:
        table = sweeps.Engine(executor=name, in_flight=4)
    elif name in known:
        table = known[name]
    else:
        raise ConfigError(f"--engine: {choice([*known, 'MODULE:FUNCTION'], name)}")
    n_most = in_flight or table.in_flight
    if table.executor is None:
        commands = Commands(table.command)
        return Engine(ThreadPoolExecutor(n_most), commands.run, n_most, commands.interrupt)
    executor = _call(table.executor, table.options)
    return Engine(executor, getattr(executor, "run_cell", run_task), n_most)


def _call(target: str, options: Mapping[str, Any]) -> Executor:
    """Return the executor that a function of a module gives."""
    module, _, name = target.partition(":")
    try:
        executor = getattr(importlib.import_module(module), name)(dict(options))
    except HarnessError:
        raise
    except Exception as error:  # of anybody's module
        raise ConfigError(f"--engine {target}: {short(error)}") from None
    if not isinstance(executor, Executor):
        received = type(executor).__name__
        raise ConfigError(
            f"--engine {target}: expected a concurrent.futures.Executor; received {received}"
        )
    return executor


def run_task(task: Task) -> Ran:
    """Run a task here, to its end."""
    return Commands(("{command}",)).run(task)


class Commands:
    """Tasks as commands of a template, each in a process of its own."""

    def __init__(self, template: tuple[str, ...]) -> None:
        self.template = template
        self.running: set[subprocess.Popen[bytes]] = set()

    def run(self, task: Task) -> Ran:
        """Run a task to its end; this sleeps meanwhile."""
        command = fill(self.template, task)
        try:
            with task.log.open("ab") as log:
                popen = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    process_group=0,  # Ctrl-C reaches it once, by `interrupt`
                )
        except OSError as error:
            return Ran(127, f"{command[0]}: does not start ({error.strerror})")
        self.running.add(popen)
        try:
            code = popen.wait()
        except BaseException:  # an engine cancels it
            popen.terminate()
            popen.wait()
            raise
        finally:
            self.running.discard(popen)
        return Ran(code, read_tail(task.log))

    def interrupt(self) -> None:
        """Ask what runs to stop; each keeps what it has measured.

        By SIGTERM: what a script starts in its background has SIGINT ignored.
        """
        for popen in list(self.running):
            with suppress(ProcessLookupError):
                popen.terminate()


def fill(template: tuple[str, ...], task: Task) -> list[str]:
    """Return the command of a template with a task in it."""
    found: list[str] = []
    for part in template:
        if part == "{command}":
            found += task.command
        else:
            text = part.replace("{log}", str(task.log)).replace("{name}", task.name)
            found.append(text.replace("{command}", shlex.join(task.command)))
    return found


def outcomes(next_task: Callable[[], Task | None], engine: Engine) -> Generator[tuple[Task, Ran]]:
    """Yield each task that has ended, with what is known of it, and start others in its place.

    Where this is interrupted, what runs is asked to stop, and is waited for.

    Args:
        next_task: gives a task, or None where there is none at present.
        engine: where they run.
    """
    running: dict[Future[Ran], Task] = {}
    try:
        while True:
            while len(running) < engine.in_flight and (task := next_task()):
                running[engine.executor.submit(engine.run, task)] = task
            if not running:
                return
            for ended in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(ended), _ran(ended)
    finally:
        for each in running:
            each.cancel()
        if running:
            engine.interrupt()
        engine.executor.shutdown(wait=True, cancel_futures=True)


def _ran(ended: Future[Ran]) -> Ran:
    """Return what a future gives; an engine's error is what is known then."""
    try:
        return ended.result()
    except Exception as error:  # of any engine
        return Ran(1, f"{NOWHERE}: {short(f'{type(error).__name__}: {error}')}")


def read_tail(log: Path) -> str:
    """Return the last line of what a task printed."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return short(lines[-1]) if lines else ""
