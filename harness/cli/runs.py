"""The runs of one call of `train`: of a stack's arms, or of a user's own model's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.cli.own_model import draw_and_prove, open_spec, prepare_model, split_names
from harness.cli.project import Project, Selection, prepare_dataset
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.engine.own_model import PreparedModel
    from harness.engine.plan import Planned
    from harness.spec.config import Backend, Protocol
    from harness.spec.data.mnist import Prepared


def plan_runs(project: Project, selection: Selection, **protocol: Any) -> tuple[Planned, ...]:
    """Return the runs that are asked for, once their results can be kept.

    Args:
        project: whose specs and backends are chosen from.
        selection: which of them.
        **protocol: fields of the protocol to replace; None leaves one as it is. Without `epochs`,
            the spec's.
    """
    from harness.records import store
    from harness.spec.config import override_protocol
    from harness.spec.model import own_model

    model, names = split_names(selection.backends)
    if model and selection.spec:
        raise ConfigError(f"--spec: {model} is the model already. Leave it out")
    project, spec_name = open_spec(project, model or selection.spec, selection.data)
    spec, backends = project.config.specs[spec_name], project.config.choose_backends(names)
    if protocol.get("epochs") is None:
        protocol["epochs"] = spec.epochs
    limits = override_protocol(project.config.protocol, **protocol)
    store.ready(project.results)
    what = spec_name, backends, limits, selection
    if not own_model(spec):
        return _plan(project, prepare_dataset(selection.dataset or spec.dataset), *what)
    project = prepare_model(project, spec_name, selection.dataset, wait=True)
    arms = [each.request.arm for each in _plan(project, project.model, *what)]
    project = draw_and_prove(project, spec_name, arms, limits.seeds)
    return _plan(project, project.model, *what)


def _plan(
    project: Project,
    dataset: Prepared | PreparedModel,
    spec_name: str,
    backends: dict[str, Backend],
    limits: Protocol,
    selection: Selection,
) -> tuple[Planned, ...]:
    from harness.engine.plan import plan

    return plan(
        spec_name,
        project.config.specs[spec_name],
        backends,
        limits,
        dataset,
        device=selection.device,
        implementations=tuple(selection.implementations or ()),
    )
