"""Records -> tables: a row an arm, in as many tables as there are things not to be mixed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import ConfigError, choice
from harness.experiments.train.answer import Answer, answer
from harness.experiments.train.remarks import Arm, Arms, equal_inputs, remarks
from harness.experiments.train.rows import ArmRow, Context, row_of, steady_seconds
from harness.experiments.train.versions import join_versions
from harness.records.record import Record
from harness.records.verdicts import Check, Verdicts, verdict_on, verdicts_of, worst
from harness.report.remarks import Remark, departed
from harness.spec.model import content_of
from harness.statistics.intervals import median_of

NATIVE = "native"


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
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Failed:
    """A run without figures, and why."""

    run_id: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Table:
    """Arms that may be compared, the failures among their runs, and what to be warned of."""

    key: Key
    rows: tuple[ArmRow, ...]
    failures: tuple[Failed, ...]
    baseline: str
    equal_inputs: bool  # runs of one seed had the same weights, and the same samples in one order
    remarks: tuple[Remark, ...]
    answer: Answer  # to the README's question, as far as these runs can say


def compare(
    records: Iterable[Record],
    baseline: str | None = None,
    only: frozenset[str] | None = None,
    parities: Iterable[Check] = (),
) -> tuple[Table, ...]:
    """Return the tables that the records make, the newest run's first.

    Args:
        records: in any order.
        baseline: the arm "backend/implementation", or the backend, whose epoch time is 1.00; by
            default a table's first.
        only: run ids; only tables that hold one of these runs.
        parities: checks that say which arms compute the same model.

    Raises:
        ConfigError: no record is of that arm.
    """
    groups = join_versions(_groups(sorted(records, key=lambda record: record.started_at)))
    if baseline is not None:
        _check_baseline(baseline, groups.values())
    if only is not None:
        groups = {
            key: members
            for key, members in groups.items()
            if any(record.run_id in only for record in members)
        }
    newest = {key: max(each.started_at for each in members) for key, members in groups.items()}
    verdicts = verdicts_of(parities)
    keys = sorted(groups, key=newest.__getitem__, reverse=True)
    return tuple(_table(key, groups[key], baseline, verdicts) for key in keys)


def differences(tables: Sequence[Table]) -> tuple[str, ...]:
    """Return the fields of Key in which several tables differ: why there are several."""
    fields = ("spec", "epochs", "dataset", "keras", "threads", "machine", "replicas")
    found = [name for name in fields if len({getattr(table.key, name) for table in tables}) > 1]
    for name, content in (("spec", "digest"), ("dataset", "data_sha256")):
        pairs = {(getattr(table.key, name), getattr(table.key, content)) for table in tables}
        if len(pairs) > len({pair[0] for pair in pairs}):
            found.append(f"content of a {name} of the same name")
    return tuple(found)


def _groups(records: Iterable[Record]) -> dict[Key, list[Record]]:
    """Return the records of each table.

    One whose Keras is not known (it failed early, or has none) joins the newest that matches.
    """
    groups: dict[Key, list[Record]] = defaultdict(list)
    without_keras: list[Record] = []
    for record in records:
        if record.measured and "keras" in record.measured.versions:
            groups[_key(record, record.measured.versions["keras"])].append(record)
        else:
            without_keras.append(record)
    newest = {key: members[-1].started_at for key, members in groups.items()}
    for record in without_keras:
        matches = [key for key in newest if key == _key(record, key.keras)]
        home = max(matches, key=newest.__getitem__) if matches else _key(record, "none")
        groups[home].append(record)
    return groups


def _key(record: Record, keras: str) -> Key:
    request = record.request
    return Key(
        spec=request.spec_name,
        digest=content_of(request.spec),
        epochs=request.epochs,
        dataset=request.data.name,
        data_sha256=request.data.sha256,
        keras=keras,
        threads=str(request.threads),
        machine=record.host.machine,
        replicas=request.replicas,
    )


def _check_baseline(baseline: str, groups: Iterable[Sequence[Record]]) -> None:
    known = dict.fromkeys(
        name for members in groups for record in members for name in _names(record)
    )
    if baseline not in known:
        raise ConfigError(f"--baseline: {choice(known, baseline)}")


def _names(record: Record) -> tuple[str, str]:
    return record.arm.name, record.arm.backend


def _table(key: Key, members: Sequence[Record], baseline: str | None, verdicts: Verdicts) -> Table:
    arms = _arms(members)
    median_s = {arm: median_of(steady_seconds(runs)) for arm, runs in arms.items()}
    virtual = any(run.measured and run.measured.settings.get("virtual_devices") for run in members)
    base = None if virtual else _base(arms, median_s, baseline)
    parities = {arm: _worst(runs, verdicts) for arm, runs in arms.items()}
    rows = tuple(_rows(arms, median_s, parities, base))
    return Table(
        key,
        rows,
        tuple(Failed(run.run_id, run.status, run.reason) for run in members if run.status != "ok"),
        base.name if base else "",
        equal_inputs(arms),
        (*_of_rows(rows), *remarks(arms)),
        Answer("virtual") if virtual else answer(arms, parities),
    )


def _base(arms: Arms, median_s: Mapping[Arm, float | None], baseline: str | None) -> Arm | None:
    """Return the arm that ratios are to: the first of that name that has an epoch time."""
    named = (arm for arm, runs in arms.items() if baseline in (None, *_names(runs[0])))
    return next((arm for arm in named if median_s[arm] is not None), None)


def _rows(
    arms: Arms, median_s: Mapping[Arm, float | None], parities: Mapping[Arm, str], base: Arm | None
) -> Iterable[ArmRow]:
    """Yield a row for each arm."""
    contents, base_s = _contents(arms), median_s[base] if base else None
    natives = [arm for arm in arms if arm.id.arm == NATIVE and median_s[arm] is not None]
    native_s = {_place(arm): median_s[arm] for arm in natives}
    for arm, runs in arms.items():
        native = native_s.get(_place(arm))
        yield row_of(arm, runs, Context(parities[arm], contents.get(arm, ""), base_s, native))


def _arms(members: Sequence[Record]) -> dict[Arm, list[Record]]:
    """Return the runs of each arm, a backend's arms together."""
    arms: dict[Arm, list[Record]] = defaultdict(list)
    for record in members:
        version = record.measured.versions.get("framework_version", "") if record.measured else ""
        arm = Arm(record.arm, record.device, version, record.environment_sha256)
        arms[arm].append(record)
    _adopt_failures(arms)
    backends = list(dict.fromkeys(arm.id.backend for arm in arms))
    return dict(sorted(arms.items(), key=lambda item: backends.index(item[0].id.backend)))


