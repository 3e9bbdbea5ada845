"""Ray as an engine: cells on machines that need no folder in common. Needs the extra `ray`.

Each node holds `resource` once (ray start --resources '{"harness": 1}'), and a cell takes it, so
that a node has one cell at a time. Project and environments lie at the same paths on each; a cell's
records come back as bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from harness.engine.cells import Ran, Task, run_task
from harness.errors import ConfigError
from harness.spec.files import scratch

RESOURCE = "harness"
ROOMS = ("bench", "parity", "proofs")  # of a results folder, that come back


def executor(options: Mapping[str, Any]) -> Executor:
    """Return Ray as an executor of cells.

    Options: address ("auto"), resource ("harness"), num_cpus of a cell (1).

    Raises:
        ConfigError: Ray is not installed, or no cluster answers.
    """
    try:
        import ray
    except ImportError:
        hint = "Type: pip install 'keras-backend-harness[ray]'"
        raise ConfigError(f"--engine ray: Ray is not installed. {hint}") from None
    try:
        ray.init(
            address=str(options.get("address", "auto")),
            ignore_reinit_error=True,
            log_to_driver=False,
        )
    except ConnectionError as error:
        hint = "Start one: ray start --head"
        raise ConfigError(f"--engine ray: no cluster answers ({error}). {hint}") from None
    return RayExecutor(ray, dict(options))


class RayExecutor(Executor):
    """A cell as a task of Ray's, which runs it again elsewhere where a node is lost."""

    def __init__(self, ray: Any, options: Mapping[str, Any]) -> None:
        self._ray = ray
        needs = {str(options.get("resource", RESOURCE)): 1}
        self._remote = ray.remote(
            num_cpus=options.get("num_cpus", 1), resources=needs, max_retries=3
        )(run_apart)
        self._running: list[Any] = []

    def run_cell(self, task: Task) -> Ran:
        """Run a task here: what `submit` has a node do."""
        return run_apart(task.file.read_bytes())

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return the future of a task; the function is a node's own."""
        (task,) = args
        running = self._remote.remote(task.file.read_bytes())
        self._running.append(running)
        found: Future[Any] = running.future()
        return found

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster; tasks that run are cancelled where that is asked for."""
        for each in self._running if cancel_futures else ():
            self._ray.cancel(each, force=False)
        self._ray.shutdown()


def run_apart(content: bytes) -> Ran:
    """Run a cell by its file's content in a folder of its own, and return its records with it."""
    with scratch() as folder:
        asked = json.loads(content) | {"results": str(folder / "results")}
        file = folder / f"{asked['id']}.json"
        file.write_text(json.dumps(asked))
        command = (sys.executable, "-m", "harness", "cell", str(file))
        ran = run_task(Task(asked["id"], command, file, folder / "log"))
        found = {
            f"{room}/{each.name}": each.read_bytes()
            for room in ROOMS
            for each in sorted(Path(folder / "results" / room).glob("*.jsonl"))
        }
    return Ran(ran.code, ran.said, found)
