"""Which arms have trained here and are not known to compute the same model.

Those that the quick form of the gate is to look at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import harness
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
    arms: tuple[tuple[str, str], ...]  # backend, implementation


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
    verdicts = verdicts_of(parities)
    newest: dict[tuple[str, str, str], Record] = {}
    for record in records:
        if (
            record.status == "ok"
            and (record.host.machine, record.harness) == (machine, harness.__version__)
            and _is_of(config, record)
        ):
            newest[
                record.request.spec_name, record.request.backend, record.request.implementation
            ] = record
    groups: dict[tuple[str, str, Device], list[tuple[str, str]]] = defaultdict(list)
    for record in newest.values():
        request = record.request
        if verdict_on(record, verdicts) == NOT_CHECKED:
            groups[request.spec_name, request.data.name, request.device].append(
                (request.backend, request.implementation)
            )
    return tuple(Unchecked(*key, tuple(arms)) for key, arms in groups.items())


def _is_of(config: Config, record: Record) -> bool:
    """Say whether a run's spec and arm are those of backends.toml now, and can be checked."""
    request, spec = record.request, config.specs.get(record.request.spec_name)
    backend = config.backends.get(request.backend)
    arm = backend.arms.get(request.implementation) if backend else None
    asked = (request.module, request.options)
    return (
        spec == request.spec
        and spec.inputs == "equal"
        and arm is not None
        and (arm.module, arm.options) == asked
    )
