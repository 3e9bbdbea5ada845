"""Records -> Comparison: one row an arm, in as many tables as there are things that must not be mixed."""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.errors import ConfigError, choice
from harness.records.record import Record


@dataclass(frozen=True, slots=True)
class Key:
    """What the rows of one table share; rows that differ in any of it are never compared."""

    spec: str
    digest: str  # of the spec's content: a name can come to mean another model
    epochs: int
    dataset: str
    data_sha256: str
    keras: str
    threads: str
    machine: str


class Arm(NamedTuple):
    """Runs that are put together in one row: an implementation, as it was asked for, on a backend's version on a device."""

    backend: str
    implementation: str
    device: str
    framework_version: str
    asked: str  # the module, and its options: a name in backends.toml can come to mean another implementation


NATIVE = "native"
Arms = Mapping[Arm, Sequence[Record]]


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure with the lowest and the highest that went into it."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One arm's runs, put together. Figures are None where no run of it finished."""

    backend: str
    implementation: str
    device: str
    framework_version: str
    status: str  # "3 ok", "2 ok, 1 failed"
    n_seeds: int
    test_accuracy: Spread | None  # over seeds; each seed counts once, however often it ran
    test_accuracy_sd: float | None  # over seeds, from two on
    test_loss: float | None
    epoch_s: Spread | None  # all epochs after each run's first
    ratio: float | None  # epoch_s to the baseline's
    to_native: float | None  # epoch_s to that of the same backend's native arm: what Keras, or doing without, costs
    first_epoch_s: float | None
    total_s: float | None
    peak_rss_bytes: int | None

    @property
    def name(self) -> str:
        """As `--baseline` takes it: "jax/keras"."""
        return f"{self.backend}/{self.implementation}"


@dataclass(frozen=True, slots=True)
class Failed:
    """A run without figures, and why."""

    run_id: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Table:
    """Arms that may be compared, the failures among their runs, and what a reader must be warned of."""

    key: Key
    rows: tuple[ArmRow, ...]
    failures: tuple[Failed, ...]
    baseline: str
    equal_inputs: bool  # every run of a seed started from the same weights and saw the samples in the same order
    remarks: tuple[str, ...]


def compare(records: Iterable[Record], baseline: str | None = None, only: frozenset[str] | None = None) -> tuple[Table, ...]:
    """Return the tables that the records make, the newest run's first.

    Args:
        records: in any order.
        baseline: the arm "backend/implementation", or the backend, whose epoch time is 1.00; by default a table's first.
        only: run ids; only tables that hold one of these runs.

    Raises:
        ConfigError: no record is of that arm.
    """
    groups: dict[Key, list[Record]] = defaultdict(list)
    without_keras: list[Record] = []
    for record in sorted(records, key=lambda record: record.started_at):
        if record.measured and "keras" in record.measured.versions:
            groups[_key(record, record.measured.versions["keras"])].append(record)
        else:
            without_keras.append(record)
    newest = {key: members[-1].started_at for key, members in groups.items()}
    for record in without_keras:  # failed early, or none in its environment: into the newest table that matches in all else
        matches = [key for key in newest if key == _key(record, key.keras)]
        groups[max(matches, key=newest.__getitem__) if matches else _key(record, "none")].append(record)
    if baseline is not None:
        known = dict.fromkeys(name for members in groups.values() for record in members for name in _names(record))
        if baseline not in known:
            raise ConfigError(f"--baseline: {choice(known, baseline)}")
    if only is not None:
        groups = {key: members for key, members in groups.items() if any(record.run_id in only for record in members)}
    newest_first = sorted(groups.items(), key=lambda item: max(record.started_at for record in item[1]), reverse=True)
    return tuple(_table(key, members, baseline) for key, members in newest_first)


