"""The check of a user's own model where another verb needs it: before it is timed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.cli.output import console_of, say
from harness.cli.project import Project
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.spec.config import Device
    from harness.spec.model import OwnModel


def check_model(project: Project, own: OwnModel, names: Iterable[str], device: Device) -> None:
    """Check a model as it is now, and keep what is found.

    Where there is nothing to compare, or where the check fails, that is said.

    Args:
        project: with the model and its data prepared, while the machine is held.
        own: the model.
        names: of the backends.
        device: as `--device` names it.
    """
    from harness.experiments.parity.model_check import check
    from harness.experiments.parity.model_plan import ModelPlan
    from harness.records import store
    from harness.report.progress import steps_line
    from harness.spec.model import data_of

    backends = {name: project.config.backends[name] for name in dict.fromkeys(names)}
    if len(backends) < 2:
        say("parity: one backend alone has nothing that it could differ from", "yellow")
        return
    model, data = project.model, data_of(own, project.root)
    what = ModelPlan(model.source, None, backends, project.root, device=device, data=data)
    what = replace(what, made=model.folder.absolute(), batch_size=model.batch_size)
    store.ready(project.results, "models")
    try:
        with steps_line(console_of()) as step:
            found = check(what, step)
    except HarnessError as error:
        say(f"parity: not checked: {error}", "yellow")
        return
    store.add(project.results, found)
