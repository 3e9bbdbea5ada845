"""`harness requirements`: what a backend's environment needs on this machine. nox asks this."""

from __future__ import annotations

from harness.cli.command import command
from harness.cli.options import RequirementsOptions
from harness.cli.project import open_project


@command(RequirementsOptions)
def requirements(options: RequirementsOptions) -> None:
    """Print what a backend's environment needs on this machine, one requirement a line.

    The first line is "# cpu" or "# gpu"; nox asks this.
    """
    from harness.engine import accelerators, host

    name = options.backend
    chosen = open_project(options.config).config.choose_backends([name])[name]
    kind = host.choose_build(options.device, accelerators.detect_hardware())
    print("\n".join([f"# {kind}", *getattr(chosen.requirements, kind)]))