def differences(tables: Sequence[Table]) -> tuple[str, ...]:
    """Return the fields of Key in which several tables differ, for the sentence that says why there are several."""
    fields = ("spec", "epochs", "dataset", "keras", "threads", "machine")
    found = [name for name in fields if len({getattr(table.key, name) for table in tables}) > 1]
    for name, content in (("spec", "digest"), ("dataset", "data_sha256")):
        pairs = {(getattr(table.key, name), getattr(table.key, content)) for table in tables}
        if len(pairs) > len({pair[0] for pair in pairs}):
            found.append(f"content of a {name} of the same name")
    return tuple(found)


def _key(record: Record, keras: str) -> Key:
    request = record.request
    return Key(
        spec=request.spec_name,
        digest=request.spec.model_dump_json(exclude={"dataset", "epochs"}),
        epochs=request.epochs,
        dataset=request.data.name,
        data_sha256=request.data.sha256,
        keras=keras,
        threads=str(request.threads),
        machine=record.host.machine,
    )


def _names(record: Record) -> tuple[str, str]:
    return f"{record.request.backend}/{record.request.implementation}", record.request.backend


def _table(key: Key, members: Sequence[Record], baseline: str | None) -> Table:
    arms: dict[Arm, list[Record]] = defaultdict(list)
    for record in members:
        version = record.measured.versions.get("framework_version", "") if record.measured else ""
        arms[Arm(*record.arm, record.device, version, f"{record.request.module} {record.request.options}")].append(record)
    _adopt_failures(arms)
    backends = list(dict.fromkeys(arm.backend for arm in arms))
    arms = dict(sorted(arms.items(), key=lambda item: backends.index(item[0].backend)))  # a backend's arms together
    base = next((arm for arm, runs in arms.items() if baseline in (None, *_names(runs[0])) and _steady(runs)), None)
    base_s = statistics.median(_steady(arms[base])) if base else None
    native_s = {
        _place(arm): statistics.median(_steady(runs)) for arm, runs in arms.items() if arm.implementation == NATIVE and _steady(runs)
    }
    rows = tuple(_row(arm, runs, base_s, native_s.get(_place(arm))) for arm, runs in arms.items())
    failures = tuple(Failed(run.run_id, run.status, run.reason) for run in members if run.status != "ok")
    return Table(key, rows, failures, f"{base.backend}/{base.implementation}" if base else "", _equal_inputs(arms), tuple(_remarks(arms)))


def _place(arm: Arm) -> tuple[str, str, str]:
    """Return where an arm ran, whatever it is: what it shares with the native arm that it is measured by."""
    return arm.backend, arm.device, arm.framework_version


def _adopt_failures(arms: dict[Arm, list[Record]]) -> None:
    """Put runs that failed before device and version were known to the arm's newest other runs, where there are any."""
    for arm in [arm for arm, runs in arms.items() if not any(run.measured for run in runs)]:
        homes = [
            other
            for other in arms
            if (other.backend, other.implementation) == (arm.backend, arm.implementation)
            and other != arm
            and (arm.device == "auto" or other.device.startswith(arm.device))
        ]
        if homes:
            arms[max(homes, key=lambda home: arms[home][-1].started_at)].extend(arms.pop(arm))


def _steady(runs: Sequence[Record]) -> list[float]:
    return [seconds for run in runs if run.status == "ok" for seconds in run.steady_s]


