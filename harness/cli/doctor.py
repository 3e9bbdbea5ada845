"""`harness doctor`: what this machine has and what each backend sees. Exit 1 where one refuses."""

from __future__ import annotations

import typer

from harness.cli.options import ConfigOption
from harness.cli.output import show
from harness.cli.project import open_project


def doctor(config: ConfigOption = None) -> None:
    """Show this machine's hardware, what each backend sees of it, and what to type to mend it."""
    from harness.engine import ask, host
    from harness.experiments.doctor.document import compose

    project = open_project(config)
    hardware, backends = host.detect_hardware(), project.config.backends
    answers = {
        name: ask.inspect_backend(name, backend, project.root) for name, backend in backends.items()
    }
    show(compose(host.describe_host(hardware), hardware, answers, backends))
    if any("refused" in answer for answer in answers.values()):
        raise typer.Exit(1)
