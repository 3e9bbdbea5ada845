"""`harness doctor`: what this machine has and what each backend sees. Exit 1 where one refuses."""

from __future__ import annotations

import typer

from harness.cli.command import command
from harness.cli.options import ConfigOptions
from harness.cli.output import show
from harness.cli.project import open_project


@command(ConfigOptions)
def doctor(options: ConfigOptions) -> None:
    """Show this machine's hardware, what each backend sees of it, and what to type to mend it."""
    from harness.engine.accelerators import detect_hardware
    from harness.engine.machine import describe_host
    from harness.experiments.doctor.document import compose
    from harness.job.answers import Refusal
    from harness.job.asked import Look

    project = open_project(options.config)
    backends = project.config.backends
    jobs = [Look(backend=name) for name in backends]
    answers = {done.job.backend: done.answer for done in project.executor.submit(jobs)}
    show(compose(describe_host(), detect_hardware(), answers, backends))
    if any(isinstance(answer, Refusal) for answer in answers.values()):
        raise typer.Exit(1)
