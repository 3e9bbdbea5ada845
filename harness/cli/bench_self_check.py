"""`harness bench --self-check`: what the figures of a bench stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cli.answer import Answer
from harness.cli.output import console_of, show
from harness.cli.project import Project
from harness.errors import StoreError

if TYPE_CHECKING:
    from harness.spec.config import Device


def check_self(project: Project, device: Device) -> Answer:
    """Check what a bench stands on: exit code 1 where something fails, 3 where it is not known."""
    from harness.experiments.bench import self_check as checks
    from harness.experiments.bench import self_check_document as report
    from harness.job.asked import SelfCheck
    from harness.records.sessions import load_all
    from harness.report.progress import steps_line

    known = load_all(project.results).sessions
    limit_s = project.config.protocol.time_limit_s
    jobs = [
        SelfCheck(backend=name, device=device, time_limit_s=limit_s)
        for name in project.config.backends
    ]
    answers = {}
    with steps_line(console_of()) as report_step:
        report_step("does each clock wait?")
        for done in project.executor.submit(jobs):
            report_step(f"{done.job.backend}: has been asked whether its clock waits")
            answers[done.job.backend] = done.answer
        found = checks.clock_checks(answers)
        if known:
            report_step("errors and power of its verdicts, simulated")
            found += [*checks.session_checks(known[0]), *checks.error_rate_checks(known[0])]
    document = report.compose(found, known[0].session.run_id if known else "")
    if not known:
        show(document)
        missing = "no bench session whose noise could be looked at. Run: nox -s bench"
        raise StoreError(f"{project.results}: {missing}")
    code = 0 if all(check.holds for check in found) else 3
    if any(check.holds is False for check in found):
        code = 1
    return Answer(document=document, record=tuple(found), exit_code=code)
