"""`harness requirements`: what a backend's environment needs on this machine. nox asks this."""

from __future__ import annotations

from harness.cli.options import ConfigOption, DeviceOption
from harness.cli.project import open_project


def requirements(backend: str, device: DeviceOption = "auto", config: ConfigOption = None) -> None:
    """Print what a backend's environment needs on this machine, one requirement a line.

    The first line is "# cpu" or "# gpu"; nox asks this.
    """
    from harness.engine import accelerators, host

    chosen = open_project(config).config.choose_backends([backend])[backend]
    kind = host.choose_build(device, accelerators.detect_hardware())
    print("\n".join([f"# {kind}", *getattr(chosen.requirements, kind)]))
