"""`harness doctor`: what this machine has and what each backend sees. Exit 1 where one refuses."""

from __future__ import annotations

import typer

from harness.cli.command import command
from harness.cli.options import PythonOptions
from harness.cli.output import show
from harness.cli.project import Project, open_project


@command(PythonOptions)
def doctor(options: PythonOptions) -> None:
    """Show this machine's hardware, what each backend sees of it, and what to type to mend it."""
    from harness.experiments.doctor.document import compose
    from harness.job.accelerators import detect_hardware
    from harness.job.answers import Refusal
    from harness.job.asked import Look
    from harness.job.machine import describe_host

    project = open_project(options.config, pythons=options.python)
    backends = project.config.backends
    jobs = [Look(backend=name) for name in backends]
    answers = {done.job.backend: done.answer for done in project.executor.submit(jobs)}
    where = {name: _place(name, project) for name in backends}
    show(compose(describe_host(), detect_hardware(), answers, backends, where))
    if any(isinstance(answer, Refusal) for answer in answers.values()):
        raise typer.Exit(1)


def _place(name: str, project: Project) -> str:
    """Return which interpreter a backend has, and who made it; "" where there is none."""
    from harness.environments.find import find_python
    from harness.errors import EnvironmentMissing

    try:
        found = find_python(name, project.config.backends[name], project.root)
    except EnvironmentMissing:
        return ""
    path = found.path if found.origin == "own" else found.path.parents[1]
    below = path.is_relative_to(project.root)
    return f"{path.relative_to(project.root) if below else path} ({found.origin})"
