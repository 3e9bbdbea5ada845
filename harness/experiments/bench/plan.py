"""Arms as they are asked for -> the plan of a bench session, and from it the requests of each generation."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import harness
from harness.engine import ask
from harness.engine.plan import Planned, plan
from harness.errors import ConfigError, NotComparable, choice
from harness.records.bench import Bench, Entrant, Session, Start
from harness.records.record import Data, Host
from harness.safe import short
from harness.spec.config import Config, Device, override_protocol
from harness.spec.data.mnist import Prepared

AGAIN = " again"  # after the name of an arm whose code runs twice
Repeated = Literal["baseline", "each"]
"""Of which backends an arm runs twice: of the baseline's, or of each one."""


def chosen(whole: Config, asked: Sequence[str]) -> list[tuple[str, str]]:
    """Return (backend, implementation) of each arm asked for; those of [bench] arms, of every backend, where none is.

    Args:
        whole: backends.toml.
        asked: each "jax/compiled", a backend (its arms among those of [bench]), or an implementation (of every backend).

    Raises:
        ConfigError: one names no arm.
    """
    everywhere = [(name, arm) for name, backend in whole.backends.items() for arm in backend.arms]
    usual = [pair for pair in everywhere if pair[1] in whole.bench.arms]
    if not asked:
        return usual
    known = dict.fromkeys(
        (*("/".join(pair) for pair in everywhere), *whole.backends, *(arm for _, arm in everywhere))
    )
    found: dict[tuple[str, str], None] = {}
    for name in (part.strip() for each in asked for part in each.split(",")):
        if name not in known:
            raise ConfigError(f"--arms: {choice(known, name)}")
        pairs = [pair for pair in everywhere if name in ("/".join(pair), pair[1])] or [
            pair for pair in usual if pair[0] == name
        ]
        if not pairs:
            raise ConfigError(
                f"--arms: {name} has none of [bench] arms: {', '.join(whole.bench.arms)}. Name one: {name}/IMPLEMENTATION"
            )
        found |= dict.fromkeys(pairs)
    return list(found)


def laid_out(
    whole: Config,
    spec_name: str,
    dataset: Prepared,
    host: Host,
    *,
    arms: Sequence[tuple[str, str]],
    baseline: str | None,
    device: Device,
    cores: tuple[int, ...],
    aa: Repeated = "baseline",
) -> Session:
    """Return the plan of a new session.

    Args:
        whole: backends.toml; its [bench] says how many generations and blocks.
        spec_name: what every arm trains.
        dataset: prepared.
        host: the machine.
        arms: (backend, implementation) of each.
        baseline: the arm whose epoch is 1.00, and whose code runs twice; by default that of [bench], or else the first.
        device: as for `plan`.
        cores: that every worker is kept to; empty: as the protocol's threads have it.
        aa: "each": beside the baseline, the first arm of each other backend runs twice too.

    Raises:
        ConfigError: the baseline is none of the arms.
    """
    first = _baseline(["/".join(pair) for pair in arms], baseline, whole.bench.baseline)
    twins = _twins(whole, arms if aa == "each" else (), first)
    now = datetime.now(UTC)
    return Session(
        harness=harness.__version__,
        run_id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        started_at=now.isoformat(timespec="milliseconds"),
        host=host,
        spec_name=spec_name,
        spec=whole.specs[spec_name],
        data=Data(
            name=dataset.name,
            sha256=dataset.sha256,
            n_train=dataset.n_train,
            n_inputs=dataset.n_inputs,
        ),
        device=device,
        threads=whole.protocol.threads,
        cores=cores,
        entrants=(*(_entrant(whole, *pair) for pair in arms), *twins),
        baseline=first,
        again=twins[0].name,
        repeats=tuple(twin.name for twin in twins[1:]),
        n_generations=whole.bench.generations,
        n_blocks=whole.bench.blocks,
        time_limit_s=whole.protocol.time_limit_s,
    )


def _twins(whole: Config, arms: Sequence[tuple[str, str]], baseline: str) -> list[Entrant]:
    """Return the second entrant of the baseline, and of the first of these arms of each other backend."""
    repeated = dict([baseline.split("/")])
    for backend, implementation in arms:
        repeated.setdefault(backend, implementation)
    entrants = (_entrant(whole, *pair) for pair in repeated.items())
    return [each.model_copy(update={"name": each.name + AGAIN}) for each in entrants]


def _baseline(names: Sequence[str], asked: str | None, usual: str | None) -> str:
    """Return the arm asked for as the baseline, else the usual one where it takes part, else the first."""
    if asked is not None and asked not in names:
        raise ConfigError(f"--baseline: {choice(names, asked)}")
    return asked or (usual if usual in names else None) or names[0]


def requests(
    session: Session, whole: Config, dataset: Prepared, host: Host
) -> Callable[[str, int], Planned]:
    """Return a function that gives an entrant's request in a generation: weights and order are those of the generation's seed.

    Raises:
        NotComparable: backends.toml, the machine, the dataset or the harness is not what the session was planned for.
        ConfigError: an arm cannot do what is asked of it.
    """
    _same(session, whole, dataset, host)
    entrants = {entrant.name: entrant for entrant in session.entrants}
    limits = {
        "threads": session.threads,
        "time_limit_s": session.time_limit_s,
        "epochs": 1 + session.n_blocks,
    }

    @cache
    def planned(backend: str, generation: int) -> dict[str, Planned]:
        protocol = override_protocol(whole.protocol, seeds=(generation - 1,), **limits)
        arms = tuple(
            dict.fromkeys(
                entrant.implementation
                for entrant in entrants.values()
                if entrant.backend == backend
            )
        )
        backends = {backend: whole.backends[backend]}
        found = plan(
            session.spec_name,
            session.spec,
            backends,
            protocol,
            dataset,
            device=session.device,
            implementations=arms,
        )
        return {each.request.implementation: each for each in found}

    for entrant in session.entrants:  # what cannot be is said now, not by a worker
        planned(entrant.backend, 1)
    return lambda name, generation: planned(entrants[name].backend, generation)[
        entrants[name].implementation
    ]


