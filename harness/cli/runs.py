"""The runs of one call of `train` or `parity`: of a stack's arms, or of a user's own model's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.cli.options import MeasuringOptions
from harness.cli.own_model import draw_and_prove
from harness.cli.parsing import parse_threads
from harness.cli.project import Project, prepare_dataset

if TYPE_CHECKING:
    from harness.engine.plan import Planned


def plan_runs(
    project: Project,
    options: MeasuringOptions,
    seeds: tuple[int, ...] | None,
    epochs: int | None = None,
    time_limit_s: float | None = None,
) -> tuple[Planned, ...]:
    """Return the runs that are asked for, once their results can be kept.

    Args:
        project: whose specs and arms are chosen from.
        options: which of them.
        seeds: the protocol's where none is named.
        epochs: the spec's, or else the protocol's, where none are named.
        time_limit_s: for one worker; the protocol's where none is named.
    """
    from harness.engine.arms import declared_arms, select_arms
    from harness.engine.plan import plan
    from harness.records import store
    from harness.spec.config import override_protocol
    from harness.spec.model import own_model

    config = project.config
    spec_name, spec = config.spec(options.spec)
    default = config.protocol.arms
    arms = select_arms(declared_arms(config), options.asked, options.only or (), default)
    asked: dict[str, Any] = {"seeds": seeds, "epochs": spec.epochs if epochs is None else epochs}
    asked |= {"threads": parse_threads(options.threads), "replicas": options.replicas}
    protocol = override_protocol(config.protocol, **asked, time_limit_s=time_limit_s)
    store.ready(project.results)
    project = replace(project, config=config.model_copy(update={"protocol": protocol}))
    what, device = (project.config, spec_name, arms), options.device
    if not own_model(spec):
        dataset = prepare_dataset(options.dataset or spec.dataset)
        return plan(*what, dataset, device=device)
    plan(*what, project.model, device=device)  # or a refusal, before anything is drawn
    project = draw_and_prove(project, spec_name, arms, protocol.seeds, protocol.replicas)
    return plan(*what, project.model, device=device)
