"""Arms asked for -> the plan of a bench session -> the requests of each generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Literal

from harness.engine.own_model import PreparedModel
from harness.engine.plan import Planned, data_of, plan
from harness.errors import ConfigError, choice
from harness.experiments.bench.same_plan import check_same_start
from harness.job.answers import Host
from harness.job.arm import ArmId
from harness.records.bench import Entrant, Session
from harness.records.observation import identify
from harness.spec.config import Config, Device, override_protocol
from harness.spec.data.mnist import Prepared

AGAIN = " again"  # after the name of an arm whose code runs twice
Repeated = Literal["baseline", "each"]
"""Of which backends an arm runs twice: of the baseline's, or of each one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a session, beside its spec and its size."""

    arms: Sequence[ArmId]  # that take part, of backends.toml
    # Whose epoch is 1.00, and whose code runs twice; None: that of [bench], or else the first.
    baseline: str | None = None
    device: Device = "auto"  # as for `plan`
    cores: tuple[int, ...] = ()  # that workers are kept to; empty: as `threads` has it
    # "each": beside the baseline, the first arm of each other backend runs twice too.
    aa: Repeated = "baseline"


def plan_session(
    whole: Config, spec_name: str, dataset: Prepared | PreparedModel, host: Host, asked: Asked
) -> Session:
    """Return the plan of a new session.

    Args:
        whole: backends.toml; its [bench] says how many generations and blocks.
        spec_name: what every arm trains.
        dataset: prepared.
        host: the machine.
        asked: which arms take part, and how.

    Raises:
        ConfigError: the baseline is none of the arms.
    """
    first = _baseline([arm.name for arm in asked.arms], asked.baseline, whole.bench.baseline)
    twins = _twins(asked, first)
    return Session(
        **identify(datetime.now(UTC)),
        host=host,
        spec_name=spec_name,
        spec=whole.specs[spec_name],
        data=data_of(dataset),
        device=asked.device,
        threads=whole.protocol.threads,
        replicas=whole.protocol.replicas,
        cores=asked.cores,
        entrants=(*(Entrant(name=arm.name, **arm.fields) for arm in asked.arms), *twins),
        baseline=first,
        again=twins[0].name,
        repeats=tuple(twin.name for twin in twins[1:]),
        n_generations=whole.bench.generations,
        n_blocks=whole.bench.blocks,
        time_limit_s=whole.protocol.time_limit_s,
    )


def _twins(asked: Asked, baseline: str) -> list[Entrant]:
    """Return the second entrant of the baseline, and of each other backend's first arm."""
    first = next(arm for arm in asked.arms if arm.name == baseline)
    repeated = {first.backend: first}
    for arm in asked.arms if asked.aa == "each" else ():
        repeated.setdefault(arm.backend, arm)
    return [Entrant(name=arm.name + AGAIN, **arm.fields) for arm in repeated.values()]


def _baseline(names: Sequence[str], asked: str | None, usual: str | None) -> str:
    """Return the baseline: the arm asked for, else the usual one, else the first."""
    if asked is not None and asked not in names:
        raise ConfigError(f"--baseline: {choice(names, asked)}")
    return asked or (usual if usual in names else None) or names[0]


def requests(
    session: Session, whole: Config, dataset: Prepared | PreparedModel, host: Host
) -> Callable[[str, int], Planned]:
    """Return a function that gives an entrant's request in a generation, with its seed.

    Args:
        session: the plan.
        whole: backends.toml.
        dataset: prepared.
        host: the machine on which workers run.

    Raises:
        NotComparable: backends.toml, the machine, the dataset or the harness is not what the
            session was planned for.
        ConfigError: an arm cannot do what is asked of it.
    """
    check_same_start(session, whole, dataset, host)
    arms = {entrant.name: entrant.arm for entrant in session.entrants}
    limits = {
        "threads": session.threads,
        "replicas": session.replicas,
        "time_limit_s": session.time_limit_s,
        "epochs": 1 + session.n_blocks,
    }

    @cache
    def planned(generation: int) -> dict[ArmId, Planned]:
        protocol = override_protocol(whole.protocol, seeds=(generation - 1,), **limits)
        config = whole.model_copy(update={"protocol": protocol})
        each_once = tuple(dict.fromkeys(arms.values()))
        found = plan(config, session.spec_name, each_once, dataset, device=session.device)
        return {each.request.arm: each for each in found}

    for name, arm in arms.items():  # what cannot be is said now, not by a worker
        if arm not in planned(1):
            raise ConfigError(f"--device gpu: {name} can use no accelerator. Leave it out")
    return lambda name, generation: planned(generation)[arms[name]]