def possible(session: Session, whole: Config, root: Path) -> None:
    """Return if every worker of a session can start and be kept to its cores.

    Raises:
        NotComparable: backends.toml has an entrant no longer, or another one of its name.
        ConfigError: the cores, or as many of them, are not this process's.
        EnvironmentMissing: a backend's environment is not there.
    """
    _unchanged(session, _entrants_now(session, whole))
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    _check_cores(session, allowed)
    for name in dict.fromkeys(entrant.backend for entrant in session.entrants):
        ask.python_of(whole.backends[name], root)


def _check_cores(session: Session, allowed: Sequence[int] | None) -> None:
    """Raise ConfigError where workers cannot be kept to the session's cores, or these are said in two ways.

    Args:
        session: the plan.
        allowed: the cores that this process may use; None where the system keeps no process to some of its cores.
    """
    cores, threads = session.cores, session.threads
    for option, asked in (("--pin", bool(cores)), ("--threads", isinstance(threads, int))):
        if asked and allowed is None:
            raise ConfigError(
                f"{option}: this system cannot keep a process to some of its cores. Leave it out, or set threads to auto"
            )
    if cores and isinstance(threads, int) and threads != len(cores):
        several = ",".join(map(str, cores))
        raise ConfigError(
            f"--pin {several}: names {len(cores)} of the cores, and threads = {threads} (--threads, or [protocol]) allows {threads}. "
            "Say one of them: leave --pin out, or --threads auto"
        )
    there = allowed or ()
    strange = [str(core) for core in cores if core not in there]
    if strange:
        raise ConfigError(
            f"--pin: expected some of {', '.join(map(str, there))}; received {', '.join(strange)}"
        )
    if isinstance(threads, int) and threads > len(there):
        raise ConfigError(
            f"--threads: expected at most {len(there)}, the cores of this process; received {threads}"
        )


def planned_otherwise(session: Session, given: Mapping[str, tuple[object, object]]) -> None:
    """Raise ConfigError where an argument that is given is not what the session was planned with: (given or None, planned) by option."""
    for option, (here, there) in given.items():
        if here is not None and here != there:
            raise ConfigError(
                f"{option}: session {session.run_id} was planned with {there}; received {here}. Leave it out, or --resume"
            )


def check_same_environment(bench: Bench, start: Start) -> None:
    """Raise NotComparable where an entrant's environment has changed since the session began.

    Args:
        bench: the session so far.
        start: a process of the entrant, as it is now.
    """
    for other in bench.starts:
        if other.name != start.name or other.status != "ok":
            continue
        if (other.versions, other.device) != (start.versions, start.device):
            was, now = (f"{each.versions} on {each.device}" for each in (other, start))
        elif other.environment_sha256 not in (None, start.environment_sha256):
            was, now = (f"content {each.environment_sha256!s:.8}" for each in (other, start))
        else:
            continue
        where = f"session {bench.session.run_id}: {start.name}: its environment"
        raise NotComparable(f"{where} began with {was}; here is {now}. Begin a new one")


def _entrant(whole: Config, backend: str, implementation: str) -> Entrant:
    arm = whole.backends[backend].arms[implementation]
    return Entrant(
        name=f"{backend}/{implementation}",
        backend=backend,
        implementation=implementation,
        module=arm.module,
        options=arm.options,
    )


def _same(session: Session, whole: Config, dataset: Prepared, host: Host) -> None:
    """Raise NotComparable where what is here now is not what the session began with."""
    now: dict[str, tuple[Any, Any]] = {
        "machine": (session.host.machine, host.machine),
        "harness": (session.harness, harness.__version__),
        "dataset": (
            f"{session.data.name} {session.data.sha256[:8]}",
            f"{dataset.name} {dataset.sha256[:8]}",
        ),
        f"spec {session.spec_name}": (session.spec, whole.specs.get(session.spec_name)),
    }
    _unchanged(session, now | _entrants_now(session, whole))
    if session.host.same_as(host) is False:
        began = (
            f"session {session.run_id}: machine: it began on another one of the same description"
        )
        raise NotComparable(f"{began}. Begin a new one, without --resume")


def _entrants_now(session: Session, whole: Config) -> dict[str, tuple[Any, Any]]:
    """Return what each entrant was planned as, and what backends.toml makes of it now; None where it has no such arm."""
    now: dict[str, tuple[Any, Any]] = {}
    for entrant in session.entrants:
        backend = whole.backends.get(entrant.backend)
        arm = backend.arms.get(entrant.implementation) if backend else None
        now[entrant.name] = (
            (entrant.module, entrant.options),
            (arm.module, arm.options) if arm else None,
        )
    return now


def _unchanged(session: Session, now: Mapping[str, tuple[Any, Any]]) -> None:
    """Raise NotComparable for the first thing that is not what it was: (then, now) by name."""
    for what, (there, here) in now.items():
        if there != here:
            raise NotComparable(
                f"session {session.run_id}: {what}: it began with {short(there)}; here is {short(here)}. Begin a new one, without --resume"
            )
