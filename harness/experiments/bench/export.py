"""Summary -> rows and findings under names that stay, for programs."""

from __future__ import annotations

import math
from dataclasses import asdict

from harness.experiments.bench.lead_document import lead_sentences
from harness.experiments.bench.limits import describe_broken
from harness.experiments.bench.remarks import SENTENCES
from harness.experiments.bench.summary import ArmSummary, Summary
from harness.records.bench import Bench
from harness.report.numbers import named
from harness.report.remarks import sentence_of
from harness.statistics.intervals import Interval


def rows(summary: Summary, bench: Bench) -> tuple[dict[str, object], ...]:
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
    return tuple(shared | _row(arm, summary) for arm in summary.arms)


def findings(summary: Summary, bench: Bench) -> dict[str, object]:
    """Return the plan and the summary, without the turns; an infinite break-even is "never"."""
    arms = [
        asdict(arm) | {"break_even": _never(arm.break_even), "other_numbers": arm.other_numbers}
        for arm in summary.arms
    ]
    remarks = [sentence_of(remark, SENTENCES) for remark in summary.remarks]
    lead = summary.lead
    standing = {
        **{name: value for name, value in asdict(summary).items() if name != "lead"},
        "arms": arms,
        "remarks": remarks,
        "why_invalid": reasons(summary),
        "reigns": lead.reigns,
        "sentence": lead_sentences(lead),
        "close": [rival.name for rival in lead.close],
        "undecided": lead.undecided,
    }
    return {"session": bench.session, "standing": standing}


def reasons(summary: Summary) -> tuple[str, ...]:
    """Return the limits that blocks broke, in words, and how often."""
    return tuple(
        f"{describe_broken(limit, '…')} ({times} {'time' if times == 1 else 'times'})"
        for limit, times in summary.why_invalid
    )


def memory_labels(summary: Summary) -> list[str]:
    """Return the kinds of memory that are known of any arm, in the order of the arms."""
    return list(dict.fromkeys(label for arm in summary.arms for label in arm.memory_bytes))


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
    row |= {"test_accuracy": mean, "test_accuracy_sd": _known(sd)}
    row |= {"quality": named(arm.quality) if arm.quality else None}
    same = [f"{name} {found.verdict}" for name, found in arm.qualities.items()]
    row |= {"quality_verdict": ", ".join(same) or None}
    row |= _ends("accuracy_difference", arm.accuracy.mean if arm.accuracy else None)
    row |= {"accuracy_verdict": arm.accuracy.verdict if arm.accuracy else None}
    return row | {
        name: arm.versions.get(name) for name in ("framework_version", "keras", "numpy", "python")
    }


def _ends(name: str, interval: Interval | None) -> dict[str, object]:
    values = (interval.low, interval.mid, interval.high) if interval else (None, None, None)
    return {
        f"{name}_{end}": _known(value)
        for end, value in zip(("low", "mid", "high"), values, strict=True)
    }


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _never(epochs: float | None) -> float | str | None:
    return "never" if epochs is not None and math.isinf(epochs) else epochs
