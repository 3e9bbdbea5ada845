"""What a reader of a table must be told: whether inputs were equal, and what makes rows less comparable than they look."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from harness.records.observation import Host
from harness.records.record import Record
from harness.report.remarks import arithmetic, recompiled, taken_down


class Arm(NamedTuple):
    """Runs that are put together in one row: an implementation, as it was asked for, on a backend's version on a device."""

    backend: str
    implementation: str
    device: str
    framework_version: str
    asked: str  # the module, and its options: a name in backends.toml can come to mean another implementation
    environment_sha256: str | None = None  # a version does not say what was edited in it


Arms = Mapping[Arm, Sequence[Record]]


def equal_inputs(arms: Arms) -> bool:
    """Say whether every arm finished the same seeds, and for each seed all had the same inputs, byte for byte."""
    digests: dict[int, set[tuple[str, str, str]]] = defaultdict(set)
    for run in itertools.chain.from_iterable(arms.values()):
        if run.measured:
            digests[run.request.seed].add(
                (run.measured.weights_sha256, run.measured.order_sha256, run.measured.data_sha256)
            )
    return len(set(_seeds(arms).values())) == 1 and all(
        len(several) == 1 for several in digests.values()
    )


def _seeds(arms: Arms) -> dict[Arm, tuple[int, ...]]:
    """Return the seeds of each arm's accuracy."""
    seeds = {
        arm: tuple(sorted({run.request.seed for run in runs if run.status == "ok"}))
        for arm, runs in arms.items()
    }
    return {arm: several for arm, several in seeds.items() if several}


def remarks(arms: Arms) -> Iterable[str]:
    """Say what would make the rows less comparable than the table looks."""
    members = list(itertools.chain.from_iterable(arms.values()))
    seeds = _seeds(arms)
    if len(set(seeds.values())) > 1:
        said = "; ".join(
            f"{arm.backend}/{arm.implementation}: {', '.join(map(str, several))}"
            for arm, several in seeds.items()
        )
        yield f"seeds differ, so mean accuracies are of different draws: {said}"
    elif seeds and not equal_inputs(arms) and members[0].request.spec.inputs == "native":
        yield "native inputs: each framework drew its own weights and order, as the spec asks, so accuracies are of different draws"
    elif seeds and not equal_inputs(arms):
        yield "inputs differ: runs of one seed did not start from the same weights, or saw other samples or another order"
    versions = sorted({run.harness for run in members})
    if len(versions) > 1:
        yield f"made by several versions of the harness ({', '.join(versions)}), which may not time alike"
    yield from _machines([run.host for run in members])
    yield from arithmetic([run.measured.settings for run in members if run.measured])
    for arm, runs in arms.items():
        epochs = [
            epoch
            for run in runs
            if run.status == "ok" and run.measured
            for epoch in run.measured.epochs[1:]
        ]
        yield from taken_down(f"{arm.backend}/{arm.implementation} on {arm.device}", epochs)
    yield from recompiled(
        {
            run.arm.name
            for run in members
            if run.measured and any(epoch.n_compiles for epoch in run.measured.epochs[1:])
        }
    )


def _machines(hosts: Collection[Host]) -> Iterable[str]:
    """Say that machines of one description may be several; nothing where no record knows more."""
    known = {host.identity for host in hosts if host.identity}
    if len(known) > 1:
        several = f"made on {len(known)} machines that only their description says to be one"
        yield f"{several}, and that may not be equally fast"
    elif any(each.same_as(other) is None for each in hosts if each.identity for other in hosts):
        yield "only its description says that all runs are of one machine: some records know no more"
