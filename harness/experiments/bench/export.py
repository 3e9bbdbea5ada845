"""Summary -> CSV and JSON, for programs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from harness.experiments.bench.document import memory_labels
from harness.experiments.bench.summary import ArmSummary, Summary
from harness.records.bench import Bench
from harness.records.frame import as_csv
from harness.statistics.intervals import Interval


def csv(summary: Summary, bench: Bench) -> str:
    """Return one row an arm, in front what all share."""
    session = bench.session
    shared = {
        "session": session.run_id,
        "started_at": session.started_at,
        "spec": session.spec_name,
        "dataset": session.data.name,
        "data_sha256": session.data.sha256,
        "machine": session.host.machine,
        "threads": session.threads,
        "baseline": summary.baseline,
        **_ends("floor", summary.floor),
    }
    return as_csv(shared | _row(arm, summary) for arm in summary.arms)


def as_json(summary: Summary, bench: Bench) -> str:
    """Return the plan and the summary, without the turns; an infinite break-even is "never"."""
    said = plain(asdict(summary))
    for arm, row in zip(summary.arms, said["arms"], strict=True):
        row |= {"break_even": _never(arm.break_even), "other_numbers": arm.other_numbers}
    return (
        json.dumps(
            {"session": bench.session.model_dump(mode="json"), "standing": said},
            indent=1,
            allow_nan=False,
        )
        + "\n"
    )


def _row(arm: ArmSummary, summary: Summary) -> dict[str, object]:
    """Return an arm under names that all arms of the session have."""
    mean, sd = arm.test_accuracy or (None, None)
    row: dict[str, object] = {
        "arm": arm.name,
        "device": arm.device,
        "verdict": arm.verdict,
        "reason": arm.reason,
        "parity": arm.parity,
    }
    row |= {
        "n_generations": arm.n_generations,
        "n_blocks": arm.n_blocks,
        "n_compiles_steady": arm.n_compiles_steady,
    }
    for name in ("epoch_s", "ratio", "to_fit", "share_of_limit"):
        row |= _ends(name, getattr(arm, name))
    row |= {"p_together": arm.p_together, "other_numbers": arm.other_numbers}
    row |= {
        "start_s": arm.start_s,
        "compile_s": arm.compile_s,
        "break_even": _never(arm.break_even),
        "energy_j": arm.energy_j,
    }
    row |= {
        f"memory_{label.lower().replace(' ', '_')}_bytes": arm.memory_bytes.get(label)
        for label in memory_labels(summary)
    }
    row |= {"test_accuracy": mean, "test_accuracy_sd": plain(sd)}
    row |= _ends("accuracy_difference", arm.accuracy.mean if arm.accuracy else None)
    row |= {"accuracy_verdict": arm.accuracy.verdict if arm.accuracy else None}
    return row | {
        name: arm.versions.get(name) for name in ("framework_version", "keras", "numpy", "python")
    }


def _ends(name: str, interval: Interval | None) -> dict[str, object]:
    values = (interval.low, interval.mid, interval.high) if interval else (None, None, None)
    return {
        f"{name}_{end}": plain(value)
        for end, value in zip(("low", "mid", "high"), values, strict=True)
    }


def plain(value: Any) -> Any:
    """Return what JSON can say: nothing where a number is not known, or is not finite."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _never(epochs: float | None) -> float | str | None:
    return "never" if epochs is not None and math.isinf(epochs) else epochs
