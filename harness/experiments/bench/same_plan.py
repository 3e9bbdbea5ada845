"""Whether a session may go on here: the same plan, machine, arms, cores and environments."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import harness
from harness.engine.arms import declared_arms
from harness.engine.launch import check_interpreters
from harness.engine.own_model import PreparedModel
from harness.errors import ConfigError, NotComparable
from harness.errors.safe import short
from harness.job.answers import Host
from harness.records.bench import Bench, Session, Start
from harness.spec.config import Config
from harness.spec.data.mnist import Prepared


def check_possible(session: Session, whole: Config, root: Path) -> None:
    """Return if every worker of a session can start and be kept to its cores.

    Args:
        session: the plan.
        whole: backends.toml.
        root: its folder.

    Raises:
        NotComparable: backends.toml has an entrant no longer, or another one of its name.
        ConfigError: the cores, or as many of them, are not this process's.
        EnvironmentMissing: a backend's environment is not there.
    """
    _unchanged(session, _entrants_now(session, whole))
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    _check_cores(session, allowed)
    names = dict.fromkeys(entrant.backend for entrant in session.entrants)
    check_interpreters({name: whole.backends[name] for name in names}, root)


def _check_cores(session: Session, allowed: Sequence[int] | None) -> None:
    """Raise ConfigError where workers cannot be kept to the cores, or two options disagree.

    Args:
        session: the plan.
        allowed: the cores that this process may use; None where the system keeps no process to some
            of its cores.
    """
    cores, threads = session.cores, session.threads
    n_kept = threads if isinstance(threads, int) else len(cores)
    if allowed is None:
        if n_kept:
            raise ConfigError(
                f"{'--pin' if cores else '--threads'}: this system cannot keep a process to some "
                "of its cores. Leave it out, or set threads to auto"
            )
        return
    if cores and n_kept != len(cores):
        several = ",".join(map(str, cores))
        raise ConfigError(
            f"--pin {several}: names {len(cores)} of the cores, and threads = {threads} "
            f"(--threads, or [protocol]) allows {threads}. "
            "Say one of them: leave --pin out, or --threads auto"
        )
    if strange := [str(core) for core in cores if core not in allowed]:
        raise ConfigError(
            f"--pin: expected some of {', '.join(map(str, allowed))}; received {', '.join(strange)}"
        )
    if n_kept > len(allowed):
        raise ConfigError(
            f"--threads: expected at most {len(allowed)}, the cores of this process; received "
            f"{threads}"
        )


def check_same_plan(session: Session, given: Mapping[str, tuple[object, object]]) -> None:
    """Raise ConfigError for an option not as planned: (given or None, planned) by option."""
    for option, (here, there) in given.items():
        if here is not None and here != there:
            raise ConfigError(
                f"{option}: session {session.run_id} was planned with {there}; received {here}. "
                f"Leave it out, or --resume"
            )


def check_same_environment(bench: Bench, start: Start) -> None:
    """Raise NotComparable where an entrant's environment has changed since the session began.

    Args:
        bench: the session so far.
        start: a process of the entrant, as it is now.
    """
    for other in bench.started(start.name):
        if (other.versions, other.device) != (start.versions, start.device):
            was, now = (f"{each.versions} on {each.device}" for each in (other, start))
        elif other.environment_sha256 not in (None, start.environment_sha256):
            was, now = (f"content {each.environment_sha256!s:.8}" for each in (other, start))
        else:
            continue
        where = f"session {bench.session.run_id}: {start.name}: its environment"
        raise NotComparable(f"{where} began with {was}; here is {now}. Begin a new one")


def check_same_start(
    session: Session, whole: Config, dataset: Prepared | PreparedModel, host: Host
) -> None:
    """Raise NotComparable where what is here now is not what the session began with.

    Args:
        session: the plan.
        whole: backends.toml.
        dataset: prepared.
        host: the machine on which workers run.
    """
    now: dict[str, tuple[Any, Any]] = {
        "harness": (session.harness, harness.__version__),
        "dataset": (
            f"{session.data.name} {session.data.sha256[:8]}",
            f"{dataset.name} {dataset.sha256[:8]}",
        ),
        f"spec {session.spec_name}": (session.spec, whole.specs.get(session.spec_name)),
    }
    check_same_machine(session, host)
    _unchanged(session, now | _entrants_now(session, whole))


def check_same_machine(session: Session, host: Host) -> None:
    """Raise NotComparable where a worker does not run on the machine that the session began on."""
    _unchanged(session, {"machine": (session.host.machine, host.machine)})
    if session.host.same_as(host) is False:
        began = (
            f"session {session.run_id}: machine: it began on another one of the same description"
        )
        raise NotComparable(f"{began}. Begin a new one, without --resume")


def _entrants_now(session: Session, whole: Config) -> dict[str, tuple[Any, Any]]:
    """Return each entrant as planned and as in backends.toml now; None without such an arm."""
    here = {arm.name: str(arm) for arm in declared_arms(whole)}
    arms = {entrant.name: entrant.arm for entrant in session.entrants}
    return {name: (str(arm), here.get(arm.name)) for name, arm in arms.items()}


def _unchanged(session: Session, now: Mapping[str, tuple[Any, Any]]) -> None:
    """Raise NotComparable for the first thing that is not what it was: (then, now) by name."""
    for what, (there, here) in now.items():
        if there != here:
            raise NotComparable(
                f"session {session.run_id}: {what}: it began with {short(there)}; here is "
                f"{short(here)}. Begin a new one, without --resume"
            )
