"""Records -> Comparison: one row an arm, in as many tables as there are things that must not be mixed."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import ConfigError, choice
from harness.experiments.train.answer import Answer, answer
from harness.experiments.train.remarks import Arm, equal_inputs, remarks
from harness.experiments.train.versions import join_versions
from harness.records.parity import Parity
from harness.records.record import Record
from harness.records.verdicts import Verdicts, verdict_on, verdicts_of, worst
from harness.report.remarks import departed


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


NATIVE = "native"


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
    content: str  # of its environment, in a few digits, where rows differ in nothing else
    parity: str  # agrees, agrees (quick), departs, failed, not checked: the worst of its runs
    status: str  # "3 ok", "2 ok, 1 failed"
    n_seeds: int
    test_accuracy: Spread | None  # over seeds; each seed counts once, however often it ran
    test_accuracy_sd: float | None  # over seeds, from two on
    test_loss: float | None
    epoch_s: Spread | None  # all epochs after each run's first
    ratio: float | None  # epoch_s to the baseline's
    to_native: (
        float | None
    )  # epoch_s to that of the same backend's native arm: what Keras, or doing without, costs
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
    answer: Answer  # to the README's question, as far as these runs can say


def compare(
    records: Iterable[Record],
    baseline: str | None = None,
    only: frozenset[str] | None = None,
    parities: Iterable[Parity] = (),
) -> tuple[Table, ...]:
    """Return the tables that the records make, the newest run's first.

    Args:
        records: in any order.
        baseline: the arm "backend/implementation", or the backend, whose epoch time is 1.00; by default a table's first.
        only: run ids; only tables that hold one of these runs.
        parities: checks that say which arms compute the same model.

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
    for record in (
        without_keras
    ):  # failed early, or none in its environment: into the newest table that matches in all else
        matches = [key for key in newest if key == _key(record, key.keras)]
        groups[max(matches, key=newest.__getitem__) if matches else _key(record, "none")].append(
            record
        )
    groups = join_versions(groups)
    if baseline is not None:
        known = dict.fromkeys(
            name for members in groups.values() for record in members for name in _names(record)
        )
        if baseline not in known:
            raise ConfigError(f"--baseline: {choice(known, baseline)}")
    if only is not None:
        groups = {
            key: members
            for key, members in groups.items()
            if any(record.run_id in only for record in members)
        }
    newest_first = sorted(
        groups.items(), key=lambda item: max(record.started_at for record in item[1]), reverse=True
    )
    verdicts = verdicts_of(parities)
    return tuple(_table(key, members, baseline, verdicts) for key, members in newest_first)


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


def _table(key: Key, members: Sequence[Record], baseline: str | None, verdicts: Verdicts) -> Table:
    arms: dict[Arm, list[Record]] = defaultdict(list)
    for record in members:
        version = record.measured.versions.get("framework_version", "") if record.measured else ""
        of, content = record.arm, record.environment_sha256
        arm = Arm(of.backend, of.arm, record.device, version, of.asked, content)
        arms[arm].append(record)
    _adopt_failures(arms)
    backends = list(dict.fromkeys(arm.backend for arm in arms))
    arms = dict(
        sorted(arms.items(), key=lambda item: backends.index(item[0].backend))
    )  # a backend's arms together
    base = next(
        (
            arm
            for arm, runs in arms.items()
            if baseline in (None, *_names(runs[0])) and _steady(runs)
        ),
        None,
    )
    base_s = statistics.median(_steady(arms[base])) if base else None
    native_s = {
        _place(arm): statistics.median(_steady(runs))
        for arm, runs in arms.items()
        if arm.implementation == NATIVE and _steady(runs)
    }
    contents, worst_of = (
        _contents(arms),
        {arm: _worst(runs, verdicts) for arm, runs in arms.items()},
    )
    rows = tuple(
        _row(arm, runs, base_s, native_s.get(_place(arm)), worst_of[arm], contents.get(arm, ""))
        for arm, runs in arms.items()
    )
    failures = tuple(
        Failed(run.run_id, run.status, run.reason) for run in members if run.status != "ok"
    )
    return Table(
        key,
        rows,
        failures,
        f"{base.backend}/{base.implementation}" if base else "",
        equal_inputs(arms),
        (
            *departed([row.name for row in rows if row.parity == "departs"]),
            *several_contents(rows),
            *remarks(arms),
        ),
        answer(arms, worst_of),
    )


def _place(arm: Arm) -> tuple[str | None, ...]:
    """Return where an arm ran, whatever it is: what it shares with the native arm that it is measured by."""
    return arm.backend, arm.device, arm.framework_version, arm.environment_sha256


def _contents(arms: Iterable[Arm]) -> dict[Arm, str]:
    """Return a few digits of the content of each arm that differs from another in nothing else."""
    alike: dict[Arm, list[Arm]] = defaultdict(list)
    for arm in arms:
        alike[arm._replace(environment_sha256=None)].append(arm)
    return {
        arm: arm.environment_sha256[:8] if arm.environment_sha256 else "unknown"
        for several in alike.values()
        if len(several) > 1
        for arm in several
    }


def several_contents(rows: Iterable[ArmRow]) -> Iterable[str]:
    """Say which rows have the same versions, and ran other code."""
    names = dict.fromkeys(row.name for row in rows if row.content)
    if names:
        why = (
            "since the content of the environment was another under the same versions (in brackets)"
        )
        yield f"{', '.join(names)}: several rows, {why}"


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
            content = arm.environment_sha256
            alike = [home for home in homes if home.environment_sha256 == content] or homes
            arms[max(alike, key=lambda home: arms[home][-1].started_at)].extend(arms.pop(arm))


def _steady(runs: Sequence[Record]) -> list[float]:
    return [seconds for run in runs if run.status == "ok" for seconds in run.steady_s]


def _row(
    arm: Arm,
    runs: Sequence[Record],
    base_s: float | None,
    native_s: float | None,
    parity: str,
    content: str,
) -> ArmRow:
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
        content=content,
        parity=parity,
        status=", ".join(
            f"{n} {status}"
            for status in ("ok", "diverged", "failed")
            if (n := sum(run.status == status for run in runs))
        ),
        n_seeds=len(by_seed),
        test_accuracy=Spread(min(accuracies), statistics.fmean(accuracies), max(accuracies))
        if accuracies
        else None,
        test_accuracy_sd=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        test_loss=_median([measured.test_loss for _, measured in finished]),
        epoch_s=epoch_s,
        ratio=epoch_s.mid / base_s if epoch_s and base_s else None,
        to_native=epoch_s.mid / native_s if epoch_s and native_s else None,
        first_epoch_s=_median(
            [measured.epochs[0].seconds for _, measured in finished if measured.epochs]
        ),
        total_s=_median([run.total_s for run, _ in finished]),
        peak_rss_bytes=max(
            (size for _, measured in finished if (size := measured.peak_rss_bytes) is not None),
            default=None,
        ),
    )


def _worst(runs: Sequence[Record], verdicts: Verdicts) -> str:
    """Return the parity of an arm's finished runs."""
    return worst({verdict_on(run, verdicts) for run in runs if run.status == "ok"})


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
