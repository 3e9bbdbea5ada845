"""A session for programs that are not this one: pairs in rows, and two services' JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.experiments.bench.paired import valid_turns
from harness.experiments.bench.summary import ArmSummary, Summary
from harness.records.bench import Bench
from harness.statistics.intervals import Interval


def pairs(bench: Bench) -> Iterator[dict[str, object]]:
    """Yield a row for each arm in each generation: its epoch to the baseline's, in pairs."""
    count, baseline = valid_turns(bench), bench.session.baseline
    for entrant in bench.session.entrants:
        for generation, log in count.log_ratios(entrant.name, baseline).items():
            if entrant.name != baseline:
                place = {"record": bench.session.run_id, "arm": entrant.name, "baseline": baseline}
                yield {**place, "generation": generation, "ratio": math.exp(log)}


def for_github(summary: Summary) -> list[dict[str, object]]:
    """Return what github-action-benchmark reads as "customSmallerIsBetter"."""
    return [
        {
            "name": f"{arm.name}: {name}",
            "unit": unit,
            "value": found.mid,
            "range": _range(found),
            "extra": f"session {summary.session_id}, {arm.verdict}, parity {arm.parity}",
        }
        for arm in summary.arms
        for name, unit, found in _measures(arm)
    ]


def for_bencher(summary: Summary) -> dict[str, dict[str, dict[str, float]]]:
    """Return Bencher's metric format: by arm and measure the value with its interval."""
    return {
        arm.name: {name: _metric(found) for name, _, found in _measures(arm)}
        for arm in summary.arms
    }


def _measures(arm: ArmSummary) -> Iterator[tuple[str, str, Interval]]:
    """Yield each figure of an arm with its unit; smaller is better of each."""
    if arm.epoch_s:
        yield "epoch", "s", arm.epoch_s
    if arm.ratio:
        yield "ratio to the baseline", "times", arm.ratio
    if arm.start_s is not None:
        yield "start", "s", Interval(math.nan, arm.start_s, math.nan)


def _metric(found: Interval) -> dict[str, float]:
    ends = {"lower_value": found.low, "upper_value": found.high}
    known = {name: value for name, value in ends.items() if math.isfinite(value)}
    return {"value": found.mid, **known}


def _range(found: Interval) -> str:
    known = math.isfinite(found.low) and found.low < found.high
    return f"{found.low:.4g}-{found.high:.4g}" if known else ""
