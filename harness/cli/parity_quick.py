"""The parity check where another verb needs it: after `nox`, and before a bench session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cli.output import console_of, say, show
from harness.cli.project import Project, prepare_dataset

if TYPE_CHECKING:
    from harness.experiments.parity.unchecked import Unchecked
    from harness.records.bench import Session
    from harness.records.observation import Seen
    from harness.records.parity import Parity
    from harness.records.user_model import ModelParity
    from harness.spec.config import Protocol
    from harness.spec.model import OwnModel


def check_missing(
    project: Project, threads: int | str | None, time_limit_s: float | None
) -> list[Parity]:
    """Check the arms that have trained here and have no verdict; keep what is found.

    results.csv is brought up to date.

    Args:
        project: whose records are looked through.
        threads: the protocol's where none are named.
        time_limit_s: the protocol's where none is named.
    """
    from harness.experiments.parity.unchecked import unchecked
    from harness.job.machine import describe_host
    from harness.records import frame, store
    from harness.spec.config import override_protocol

    config, loaded = project.config, store.load_all(project.results)
    groups = unchecked(loaded.records, loaded.parities, config, describe_host().machine)
    if not groups:
        console_of().print("parity: every arm that can be checked has its verdict", highlight=False)
    limits = {"threads": threads, "time_limit_s": time_limit_s}
    protocol = override_protocol(config.protocol, **limits)
    found = [_check(group, project, protocol) for group in groups]
    if found:
        frame.project(project.results)
    return found


def check_session(session: Session, project: Project) -> None:
    """Check the arms of a bench session that have no verdict for the installed versions.

    A model of the user's own is checked in full, where it has no check as it and its backends are
    now.
    """
    from harness.experiments.parity.unchecked import Unchecked
    from harness.records import store
    from harness.records.verdicts import NOT_CHECKED, verdict_in, verdicts_of
    from harness.spec.model import own_model

    if own := own_model(session.spec):
        _check_own(own, session, project)
        return
    if session.spec.inputs == "native":
        return
    parities = [
        parity
        for parity in store.load_all(project.results).parities
        if parity.spec_name == session.spec_name
    ]
    verdicts = verdicts_of(parities)
    here = _installed(session, project) if parities else {}
    arms = [
        entrant.arm
        for entrant in session.entrants
        if entrant.name != session.again
        and verdict_in(session, entrant, here.get(entrant.name, ()), verdicts) == NOT_CHECKED
    ]
    if arms:
        group = Unchecked(session.spec_name, session.data.name, session.device, tuple(arms))
        protocol = project.config.protocol.model_copy(
            update={"threads": session.threads, "replicas": session.replicas}
        )
        _check(group, project, protocol)


def _check_own(own: OwnModel, session: Session, project: Project) -> None:
    """Check a model of the user's own on a session's backends, where that is not known."""
    from harness.cli.own_check import check_model
    from harness.records import store
    from harness.records.verdicts import newest_check

    backends = [entrant.backend for entrant in session.entrants]
    known = newest_check(store.load(project.results, "models")[0], own, backends)
    if known and _holds(known, session, project):
        say(f"parity: known from {known.run_id}")
    else:
        check_model(project, own, backends, session.device)


def _holds(known: ModelParity, session: Session, project: Project) -> bool:
    """Say whether a check is of the environments that the session's entrants have now."""
    from harness.records.verdicts import is_of

    here, machine = _installed(session, project), session.host.machine
    seen = [(each.backend, here[each.name]) for each in session.entrants if each.name in here]
    return all(is_of(known, backend, one, machine) for backend, found in seen for one in found)


def _installed(session: Session, project: Project) -> dict[str, list[Seen]]:
    """Return what each entrant's environment shows; nothing where it does not start."""
    from harness.environments.own_code import with_own_code
    from harness.job.answers import Refusal
    from harness.job.asked import Look
    from harness.records.observation import Seen
    from harness.report.progress import steps_line

    found: dict[str, list[Seen]] = {}
    limit_s = project.config.protocol.time_limit_s
    backends = dict.fromkeys(entrant.backend for entrant in session.entrants)
    jobs = [Look(backend=name, device=session.device, time_limit_s=limit_s) for name in backends]
    with steps_line(console_of()) as report_step:
        report_step("versions")
        for done in project.executor.submit(jobs):
            report_step(f"{done.job.backend}: versions are known")
            if isinstance(seen := done.answer, Refusal):
                continue
            for each in session.entrants:
                if each.backend == done.job.backend:
                    content = with_own_code(done.environment_sha256, each.module, project.root)
                    device, versions = seen.devices[0], seen.versions
                    here = Seen(device=device, versions=versions, environment_sha256=content)
                    found[each.name] = [here]
    return found


def _check(group: Unchecked, project: Project, protocol: Protocol) -> Parity:
    """Check a group of arms in the quick form, keep the record, and print what was found."""
    from harness.engine.plan import plan
    from harness.experiments.parity.check import check, quick_points
    from harness.experiments.parity.document import compose_brief
    from harness.records import store
    from harness.report.progress import steps_line

    epochs = project.config.specs[group.spec_name].epochs or protocol.epochs
    protocol = protocol.model_copy(update={"epochs": epochs, "seeds": protocol.seeds[:1]})
    config = project.config.model_copy(update={"protocol": protocol})
    dataset = prepare_dataset(group.dataset, quiet=True)
    planned = plan(config, group.spec_name, group.arms, dataset, device=group.device)
    with steps_line(console_of()) as report_step:
        found = check(planned, project.executor, quick_points(planned), report_step)
    store.ready(project.results)
    store.add(project.results, found)
    show(compose_brief(found))
    return found
