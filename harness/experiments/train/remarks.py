"""What makes rows less comparable than they look, and whether their inputs were equal."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from harness.job.answers import Host
from harness.job.arm import ArmId
from harness.records.record import Record
from harness.report.remarks import Remark, arithmetic, recompiled, replaced, torn_down


class Arm(NamedTuple):
    """Runs that make one row: an arm on a backend's version on a device."""

    id: ArmId
    device: str
    framework_version: str
    environment_sha256: str | None = None  # a version does not say what was edited in it

    @property
    def name(self) -> str:
        """As `--baseline` takes it: "jax/keras"."""
        return self.id.name


Arms = Mapping[Arm, Sequence[Record]]


def equal_inputs(arms: Arms) -> bool:
    """Say whether all arms finished the same seeds, from the same inputs, byte for byte."""
    digests: dict[int, set[tuple[str, str, str]]] = defaultdict(set)
    for run in itertools.chain.from_iterable(arms.values()):
        if measured := run.measured:
            inputs = (measured.weights_sha256, measured.order_sha256, measured.data_sha256)
            digests[run.request.seed].add(inputs)
    same_seeds = len(set(_seeds(arms).values())) == 1
    return same_seeds and all(len(several) == 1 for several in digests.values())


def _seeds(arms: Arms) -> dict[Arm, tuple[int, ...]]:
    """Return the seeds of each arm that finished any."""
    seeds = {
        arm: tuple(sorted({run.request.seed for run in runs if run.status == "ok"}))
        for arm, runs in arms.items()
    }
    return {arm: several for arm, several in seeds.items() if several}


def remarks(arms: Arms) -> Iterable[Remark]:
    """Say what would make the rows less comparable than the table looks."""
    members = list(itertools.chain.from_iterable(arms.values()))
    yield from _inputs(arms, members)
    versions = sorted({run.harness for run in members})
    if len(versions) > 1:
        yield Remark("harness", tuple(versions))
    yield from _machines([run.host for run in members])
    yield from arithmetic([run.measured.settings for run in members if run.measured])
    yield from _torn_down(arms)
    yield from _replaced(members)
    yield from recompiled(
        {run.arm.name for run in members if any(epoch.n_compiles for epoch in run.steady)}
    )


def _torn_down(arms: Arms) -> Iterable[Remark]:
    """Say of which arm's epochs a part is taking its input pipeline down."""
    for arm, runs in arms.items():
        epochs = [epoch for run in runs if run.status == "ok" for epoch in run.steady]
        yield from torn_down(f"{arm.name} on {arm.device}", epochs)


def _replaced(members: Sequence[Record]) -> Iterable[Remark]:
    """Say where lean took compiled's place, and why; what quality is of; and what has none."""
    measured = [(run, run.measured) for run in members if run.measured]
    qualities = [(run, each.quality) for run, each in measured if each.quality]
    refusals = ((run.arm.name, each.settings.get("refused")) for run, each in measured)
    yield from replaced(refusals, {each.of for _, each in qualities})
    failures = {(run.arm.name, each.failure) for run, each in qualities if each.failure}
    yield from (Remark("no quality", (name,), (why,)) for name, why in sorted(failures))


def _inputs(arms: Arms, members: Sequence[Record]) -> Iterable[Remark]:
    """Say that runs of one seed had not the same inputs, or that arms had not the same seeds."""
    seeds = _seeds(arms)
    if len(set(seeds.values())) > 1:
        listed = (f"{arm.name}: {', '.join(map(str, several))}" for arm, several in seeds.items())
        yield Remark("seeds", values=("; ".join(listed),))
    elif seeds and not equal_inputs(arms):
        native = members[0].request.spec.inputs == "native"
        yield Remark("native inputs" if native else "inputs")


def _machines(hosts: Collection[Host]) -> Iterable[Remark]:
    """Say that machines of one description may be several; nothing where no record knows more."""
    known = {host.identity for host in hosts if host.identity}
    if len(known) > 1:
        yield Remark("machines", values=(len(known),))
    elif any(each.same_as(other) is None for each in hosts if each.identity for other in hosts):
        yield Remark("machine unknown")
