"""Summary -> Document: who wins, the arms, and what makes it less sure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from harness.errors.safe import short
from harness.experiments.bench import export
from harness.experiments.bench.lead_document import lead_sentences
from harness.experiments.bench.remarks import SENTENCES
from harness.experiments.bench.summary import ArmSummary, Summary
from harness.records.bench import Bench
from harness.report.document import (
    NONE,
    Cell,
    Column,
    Document,
    Heading,
    Paragraph,
    Sentence,
    Table,
    Tone,
    sentences,
)
from harness.report.numbers import named, number, ratio, span
from harness.report.remarks import sentence_of

TONES: dict[str, Tone] = {
    "faster": "good",
    "slower": "bad",
    "same": "equal",
    "inconclusive": "warning",
    "set aside": "bad",
    "baseline": "strong",
}
NO_ENERGY = "energy: unavailable (no counter that this process may read)"
NO_PAIR = (
    "A/A: identical code was not measured side by side, so nothing says what this session would "
    "call a difference without one"
)
COLUMNS = (
    Column("arm", align="left"),
    Column("verdict", align="left"),
    Column("epoch", 1, "s"),
    Column("ratio"),
    Column("to fit", 4),
    Column("parity", 2, align="left"),
    Column("compile", 6, "s"),
    Column("break-even", 7),
    Column("start", 5, "s"),
    Column("of limit", 9),
)
ACCURACY, BLOCKS = Column("accuracy", 3, align="left"), Column("blocks", 8, align="left")
QUALITY = ACCURACY._replace(name="quality")  # of a user's own model: its compiled loss and metrics
SEE_ALL = "harness bench --show --markdown FILE"
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


def compose(summary: Summary, bench: Bench, first: str = "") -> Document:
    """Return who wins, the arms, and what makes it less sure.

    Args:
        summary: what the session says.
        bench: the session.
        first: a sentence that comes before its own.
    """
    rows = tuple(cells(arm, summary) for arm in summary.arms)
    return Document(
        (
            Heading(heading(bench)),
            Paragraph((*([first] if first else []), lead_sentences(summary.lead)), "strong"),
            Table(columns(summary), rows, SEE_ALL),
            *lines(summary, bench),
            Paragraph((LEGEND,), "aside"),
        ),
        data=export.findings(summary, bench),
        rows=export.rows(summary, bench),
    )


def heading(bench: Bench) -> str:
    """Return what all arms of a session share, in one line."""
    session = bench.session
    n_done = len({block.generation for block in bench.blocks if not block.invalid})
    keras = " and ".join(_known(bench, "keras"))
    blocks = "block" if session.n_blocks == 1 else "blocks"
    parts = [
        f"bench of {session.spec_name}, {session.data.name} ({session.data.sha256[:8]})",
        f"Keras {keras}" if keras else "",
        session.host.machine,
        f"threads {session.threads}" if session.threads != "auto" else "",
        f"{session.replicas} devices" if session.replicas > 1 else "",
        f"{n_done} of {session.n_generations} generations of {session.n_blocks} {blocks}",
        f"session {session.run_id}",
    ]
    return ", ".join(short(part) for part in parts if part)


def columns(summary: Summary) -> tuple[Column, ...]:
    """Return the columns: one for each known kind of memory, one for energy where any is."""
    labels = enumerate(export.memory_labels(summary), start=10)
    memory = [Column(label, rank, "MiB") for rank, label in labels]
    energy = [Column("energy", 99, "J")] if _has_energy(summary) else []
    own = any(arm.quality for arm in summary.arms)
    return (*COLUMNS, *memory, *energy, QUALITY if own else ACCURACY, BLOCKS)


def cells(arm: ArmSummary, summary: Summary) -> tuple[str | Cell, ...]:
    """Return an arm's row as text, in the order of `columns`; a dash where there is no figure."""
    memory = (
        number(arm.memory_bytes[label] / 2**20, 0) if label in arm.memory_bytes else NONE
        for label in export.memory_labels(summary)
    )
    return (
        arm.name,
        Cell(arm.verdict, TONES[arm.verdict]),
        _marked(arm, span(arm.epoch_s)),
        _marked(arm, ratio(arm.ratio)),
        _marked(arm, ratio(arm.to_fit)),
        arm.parity,
        number(arm.compile_s, 2),
        _epochs(arm.break_even),
        number(arm.start_s),
        _share(arm),
        *memory,
        *([number(arm.energy_j)] if _has_energy(summary) else []),
        _accuracy(arm),
        f"{arm.n_blocks} in {arm.n_generations}",
    )