def _row(arm: Arm, runs: Sequence[Record], base_s: float | None, native_s: float | None) -> ArmRow:
    by_seed: dict[int, list[float]] = defaultdict(list)
    finished = [(run, run.measured) for run in runs if run.status == "ok" and run.measured]
    for run, measured in finished:
        if measured.test_accuracy is not None:
            by_seed[run.request.seed].append(measured.test_accuracy)
    accuracies = [statistics.fmean(values) for values in by_seed.values()]
    steady = _steady(runs)
    epoch_s = Spread(min(steady), statistics.median(steady), max(steady)) if steady else None
    return ArmRow(
        backend=arm.backend,
        implementation=arm.implementation,
        device=arm.device,
        framework_version=arm.framework_version,
        status=", ".join(f"{n} {status}" for status in ("ok", "diverged", "failed") if (n := sum(run.status == status for run in runs))),
        n_seeds=len(by_seed),
        test_accuracy=Spread(min(accuracies), statistics.fmean(accuracies), max(accuracies)) if accuracies else None,
        test_accuracy_sd=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        test_loss=_median([measured.test_loss for _, measured in finished]),
        epoch_s=epoch_s,
        ratio=epoch_s.mid / base_s if epoch_s and base_s else None,
        to_native=epoch_s.mid / native_s if epoch_s and native_s else None,
        first_epoch_s=_median([measured.epochs[0].seconds for _, measured in finished if measured.epochs]),
        total_s=_median([run.total_s for run, _ in finished]),
        peak_rss_bytes=max((measured.peak_rss_bytes for _, measured in finished), default=None),
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _equal_inputs(arms: Arms) -> bool:
    """Say whether every arm finished the same seeds, and for each seed all had the same inputs, byte for byte."""
    digests: dict[int, set[tuple[str, str, str]]] = defaultdict(set)
    for run in itertools.chain.from_iterable(arms.values()):
        if run.measured:
            digests[run.request.seed].add((run.measured.weights_sha256, run.measured.order_sha256, run.measured.data_sha256))
    return len(set(_seeds(arms).values())) == 1 and all(len(several) == 1 for several in digests.values())


def _seeds(arms: Arms) -> dict[Arm, tuple[int, ...]]:
    """Return the seeds of each arm's accuracy."""
    seeds = {arm: tuple(sorted({run.request.seed for run in runs if run.status == "ok"})) for arm, runs in arms.items()}
    return {arm: several for arm, several in seeds.items() if several}


def _remarks(arms: Arms) -> Iterable[str]:
    """Say what would make the rows less comparable than the table looks."""
    members = list(itertools.chain.from_iterable(arms.values()))
    seeds = _seeds(arms)
    if len(set(seeds.values())) > 1:
        said = "; ".join(f"{arm.backend}/{arm.implementation}: {', '.join(map(str, several))}" for arm, several in seeds.items())
        yield f"seeds differ, so mean accuracies are of different draws: {said}"
    elif seeds and not _equal_inputs(arms) and members[0].request.spec.inputs == "native":
        yield "native inputs: each framework drew its own weights and order, as the spec asks, so accuracies are of different draws"
    elif seeds and not _equal_inputs(arms):
        yield "inputs differ: runs of one seed did not start from the same weights, or saw other samples or another order"
    versions = sorted({run.harness for run in members})
    if len(versions) > 1:
        yield f"made by several versions of the harness ({', '.join(versions)}), which may not time alike"
    for name in ("tf32", "precision"):
        values = {str(run.measured.settings.get(name)) for run in members if run.measured}
        if len(values) > 1:
            yield f"{name} differs ({', '.join(sorted(values))}): these rows are not of one arithmetic"
    for name, share in _teardown_shares(arms).items():
        yield f"{name}: {share:.0%} of its epoch time is fit taking its input pipeline down (teardown_s in results/README.md)"
    recompiled = {"/".join(run.arm) for run in members if run.measured and any(epoch.n_compiles for epoch in run.measured.epochs[1:])}
    if recompiled:
        yield f"compiled after the first epoch, so its epoch time holds compilation: {', '.join(sorted(recompiled))}"


def _teardown_shares(arms: Arms) -> dict[str, float]:
    """Return, for each arm where it is more than a twentieth, the share of epoch time that lies after the last update."""
    shares = {}
    for arm, runs in arms.items():
        epochs = [epoch for run in runs if run.status == "ok" and run.measured for epoch in run.measured.epochs[1:]]
        whole = sum(epoch.seconds for epoch in epochs)
        share = sum(epoch.teardown_s for epoch in epochs) / whole if whole else 0.0
        if share > 0.05:
            shares[f"{arm.backend}/{arm.implementation} on {arm.device}"] = share
    return shares