def _place(arm: Arm) -> tuple[str | None, ...]:
    """Return where an arm ran: what it shares with the native arm that it is measured by."""
    return arm.id.backend, arm.device, arm.framework_version, arm.environment_sha256


def _contents(arms: Iterable[Arm]) -> Mapping[Arm, str]:
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


def _of_rows(rows: Sequence[ArmRow]) -> Iterable[Remark]:
    """Say which rows depart, and which have the same versions and ran other code."""
    yield from departed([row.name for row in rows if row.parity == "departs"])
    names = tuple(dict.fromkeys(row.name for row in rows if row.content))
    if names:
        yield Remark("contents", names)


def _adopt_failures(arms: dict[Arm, list[Record]]) -> None:
    """Give runs that failed before device and version were known to the arm's newest others."""
    for arm in [arm for arm, runs in arms.items() if not any(run.measured for run in runs)]:
        if homes := _homes(arm, arms):
            arms[max(homes, key=lambda home: arms[home][-1].started_at)].extend(arms.pop(arm))


def _homes(arm: Arm, arms: Iterable[Arm]) -> list[Arm]:
    """Return the other rows of an arm's name and device; those of its content, where there are."""
    device = "" if arm.device == "auto" else arm.device
    others = (other for other in arms if other != arm and other.device.startswith(device))
    homes = [other for other in others if other.name == arm.name]
    content = arm.environment_sha256
    return [home for home in homes if home.environment_sha256 == content] or homes


def _worst(runs: Sequence[Record], verdicts: Verdicts) -> str:
    """Return the parity of an arm's finished runs."""
    return worst({verdict_on(run, verdicts) for run in runs if run.status == "ok"})
