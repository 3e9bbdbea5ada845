"""Records as long tables for other programs: one row, one fact.

Each row says which record it is from and which arm it is of, so that tables join by these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from harness.records.bench import Bench, Block
from harness.records.parity import Parity
from harness.records.record import Record

Row = dict[str, object]


def epochs_of_runs(records: Iterable[Record]) -> Iterator[Row]:
    """Yield a row for each epoch of each run."""
    for record in records:
        for number, epoch in enumerate(record.measured.epochs if record.measured else (), start=1):
            place = {"record": record.run_id, "arm": record.arm.name, "seed": record.request.seed}
            found = {"epoch": number, "counts": record.status == "ok", "reason": record.reason}
            yield {
                **place,
                "generation": None,
                "block": None,
                "attempt": None,
                **found,
                **_of(epoch),
            }


def epochs_of_session(bench: Bench) -> Iterator[Row]:
    """Yield a row for each turn of each arm; the first epoch of a process is in its start."""
    n_trained: Counter[tuple[int, str, int]] = Counter()
    for block in bench.blocks:
        for name, turn in block.turns.items():
            process = (block.generation, name, block.processes.get(name, 1))
            n_trained[process] += 1
            yield {
                "record": bench.session.run_id,
                "arm": name,
                "seed": block.generation - 1,
                **_place(block),
                "epoch": 1 + n_trained[process],
                "counts": not block.invalid,
                "reason": block.invalid,
                **_of(turn),
            }


def _place(block: Block) -> Row:
    return {
        "generation": block.generation,
        "block": block.block,
        "attempt": block.attempt,
    }


def _of(epoch: object) -> Row:
    """Return what every epoch shows, of a run or of a turn."""
    names = ("seconds", "feed_s", "teardown_s", "loss", "accuracy", "n_compiles")
    return {name: getattr(epoch, name) for name in names}


def gates(checks: Iterable[Parity]) -> Iterator[Row]:
    """Yield a row for each gate of each arm: its error, and how far it may be off."""
    for check in checks:
        for arm in check.arms:
            for place, several in arm.gates.items():
                program, _, point = place.partition(" ")
                where = {"program": program, "point": point}
                known = {"record": check.run_id, "arm": arm.name, "spec": check.spec_name, **where}
                yield from ({**known, **gate._asdict()} for gate in several)


def environments(
    records: Iterable[Record], benches: Iterable[Bench], checks: Iterable[Parity]
) -> Iterator[Row]:
    """Yield a row for each setting and version that a record's arm was seen with.

    Args:
        records: runs.
        benches: sessions; of an arm's processes the last one that started.
        checks: parity checks.
    """
    for run in records:
        if run.measured:
            yield from _facts(
                run.run_id, run.arm.name, run.measured.settings, run.measured.versions
            )
    for bench in benches:
        last = {start.name: start for start in bench.starts if start.status == "ok"}
        for name, start in last.items():
            yield from _facts(bench.session.run_id, name, start.settings, start.versions)
    for check in checks:
        for arm in check.arms:
            yield from _facts(check.run_id, arm.name, {}, arm.versions)


def _facts(
    record: str, arm: str, settings: Mapping[str, object], versions: Mapping[str, object]
) -> Iterator[Row]:
    for kind, found in (("setting", settings), ("version", versions)):
        for name, value in found.items():
            shown = None if value is None else str(value)
            yield {"record": record, "arm": arm, "kind": kind, "name": name, "value": shown}
