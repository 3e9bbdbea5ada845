"""The quick form of the parity gate where another verb needs it: at the end of `nox`, and before a bench session is timed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.options import console_of, dataset_of

if TYPE_CHECKING:
    from harness.experiments.parity.unchecked import Unchecked
    from harness.records.bench import Session
    from harness.records.parity import Parity
    from harness.spec.config import Config, Spec


@dataclass(frozen=True, slots=True)
class Here:
    """What a backend's environment shows now, as the start of a process shows it in a session."""

    versions: dict[str, str]
    device: str
    environment_sha256: str | None
    status: str = "ok"


def check_missing(
    config: Config, root: Path, results: Path, limits: dict[str, Any]
) -> list[Parity]:
    """Check the arms that have trained here and have no verdict, keep what is found, and bring results.csv up to date.

    Args:
        config: backends.toml.
        root: its folder.
        results: where records are.
        limits: of the protocol, to be replaced: threads and time_limit_s.
    """
    from harness.engine import host
    from harness.experiments.parity.unchecked import unchecked
    from harness.records import store

    loaded = store.load_all(results)
    groups = unchecked(
        loaded.records, loaded.parities, config, host.describe_host(host.detect_hardware()).machine
    )
    if not groups:
        console_of().print("parity: every arm that can be checked has its verdict", highlight=False)
    found = [
        _checked(group, config.specs[group.spec_name], config, root, results, limits)
        for group in groups
    ]
    if found:
        store.project(results)
    return found


def check_session(session: Session, config: Config, root: Path, results: Path) -> None:
    """Check the arms of a bench session that have no verdict for the versions that are installed, before they are timed."""
    from harness.experiments.parity.unchecked import Unchecked
    from harness.records import store
    from harness.records.verdicts import NOT_CHECKED, verdict_in, verdicts_of

    if session.spec.inputs == "native":
        return
    parities = [
        parity
        for parity in store.load_all(results).parities
        if parity.spec_name == session.spec_name
    ]
    verdicts = verdicts_of(parities)
    backends = dict.fromkeys(entrant.backend for entrant in session.entrants)
    here = _installed(session, config, root, backends) if parities else {}
    arms = [
        (entrant.backend, entrant.implementation)
        for entrant in session.entrants
        if entrant.name != session.again
        and verdict_in(session, entrant, here.get(entrant.backend, ()), verdicts) == NOT_CHECKED
    ]
    if arms:
        group = Unchecked(session.spec_name, session.data.name, session.device, tuple(arms))
        _checked(group, session.spec, config, root, results, {"threads": session.threads})


def _installed(
    session: Session, config: Config, root: Path, backends: Iterable[str]
) -> dict[str, list[Here]]:
    """Return what each backend's environment shows; nothing where it does not start, which the session will say."""
    from harness.engine import ask
    from harness.report.progress import steps_line

    found: dict[str, list[Here]] = {}
    with steps_line(console_of()) as say:
        for name in backends:
            say(f"{name}: versions")
            limit_s = config.protocol.time_limit_s
            answer = ask.run_task(
                {"task": "look"},
                name,
                config.backends[name],
                root,
                device=session.device,
                limit_s=limit_s,
            )
            if "refused" not in answer:
                found[name] = [
                    Here(answer["versions"], answer["devices"][0], answer["environment_sha256"])
                ]
    return found


def _checked(
    group: Unchecked, spec: Spec, config: Config, root: Path, results: Path, limits: dict[str, Any]
) -> Parity:
    """Hold a group of arms to the quick form of the gate, keep the record, and say in a line or two what was found."""
    from harness.engine import host
    from harness.engine.plan import plan
    from harness.experiments.parity.check import check, quick_points
    from harness.experiments.parity.document import brief
    from harness.records import store
    from harness.report.progress import steps_line
    from harness.spec.config import override_protocol

    console = console_of()
    protocol = override_protocol(
        config.protocol, epochs=spec.epochs, seeds=config.protocol.seeds[:1], **limits
    )
    backends = {name: config.backends[name] for name, _ in group.arms}
    names = tuple(dict.fromkeys(implementation for _, implementation in group.arms))
    dataset = dataset_of(group.dataset, said=False)
    planned = plan(
        group.spec_name,
        spec,
        backends,
        protocol,
        dataset,
        device=group.device,
        implementations=names,
    )
    mine = tuple(
        each
        for each in planned
        if (each.request.backend, each.request.implementation) in group.arms
    )
    with steps_line(console) as say:
        found = check(
            mine, root, host.describe_host(host.detect_hardware()), quick_points(mine), say
        )
    store.ready(results)
    store.add(results, found)
    for line, style in brief(found):
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
    return found
