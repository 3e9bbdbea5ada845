"""Arms asked for -> the plan of a bench session -> the requests of each generation."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Literal

import harness
from harness.engine.own_model import PreparedModel
from harness.engine.plan import Planned, data_of, plan
from harness.errors import ConfigError, choice
from harness.experiments.bench.same_plan import check_same_start
from harness.job.answers import Host
from harness.records.bench import Entrant, Session
from harness.spec.config import Config, Device, override_protocol
from harness.spec.data.mnist import Prepared

AGAIN = " again"  # after the name of an arm whose code runs twice
Repeated = Literal["baseline", "each"]
"""Of which backends an arm runs twice: of the baseline's, or of each one."""


def choose_arms(whole: Config, asked: Sequence[str]) -> list[tuple[str, str]]:
    """Return (backend, implementation) of each arm asked for; by default of [bench] arms.

    Args:
        whole: backends.toml.
        asked: each "jax/compiled", a backend (its arms among those of [bench]), or an
            implementation (of every backend).

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
                f"--arms: {name} has none of [bench] arms: {', '.join(whole.bench.arms)}. Name "
                f"one: {name}/IMPLEMENTATION"
            )
        found |= dict.fromkeys(pairs)
    return list(found)


def plan_session(
    whole: Config,
    spec_name: str,
    dataset: Prepared | PreparedModel,
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
        baseline: the arm whose epoch is 1.00, and whose code runs twice; by default that of
            [bench], or else the first.
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
        data=data_of(dataset),
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
    """Return the second entrant of the baseline, and of each other backend's first arm."""
    repeated = dict([baseline.split("/")])
    for backend, implementation in arms:
        repeated.setdefault(backend, implementation)
    entrants = (_entrant(whole, *pair) for pair in repeated.items())
    return [each.model_copy(update={"name": each.name + AGAIN}) for each in entrants]


def _baseline(names: Sequence[str], asked: str | None, usual: str | None) -> str:
    """Return the baseline: the arm asked for, else the usual one, else the first."""
    if asked is not None and asked not in names:
        raise ConfigError(f"--baseline: {choice(names, asked)}")
    return asked or (usual if usual in names else None) or names[0]


def requests(
    session: Session, whole: Config, dataset: Prepared | PreparedModel, host: Host
) -> Callable[[str, int], Planned]:
    """Return a function that gives an entrant's request in a generation, with its seed.

    Raises:
        NotComparable: backends.toml, the machine, the dataset or the harness is not what the
            session was planned for.
        ConfigError: an arm cannot do what is asked of it.
    """
    check_same_start(session, whole, dataset, host)
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


def _entrant(whole: Config, backend: str, implementation: str) -> Entrant:
    arm = whole.backends[backend].arms[implementation]
    return Entrant(
        name=f"{backend}/{implementation}",
        backend=backend,
        framework=whole.backends[backend].framework,
        implementation=implementation,
        module=arm.module,
        options=arm.options,
    )
