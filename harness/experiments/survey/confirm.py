"""Run a script of each kind of departure in a fresh process of each backend, and keep what came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.engine.executor import Executor
from harness.experiments.survey.departure import Departure
from harness.experiments.survey.judge import judge
from harness.experiments.survey.plan import SurveyPlan
from harness.experiments.survey.script import make_script
from harness.job.answers import Event, Phase, Refusal
from harness.job.asked import RunScripts
from harness.records import store
from harness.records.survey import Printed, Surveyed

Say = Callable[[str], None]
LIMIT_S = 60.0  # for one script


def confirm(
    plan: SurveyPlan, executor: Executor, results: Path, surveyed: Surveyed, say: Say
) -> Surveyed:
    """Return a survey with what the scripts of its departures print, kept already.

    Args:
        plan: what was asked.
        executor: that does jobs.
        results: the results folder.
        surveyed: what was computed.
        say: told what is being done.
    """
    by_name = {item.name: item for item in plan.items}
    missing = [
        group.worst
        for group in judge(surveyed).groups
        if group.confirmed is None and group.worst.item in by_name
    ]
    if not missing:
        return surveyed
    scripts = [make_script(by_name[one.item], one) for one in missing]
    ran = []
    for backend in surveyed.survey.backends:
        say(f"{backend}: {len(scripts)} scripts of what departs")
        ran.append(run_all(plan, executor, backend, scripts))
    found = [
        _printed(one, script, [each[number] for each in ran])
        for number, (one, script) in enumerate(zip(missing, scripts, strict=True))
    ]
    for each in found:
        store.add(results, each, surveyed.survey.run_id)
    return Surveyed(surveyed.survey, surveyed.items, (*surveyed.scripts, *found))


def _printed(one: Departure, script: str, said: Sequence[tuple[str, bool]]) -> Printed:
    return Printed(
        item=one.item,
        quantity=one.quantity,
        script=script,
        lines=tuple(line for line, _ in said),
        failed=tuple(failed for _, failed in said),
    )


def run_all(
    plan: SurveyPlan, executor: Executor, backend: str, scripts: Sequence[str]
) -> list[tuple[str, bool]]:
    """Return the last line of each script, or the error that ended it, and whether it is one.

    A script that ends its process is run by itself again, so that only its own line is lost.

    Args:
        plan: what was asked.
        executor: that does jobs.
        backend: where they run.
        scripts: which need Keras alone.
    """
    heard = [""]

    def hear(job: Any, event: Event) -> None:
        if isinstance(event, Phase):
            heard.append(event.phase)

    job = RunScripts(
        backend=backend,
        device=plan.device,
        time_limit_s=LIMIT_S * (1 + len(scripts)),
        scripts=tuple(scripts),
    )
    (done,) = executor.submit([job], hear)
    if not isinstance(done.answer, Refusal):
        return list(zip(done.answer.lines, done.answer.failed, strict=True))
    if len(scripts) == 1:
        return [(done.answer.reason, True)]
    half = len(scripts) // 2
    parts = (scripts[:half], scripts[half:])
    return [line for part in parts for line in run_all(plan, executor, backend, part)]