def lines(summary: Summary, bench: Bench) -> tuple[Sentence, ...]:
    """Return the sentences under the table."""
    reasons = (
        Sentence(f"{arm.name}: {arm.verdict}: {short(arm.reason)}", TONES[arm.verdict])
        for arm in summary.arms
        if arm.reason
    )
    notes = [f"note: {sentence_of(remark, SENTENCES)}" for remark in summary.remarks]
    return (
        *sentences(_floors(summary), "equal"),
        *reasons,
        *sentences([*_invalid(summary), *notes], "warning"),
        *sentences(_circumstances(summary), "aside"),
    )


def _floors(summary: Summary) -> Iterable[str]:
    """Return what identical code differed by, of each arm that ran twice."""
    each = {summary.baseline: summary.floor, **summary.floors}
    known = {name: floor for name, floor in each.items() if floor is not None}
    for name, floor in known.items():
        difference = f"identical code: {ratio(floor)}; a smaller difference is noise"
        yield f"A/A: {name} against itself, {difference}"
    if not known:
        yield NO_PAIR


def _invalid(summary: Summary) -> Iterable[str]:
    if summary.n_invalid:
        blocks = "1 block was" if summary.n_invalid == 1 else f"{summary.n_invalid} blocks were"
        why = "; ".join(map(short, export.reasons(summary)))
        yield f"note: {blocks} run again or given up, by limits set beforehand: {why}"


def _circumstances(summary: Summary) -> Iterable[str]:
    if not _has_energy(summary):
        yield NO_ENERGY
    if summary.own_cost is not None:
        yield f"the harness itself took {100 * summary.own_cost:.1f} % of the session's time"
    used = (
        f"{arm.name.split('/')[0]} {arm.versions.get('framework_version', '?')} on "
        f"{arm.device or '?'}"
        for arm in summary.arms
    )
    yield f"versions: {', '.join(dict.fromkeys(used))}"


def _known(bench: Bench, package: str) -> list[str]:
    return sorted({start.versions[package] for start in bench.starts if package in start.versions})


def _has_energy(summary: Summary) -> bool:
    return any(arm.energy_j is not None for arm in summary.arms)


def _marked(arm: ArmSummary, figure: str) -> str:
    """Mark a figure of an arm whose numbers are known to be others than they should be."""
    return f"{figure} !" if arm.other_numbers and figure != NONE else figure


def _share(arm: ArmSummary) -> str:
    share = arm.share_of_limit
    return span(share, 0 if share and share.mid >= 0.1 else 1, " %", scale=100)


def _epochs(value: float | None) -> str:
    if value is None:
        return NONE
    return "never" if math.isinf(value) else str(math.ceil(value))


def _accuracy(arm: ArmSummary) -> str:
    if arm.quality:
        return ", ".join(_quality(arm, name) for name in arm.quality)
    if arm.test_accuracy is None:
        return NONE
    mean, sd = arm.test_accuracy
    spread = "" if math.isnan(sd) else f" ± {sd:.4f}"
    return f"{mean:.4f}{spread}" + (f" ({arm.accuracy.verdict})" if arm.accuracy else "")


def _quality(arm: ArmSummary, name: str) -> str:
    """Return a metric's mean, and whether it is the baseline's where a margin is declared."""
    compared = arm.qualities.get(name)
    return named({name: arm.quality[name]}) + (f" ({compared.verdict})" if compared else "")
