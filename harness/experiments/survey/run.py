"""Compute the items of a plan on every backend, and keep a line of each; it can go on.

Each backend computes an item twice, in two processes: as Keras does there by itself, and in float64
throughout (`harness.worker.float64`). A process takes many items. Where an item ends it, or takes
too long, that is what the record says of it, and another process goes on behind it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.engine.executor import Done, Executor, expect
from harness.errors import HarnessError
from harness.experiments.survey.compare import compare
from harness.experiments.survey.plan import SurveyPlan
from harness.job import asked
from harness.job.answers import Event, Phase, Refusal
from harness.job.asked import SurveyItem
from harness.job.surveyed import Surveyed
from harness.records import store
from harness.records import survey as records
from harness.records.observation import identify
from harness.spec.files import scratch

Say = Callable[[str], None]
Task = TypeVar("Task")
AT_ONCE = 250  # items that a process takes: what is lost where the harness is killed
START_S = 120.0  # for a process to import what it needs


def find_or_start(
    plan: SurveyPlan, executor: Executor, results: Path, say: Say, *, again: bool
) -> records.Surveyed:
    """Return the newest survey that these backends can go on with, or a new one.

    Args:
        plan: what is asked.
        executor: that does jobs.
        results: the results folder.
        say: told what is being done.
        again: whether a new one is started in any case.

    Raises:
        HarnessError: a backend cannot import Keras.
    """
    heads = [_look(plan, executor, name, say) for name in plan.backends]
    public = {head.versions["keras"]: head.public for head, _ in heads}
    survey = records.Survey(
        **identify(datetime.now(UTC), "survey"),
        host=heads[0][1].host,
        catalogue=plan.catalogue.digest,
        backends=tuple(plan.backends),
        frameworks=tuple(each.framework for each in plan.backends.values()),
        versions=tuple(head.versions for head, _ in heads),
        environments=tuple(done.environment_sha256 for _, done in heads),
        public=public,
    )
    if not again:
        for found in store.load_surveys(results)[0]:
            if _is_same(found.survey, survey):
                return found
    store.add(results, survey)
    return records.Surveyed(survey, (), ())


def _is_same(one: records.Survey, other: records.Survey) -> bool:
    fields = ("catalogue", "backends", "frameworks", "versions", "environments", "harness")
    return all(getattr(one, name) == getattr(other, name) for name in fields)


def _look(
    plan: SurveyPlan, executor: Executor, backend: str, say: Say
) -> tuple[Surveyed, Done[Surveyed]]:
    """Return what a backend's Keras has."""
    say(f"{backend}: looking")
    with scratch() as folder:
        job = _job(plan, backend, (), folder, exact=False)
        (done,) = executor.submit([job])
    return expect(done, "survey"), done


def _job(
    plan: SurveyPlan, backend: str, items: Sequence[SurveyItem], folder: Path, *, exact: bool
) -> asked.Survey:
    return asked.Survey(
        backend=backend,
        device=plan.device,
        time_limit_s=START_S + plan.item_limit_s * len(items),
        items=tuple(items),
        exact=exact,
        item_limit_s=plan.item_limit_s,
        folder=folder,
    )


def missing_items(plan: SurveyPlan, found: records.Surveyed) -> tuple[SurveyItem, ...]:
    """Return the items of a plan that a survey has not, of what any of its Keras has."""
    done = {item.name for item in found.items}
    public = {name for names in found.survey.public.values() for name in names}
    programs = {each.name for each in plan.catalogue.programs}
    return tuple(
        item
        for item in plan.items
        if item.name not in done and (item.subject in public or item.name in programs)
    )


