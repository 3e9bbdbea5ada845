"""Which arms have trained here and are not known to compute the same model.

Those that the quick form of the gate is to look at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import harness
from harness.engine.arms import declared_arms
from harness.job.arm import ArmId
from harness.job.request import Request
from harness.records.parity import Parity
from harness.records.record import Record
from harness.records.verdicts import NOT_CHECKED, verdict_on, verdicts_of
from harness.spec.config import Config, Device


@dataclass(frozen=True, slots=True)
class Unchecked:
    """Arms of one spec that one check can look at together."""

    spec_name: str
    dataset: str
    device: Device
    arms: tuple[ArmId, ...]


def unchecked(
    records: Iterable[Record], parities: Iterable[Parity], config: Config, machine: str
) -> tuple[Unchecked, ...]:
    """Return the arms whose newest run on this machine has no verdict, and that can be checked now.

    Left out are runs of another harness or machine, arms and specs that backends.toml no longer
    has, and specs that let each framework draw its own inputs, where nothing can be equal.

    Args:
        records: runs, in the order in which they began.
        parities: the checks that there are.
        config: backends.toml.
        machine: this one, as a record describes it.
    """
    verdicts, arms = verdicts_of(parities), declared_arms(config)
    newest: dict[tuple[str, ArmId], Record] = {}
    for record in records:
        if (
            record.status == "ok"
            and (record.host.machine, record.harness) == (machine, harness.__version__)
            and record.arm in arms
            and record.request.replicas == 1
            and _is_of(config, record.request)
        ):
            newest[record.request.spec_name, record.arm] = record
    groups: dict[tuple[str, str, Device], list[ArmId]] = defaultdict(list)
    for record in newest.values():
        request = record.request
        if verdict_on(record, verdicts) == NOT_CHECKED:
            groups[request.spec_name, request.data.name, request.device].append(request.arm)
    return tuple(Unchecked(*key, tuple(arms)) for key, arms in groups.items())


def _is_of(config: Config, request: Request) -> bool:
    """Say whether a run's spec is that of backends.toml now, and can be checked."""
    spec = config.specs.get(request.spec_name)
    return spec == request.spec and spec.inputs == "equal"
