"""Summary -> terminal, Markdown, CSV, JSON."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType

from harness.experiments.bench.summary import ArmSummary, Summary
from harness.records.bench import Bench
from harness.report.fitting import NONE, Column, Fitting, Sentence, columns_of, number, span
from harness.report.markdown import bar
from harness.safe import for_markdown, short
from harness.statistics.intervals import Interval

STYLES = {
    "faster": "green",
    "slower": "red",
    "same": "cyan",
    "inconclusive": "yellow",
    "set aside": "red",
    "baseline": "bold",
}
NO_ENERGY = "energy: unavailable (no counter that this process may read)"
NEVER_LEFT_OUT = ("arm", "verdict", "ratio")
BY_IMPORTANCE = (
    "epoch s",
    "parity",
    "accuracy",
    "to fit",
    "start s",
    "compile s",
    "break-even",
    "blocks",
    "of limit",
)
WHOLE = "harness bench --show --markdown FILE"
LEGEND = (
    "Intervals are 95 % each, over generations: fresh processes of every arm, which then take "
    "turns, an epoch each. keras: compile and fit; compiled: the same model and optimizer in a "
    "loop of the harness's own. epoch s: a steady epoch, the first one left out. ratio: to the "
    "baseline's, the median of pairs of one block, so not the quotient of two medians; to fit: "
    "to that of the same backend's keras arm. faster, slower: the interval excludes 1, by more "
    "than the threshold and than the A/A difference, with 95 % confidence for all comparisons of "
    "this session together; same: the interval is within the threshold. A/A: by how much an "
    "arm's own code differs from itself; the baseline's says nothing of a noisier arm, whose "
    "intervals are wider (--aa each measures an arm of each backend). compile s: the first epoch "
    "less a steady one, 0.00 where it is no longer. break-even: epochs from which on it is never "
    "behind the baseline, starts included. start s: from nothing to the end of the first epoch. "
    "of limit: the share that the epoch's arithmetic would take at the rates that this framework "
    "reaches. accuracy: after 1 + blocks epochs, mean ± sd over generations, and whether it is "
    "the baseline's within 0.25 points (TOST). blocks: valid ones in so many generations. !: the "
    "time of other numbers: parity departs or failed, or the accuracy is different; such an arm "
    "cannot lead."
)


def terminal(summary: Summary, bench: Bench) -> RenderableType:
    """Return what a terminal shows: who wins, the arms, and what makes it less sure."""
    return Group(
        Sentence(heading(bench), "bold"),
        Sentence(summary.sentence, "bold"),
        Fitting(
            columns(summary), tuple(cells(arm, summary) for arm in summary.arms), STYLES, WHOLE
        ),
        *(Sentence(text, style) for text, style in lines(summary, bench)),
        Sentence(LEGEND, "dim"),
    )


def markdown(summary: Summary, bench: Bench) -> str:
    """Return the same as GitHub-flavoured Markdown."""
    header = columns(summary)
    text = [
        f"**{for_markdown(heading(bench))}**",
        "",
        for_markdown(summary.sentence),
        "",
        bar([column.name for column in header]),
    ]
    text += [bar(["---:" if column.right else "---" for column in header])]
    text += [*(bar(cells(arm, summary)) for arm in summary.arms), ""]
    said = (line.removeprefix("! ") for line, _ in lines(summary, bench))
    return "\n".join([*text, *(f"- {for_markdown(line)}" for line in said), "", LEGEND, ""])


def heading(bench: Bench) -> str:
    """Return what all arms of a session share, in one line."""
    session = bench.session
    n_done = len({block.generation for block in bench.blocks if not block.invalid})
    parts = [
        f"bench of {session.spec_name}, {session.data.name} ({session.data.sha256[:8]})",
        *([f"Keras {keras}"] if (keras := " and ".join(_known(bench, "keras"))) else []),
        session.host.machine,
        *([f"threads {session.threads}"] if session.threads != "auto" else []),
        f"{n_done} of {session.n_generations} generations of {session.n_blocks} "
        f"{'block' if session.n_blocks == 1 else 'blocks'}",
        f"session {session.run_id}",
    ]
    return ", ".join(map(short, parts))


def columns(summary: Summary) -> tuple[Column, ...]:
    """Return the columns: one for each known kind of memory, one for energy where any is."""
    words = ("arm", "verdict", "parity", "accuracy", "blocks")
    names = [
        "arm",
        "verdict",
        "epoch s",
        "ratio",
        "to fit",
        "parity",
        "compile s",
        "break-even",
        "start s",
        "of limit",
    ]
    names += [f"{label} MiB" for label in memory_labels(summary)] + (
        ["energy J"] if _has_energy(summary) else []
    )
    names += ["accuracy", "blocks"]
    others = [name for name in names if name not in NEVER_LEFT_OUT and name not in BY_IMPORTANCE]
    return columns_of(names, words, (*BY_IMPORTANCE, *others))


def cells(arm: ArmSummary, summary: Summary) -> tuple[str, ...]:
    """Return an arm's row as text, in the order of `columns`; a dash where there is no figure."""
    return (
        arm.name,
        arm.verdict,
        _marked(arm, _interval(arm.epoch_s)),
        _marked(arm, _ratio(arm.ratio)),
        _marked(arm, _ratio(arm.to_fit)),
        arm.parity,
        NONE if arm.compile_s is None else f"{arm.compile_s:.2f}",
        _epochs(arm.break_even),
        number(arm.start_s),
        _share(arm.share_of_limit),
        *(
            number(arm.memory_bytes[label] / 2**20, 0) if label in arm.memory_bytes else NONE
            for label in memory_labels(summary)
        ),
        *([number(arm.energy_j)] if _has_energy(summary) else []),
        _accuracy(arm),
        f"{arm.n_blocks} in {arm.n_generations}",
    )


