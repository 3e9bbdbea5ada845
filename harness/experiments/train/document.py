"""Tables of runs -> Document: each table with what it answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from harness.errors.safe import short
from harness.experiments.train import answer_document
from harness.experiments.train.judge import Failed, Table, differences
from harness.experiments.train.rows import ArmRow
from harness.records.files import Rejected, left_out
from harness.report import document as report
from harness.report.document import (
    NONE,
    Block,
    Column,
    Document,
    Heading,
    Paragraph,
    Sentence,
    sentences,
)
from harness.report.numbers import named, number, span
from harness.report.remarks import sentence_of

COLUMNS = (
    Column("arm", align="left"),
    Column("version", 6, align="left"),
    Column("device", 5, align="left"),
    Column("parity", align="left"),
    Column("test accuracy", 2),
    Column("epoch", unit="s"),
    Column("ratio", 1),
    Column("to native", 4),
    Column("first epoch", 8, "s"),
    Column("total", 7, "s"),
    Column("peak", 9, "MiB"),
    Column("runs", 3, align="left"),
)
QUALITY = Column("quality", 2, align="left")  # of a user's own model, in place of test accuracy
SEE_ALL = "harness compare --format markdown"
EQUAL_INPUTS = (
    "equal inputs: in every run of a seed the same initial weights, sample order and data, byte "
    "for byte (SHA-256)"
)
LEGEND = (
    "parity: whether each update is the float64 referee's (harness parity). "
    "test accuracy: mean ± sd over seeds. epoch s: median (lowest-highest) of all epochs after the "
    "first. ratio: median epoch to the baseline's (1.00); to native: to that of the same backend's "
    "native arm, which does the same sums without Keras. Runs follow one another, so a ratio holds "
    "the machine's drift."
)
OF_QUALITY = "quality: the compiled loss and metrics after training, mean over seeds"
SENTENCES = {
    "seeds": "seeds differ, so mean accuracies are of different draws: {0}",
    "inputs": "inputs differ: runs of one seed did not start from the same weights, or saw other "
    "samples or another order",
    "harness": "made by several versions of the harness ({names}), which may not time alike",
    "machines": "made on {0} machines that only their description says to be one, and that may "
    "not be equally fast",
    "machine unknown": "only its description says that all runs are of one machine: some records "
    "know no more",
    "no quality": "{names}: its quality is not known: {0}",
    "contents": "{names}: several rows, since the content of the environment was another under "
    "the same versions (in brackets)",
}


def compose(tables: Sequence[Table], rejected: Sequence[Rejected] = ()) -> Document:
    """Return each table with what it answers, then what was left out."""
    blocks: list[Block] = []
    for table in tables:
        blocks += _blocks(table)
    if len(tables) > 1:
        why = f"since runs differ in: {', '.join(differences(tables))}"
        many = f"{len(tables)} tables, {why}. Do not compare across them."
        blocks.append(Sentence(many, "warning"))
    blocks += sentences(map(left_out, rejected), "warning")
    return Document(
        (*blocks, Paragraph((LEGEND,), "aside")),
        data={
            "tables": [_values(table) for table in tables],
            "left_out": [{"file": each.file.name, "reason": each.reason} for each in rejected],
        },
        rows=tuple(
            _flat(asdict(table.key) | _row_values(row)) for table in tables for row in table.rows
        ),
    )


def cells(row: ArmRow) -> tuple[str, ...]:
    """Return one arm's row as text, in the order of COLUMNS; a dash where there is no figure."""
    return (
        row.name,
        (row.framework_version or NONE) + (f" ({row.content})" if row.content else ""),
        row.device,
        row.parity,
        _accuracy(row),
        _marked(row, span(row.epoch_s, 2)),
        _marked(row, number(row.ratio, 2)),
        _marked(row, number(row.to_native, 2)),
        number(row.first_epoch_s, 2),
        number(row.total_s, 1),
        number(row.peak_rss_bytes / 2**20 if row.peak_rss_bytes else None, 0),
        row.status,
    )


def heading(table: Table) -> str:
    """Return what the rows of a table share, in one line."""
    key = table.key
    data, threads = f"{key.dataset} ({key.data_sha256[:8]})", f"threads {key.threads}"
    parts = [key.spec, data, f"{key.epochs} epochs", f"Keras {key.keras}", key.machine]
    parts += [threads] * (key.threads != "auto") + [f"{key.replicas} devices"] * (key.replicas > 1)
    return ", ".join(map(short, parts))


def _blocks(table: Table) -> Iterable[Block]:
    """Return a table with all that is said of it."""
    yield Heading(heading(table))
    yield report.Table(_columns(table), tuple(map(cells, table.rows)), SEE_ALL)
    if any(row.quality for row in table.rows):
        yield Sentence(OF_QUALITY, "aside")
    if table.equal_inputs and len(table.rows) > 1:
        yield Sentence(EQUAL_INPUTS, "good")
    yield from sentences(map(_failure, table.failures), "bad")
    yield from sentences((f"! {remark}" for remark in remarks_of(table)), "warning")
    yield Paragraph(answer_document.sentences(table.answer), "strong", apart=True)


def _columns(table: Table) -> tuple[Column, ...]:
    """Return the columns of a table; none that its rows need is left out on a narrow screen."""
    several = len({row.name for row in table.rows}) < len(table.rows)
    needed = ("device", "version") if several else ()  # what rows of one name differ in
    own = any(row.quality for row in table.rows)
    known = (QUALITY if own and column.name == "test accuracy" else column for column in COLUMNS)
    return tuple(column._replace(rank=0) if column.name in needed else column for column in known)


def _values(table: Table) -> dict[str, object]:
    """Return a table as JSON has it."""
    rows = [_row_values(row) for row in table.rows]
    return asdict(table) | {"rows": rows, "remarks": remarks_of(table)}


def _row_values(row: ArmRow) -> dict[str, object]:
    """Return a row as CSV and JSON have it."""
    arm = {"backend": row.arm.backend, "implementation": row.arm.arm}
    others = {name: value for name, value in asdict(row).items() if name != "arm"}
    return arm | others | {"quality": dict(row.quality)}


def remarks_of(table: Table) -> list[str]:
    """Return what makes a table's rows less comparable than they look."""
    return [sentence_of(remark, SENTENCES) for remark in table.remarks]


def _accuracy(row: ArmRow) -> str:
    if row.quality:
        return named(dict(row.quality))
    if row.test_accuracy is None:
        return NONE
    if row.test_accuracy_sd is None:
        return f"{row.test_accuracy.mid:.4f} (1 seed)"
    return f"{row.test_accuracy.mid:.4f} ± {row.test_accuracy_sd:.4f} ({row.n_seeds} seeds)"


def _marked(row: ArmRow, figure: str) -> str:
    """Mark a figure of an arm that departs: it is the time of other numbers."""
    return f"{figure} !" if row.parity == "departs" and figure != NONE else figure


def _failure(failed: Failed) -> str:
    return f"{failed.status}: {failed.run_id}: {short(failed.reason)}"


def _flat(values: Mapping[str, object]) -> dict[str, object]:
    """Return nested values as name_low, name_mid, name_high."""
    flat: dict[str, object] = {}
    for name, value in values.items():
        if name == "quality":
            flat[name] = named(value) if isinstance(value, dict) and value else None
        elif isinstance(value, dict):
            flat |= {f"{name}_{part}": inner for part, inner in value.items()}
        elif value is None and name in ("test_accuracy", "epoch_s"):
            flat |= {f"{name}_{part}": None for part in ("low", "mid", "high")}
        else:
            flat[name] = value
    return flat