@dataclass(frozen=True, slots=True)
class Surveyor:
    """What computes items on every backend, and keeps a line of each."""

    plan: SurveyPlan
    executor: Executor
    results: Path
    run_id: str
    say: Say

    def compute(self, items: Sequence[SurveyItem]) -> list[records.Item]:
        """Return the record of each item, kept already."""
        found = []
        for start in range(0, len(items), AT_ONCE):
            chunk = items[start : start + AT_ONCE]
            done = f"{start} of {len(items)} items done"
            for item in self._compute_chunk(chunk, done):
                store.add(self.results, item, self.run_id)
                found.append(item)
        return found

    def _compute_chunk(self, items: Sequence[SurveyItem], done: str) -> list[records.Item]:
        computed: dict[tuple[str, bool], dict[str, dict[str, NDArray[Any]]]] = {}

        def ask(task: tuple[str, bool]) -> None:
            backend, exact = task
            self.say(f"{done}; {backend}{', float64' if exact else ''}")
            computed[task] = self._ask(backend, items, folder, exact=exact)

        with scratch() as folder:
            do_two_at_once(ask, list(product(self.plan.backends, (True, False))))
        backends = self.plan.backends
        return [
            compare(
                item,
                *(
                    {each: computed[each, exact][item.name] for each in backends}
                    for exact in (True, False)
                ),
            )
            for item in items
        ]

    def _ask(
        self, backend: str, items: Sequence[SurveyItem], above: Path, *, exact: bool
    ) -> dict[str, dict[str, NDArray[Any]]]:
        """Return what a backend makes of each item: arrays by quantity, text where one failed."""
        folder = above / f"{backend}-{exact}"
        folder.mkdir()
        twins = _twins(items) if exact else {}
        asked_for = [item for item in items if item.name not in twins]
        failures = self._ask_all(backend, asked_for, folder, exact=exact)
        found = {name: {"setup": np.array(said)} for name, said in failures.items()}
        for item in asked_for:
            if item.name not in found:
                found[item.name] = _load(_file(folder, item))
        return found | {name: found[twin] for name, twin in twins.items()}

    def _ask_all(
        self, backend: str, items: Sequence[SurveyItem], folder: Path, *, exact: bool
    ) -> dict[str, str]:
        """Have as many processes as it takes compute items; return why each of some ended one."""
        failures: dict[str, str] = {}
        left = list(items)
        while left:
            culprit, reason = self._ask_once(backend, left, folder, exact=exact)
            if culprit:
                failures[culprit] = reason
            missing = [item for item in left if not _file(folder, item).is_file()]
            left = [item for item in missing if item.name not in failures]
        return failures

    def _ask_once(
        self, backend: str, items: Sequence[SurveyItem], folder: Path, *, exact: bool
    ) -> tuple[str, str]:
        """Have one process compute what it can; return the item that ended it, and why.

        Raises:
            HarnessError: it ended before the first one, or leaves items out.
        """
        heard = [""]

        def hear(job: Any, event: Event) -> None:
            if isinstance(event, Phase):
                heard.append(event.phase)

        (done,) = self.executor.submit([_job(self.plan, backend, items, folder, exact=exact)], hear)
        names = {item.name for item in items}
        if not isinstance(done.answer, Refusal):
            if any(not _file(folder, item).is_file() for item in items):
                raise HarnessError(f"survey: {backend}: it answered, and left items out")
            return "", ""
        if heard[-1] not in names:
            raise HarnessError(f"survey: {backend}: {done.answer.reason}")
        if "Timeout (" in done.answer.log_tail:
            return heard[-1], f"no result within {self.plan.item_limit_s:g} s"
        return heard[-1], done.answer.reason


def _twins(items: Sequence[SurveyItem]) -> dict[str, str]:
    """Return the items that ask for float64 only, and by each the one that is the same in it."""
    names = {item.name for item in items}
    twins = {name: name.removesuffix(", float64") for name in names if name.endswith(", float64")}
    return {name: twin for name, twin in twins.items() if twin in names}


def do_two_at_once(act: Callable[[Task], None], tasks: list[Task]) -> None:
    """Do every task, two at a time: a framework's small operations use one core.

    The second one's thread dies with the process, so an interrupt waits for nothing.

    Args:
        act: does one; what it raises ends the others, and is raised here.
        tasks: in their order.
    """
    waiting, raised = deque(tasks), list[Exception]()

    def work() -> None:
        try:
            while not raised:
                act(waiting.popleft())
        except IndexError:
            return
        except Exception as error:
            raised.append(error)

    helper = threading.Thread(target=work, daemon=True)
    helper.start()
    work()
    helper.join()
    if raised:
        raise raised[0]


def _file(folder: Path, item: SurveyItem) -> Path:
    return folder / f"{item.number}.npz"


def _load(file: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, KeyError) as error:
        return {"setup": np.array(f"what it computed cannot be read ({error})")}
