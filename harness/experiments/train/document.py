"""Comparison -> terminal, Markdown, CSV, JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Group, RenderableType
from rich.text import Text

from harness.experiments.train import answer_document
from harness.experiments.train.judge import ArmRow, Failed, Spread, Table, differences
from harness.records.files import Rejected
from harness.records.frame import as_csv
from harness.report.fitting import Fitting, Sentence, columns_of
from harness.report.markdown import bar
from harness.safe import for_markdown, short

HEADER = (
    "arm",
    "version",
    "device",
    "parity",
    "test accuracy",
    "epoch s",
    "ratio",
    "to native",
    "first epoch s",
    "total s",
    "peak MiB",
    "runs",
)
WORDS = ("arm", "version", "device", "parity", "runs")
MAY_BE_LEFT_OUT = (
    "ratio",
    "test accuracy",
    "runs",
    "to native",
    "device",
    "version",
    "total s",
    "first epoch s",
    "peak MiB",
)
WHOLE = "harness compare --format markdown"
EQUAL_INPUTS = "equal inputs: in every run of a seed the same initial weights, sample order and data, byte for byte (SHA-256)"
LEGEND = (
    "parity: whether each update is the float64 referee's (harness parity). "
    "test accuracy: mean ± sd over seeds. epoch s: median (lowest-highest) of all epochs after the first. "
    "ratio: median epoch to the baseline's (1.00); to native: to that of the same backend's native arm, which does the same sums "
    "without Keras. Runs follow one another, so a ratio holds the machine's drift."
)


def cells(row: ArmRow) -> tuple[str, ...]:
    """Return one arm's row as text, in the order of HEADER; a dash where there is no figure."""
    return (
        row.name,
        (row.framework_version or "-") + (f" ({row.content})" if row.content else ""),
        row.device,
        row.parity,
        _accuracy(row),
        _marked(row, _seconds(row.epoch_s)),
        _marked(row, _number(row.ratio, 2)),
        _marked(row, _number(row.to_native, 2)),
        _number(row.first_epoch_s, 2),
        _number(row.total_s, 1),
        _number(row.peak_rss_bytes / 2**20 if row.peak_rss_bytes else None, 0),
        row.status,
    )


def heading(table: Table) -> str:
    """Return what the rows of a table share, in one line."""
    key = table.key
    parts = [
        key.spec,
        f"{key.dataset} ({key.data_sha256[:8]})",
        f"{key.epochs} epochs",
        f"Keras {key.keras}",
        key.machine,
    ]
    return ", ".join(
        map(short, parts + ([f"threads {key.threads}"] if key.threads != "auto" else []))
    )


def notes(tables: Sequence[Table], rejected: Sequence[Rejected]) -> list[str]:
    """Return the sentences that stand under the tables."""
    said = []
    if len(tables) > 1:
        said.append(
            f"{len(tables)} tables, since runs differ in: {', '.join(differences(tables))}. Do not compare across them."
        )
    return said + [left_out(entry) for entry in rejected]


def left_out(entry: Rejected) -> str:
    """Return the sentence on a file among records that is none."""
    return f"left out: {short(entry.file.name)}: {short(entry.reason)}"


def terminal(tables: Sequence[Table], rejected: Sequence[Rejected] = ()) -> RenderableType:
    """Return what a terminal shows: each table, with what it answers last."""
    shown: list[RenderableType] = []
    for table in tables:
        shown += [Sentence(heading(table), "bold"), _fitting(table)]
        shown += (
            [Sentence(EQUAL_INPUTS, "green")] if table.equal_inputs and len(table.rows) > 1 else []
        )
        shown += [Sentence(_failure(failed), "red") for failed in table.failures]
        shown += [Sentence(f"! {remark}", "yellow") for remark in table.remarks]
        shown += [
            Text(),
            *(Sentence(said, "bold") for said in answer_document.sentences(table.answer)),
            Text(),
        ]
    shown += [Sentence(note, "yellow") for note in notes(tables, rejected)]
    return Group(*shown, Sentence(LEGEND, "dim"))


def _fitting(table: Table) -> Fitting:
    """Return the rows in the columns that fit; device and version always, where rows have the same name without them."""
    several = len({row.name for row in table.rows}) < len(table.rows)
    needed = ("device", "version") if several else ()
    columns = columns_of(HEADER, WORDS, [name for name in MAY_BE_LEFT_OUT if name not in needed])
    return Fitting(columns, tuple(cells(row) for row in table.rows), whole=WHOLE)


def markdown(tables: Sequence[Table], rejected: Sequence[Rejected] = ()) -> str:
    """Return the tables as GitHub-flavoured Markdown."""
    lines: list[str] = []
    for table in tables:
        lines += [
            f"**{for_markdown(heading(table))}**",
            "",
            bar(HEADER),
            bar(["---"] * 4 + ["---:"] * (len(HEADER) - 5) + ["---"]),
        ]
        lines += [bar(cells(row)) for row in table.rows]
        lines += [
            "",
            *([f"- {EQUAL_INPUTS}"] if table.equal_inputs and len(table.rows) > 1 else []),
        ]
        said = (*map(_failure, table.failures), *table.remarks)
        lines += [*(f"- {for_markdown(line)}" for line in said), ""]
        lines += [for_markdown(" ".join(answer_document.sentences(table.answer))), ""]
    lines += [f"- {for_markdown(note)}" for note in notes(tables, rejected)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join([*lines, "", LEGEND, ""]))


def csv(tables: Sequence[Table]) -> str:
    """Return one row an arm, the table's key in front."""
    return as_csv(_flat(asdict(table.key) | asdict(row)) for table in tables for row in table.rows)


def as_json(tables: Sequence[Table], rejected: Sequence[Rejected] = ()) -> str:
    """Return everything: tables, failures, remarks, and the files left out."""
    left_out = [{"file": entry.file.name, "reason": entry.reason} for entry in rejected]
    return json.dumps(
        {"tables": [asdict(table) for table in tables], "left_out": left_out}, indent=1, default=str
    )


def _accuracy(row: ArmRow) -> str:
    if row.test_accuracy is None:
        return "-"
    if row.test_accuracy_sd is None:
        return f"{row.test_accuracy.mid:.4f} (1 seed)"
    return f"{row.test_accuracy.mid:.4f} ± {row.test_accuracy_sd:.4f} ({row.n_seeds} seeds)"


def _seconds(spread: Spread | None) -> str:
    return f"{spread.mid:.2f} ({spread.low:.2f}-{spread.high:.2f})" if spread else "-"


def _marked(row: ArmRow, figure: str) -> str:
    """Mark a figure of an arm that departs: it is the time of other numbers."""
    return f"{figure} !" if row.parity == "departs" and figure != "-" else figure


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _failure(failed: Failed) -> str:
    return f"{failed.status}: {failed.run_id}: {short(failed.reason)}"


def _flat(values: dict[str, object]) -> dict[str, object]:
    """Return nested values as name_low, name_mid, name_high."""
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{name}_{part}": inner for part, inner in value.items()}
        elif value is None and name in ("test_accuracy", "epoch_s"):
            flat |= {f"{name}_{part}": None for part in ("low", "mid", "high")}
        else:
            flat[name] = value
    return flat