def lines(summary: Summary, bench: Bench) -> list[tuple[str, str]]:
    """Return the sentences under the table, each with its colour."""
    said = [(line, "cyan") for line in _floors(summary)]
    said += [
        (f"{arm.name}: {arm.verdict}: {short(arm.reason)}", STYLES[arm.verdict])
        for arm in summary.arms
        if arm.reason
    ]
    if summary.n_invalid:
        blocks = "1 block was" if summary.n_invalid == 1 else f"{summary.n_invalid} blocks were"
        why = "; ".join(map(short, summary.why_invalid))
        said.append(
            (f"note: {blocks} run again or given up, by limits set beforehand: {why}", "yellow")
        )
    said += [(f"note: {remark}", "yellow") for remark in summary.remarks]
    said += [] if _has_energy(summary) else [(NO_ENERGY, "dim")]
    if summary.own_cost is not None:
        said.append(
            (
                f"the harness itself took {summary.own_cost:.1%} of the session's time".replace(
                    "%", " %"
                ),
                "dim",
            )
        )
    return [*said, (f"versions: {_versions(summary)}", "dim")]


def _floors(summary: Summary) -> list[str]:
    """Return what identical code differed by, of each arm that ran twice."""
    each = {summary.baseline: summary.floor, **summary.floors}
    known = {name: floor for name, floor in each.items() if floor is not None}
    if not known:
        return [
            "A/A: identical code was not measured side by side, so nothing says what this "
            "session would call a difference without one"
        ]
    return [
        f"A/A: {name} against itself, identical code: {_ratio(floor)}; a smaller difference is "
        f"noise"
        for name, floor in known.items()
    ]


def _versions(summary: Summary) -> str:
    """Return each backend's version and device once."""
    said = [
        f"{arm.name.split('/')[0]} {arm.versions.get('framework_version', '?')} on "
        f"{arm.device or '?'}"
        for arm in summary.arms
    ]
    return ", ".join(dict.fromkeys(said))


def _known(bench: Bench, package: str) -> list[str]:
    return sorted({start.versions[package] for start in bench.starts if package in start.versions})


def memory_labels(summary: Summary) -> list[str]:
    """Return the kinds of memory that are known of any arm, in the order of the arms."""
    return list(dict.fromkeys(label for arm in summary.arms for label in arm.memory_bytes))


def _has_energy(summary: Summary) -> bool:
    return any(arm.energy_j is not None for arm in summary.arms)


def _marked(arm: ArmSummary, figure: str) -> str:
    """Mark a figure of an arm whose numbers are known to be others than they should be."""
    return f"{figure} !" if arm.other_numbers and figure != NONE else figure


def _interval(interval: Interval | None) -> str:
    return span(interval.low, interval.mid, interval.high) if interval else NONE


def _ratio(interval: Interval | None) -> str:
    return (
        span(interval.low, interval.mid, interval.high, 3 if interval.mid < 10 else 1)
        if interval
        else NONE
    )


def _share(interval: Interval | None) -> str:
    if interval is None:
        return NONE
    return span(
        100 * interval.low,
        100 * interval.mid,
        100 * interval.high,
        0 if interval.mid >= 0.1 else 1,
        " %",
    )


def _epochs(value: float | None) -> str:
    if value is None:
        return NONE
    return "never" if math.isinf(value) else str(math.ceil(value))


def _accuracy(arm: ArmSummary) -> str:
    if arm.test_accuracy is None:
        return NONE
    mean, sd = arm.test_accuracy
    spread = "" if math.isnan(sd) else f" ± {sd:.4f}"
    return f"{mean:.4f}{spread}" + (f" ({arm.accuracy.verdict})" if arm.accuracy else "")
