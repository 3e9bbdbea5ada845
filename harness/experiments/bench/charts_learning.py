"""Session -> charts of what it learned, and of what differs in its set-up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from harness.errors.safe import short
from harness.experiments.bench.summary import Summary
from harness.records.bench import Bench
from harness.report.charts import Chart
from harness.report.document import NONE, Column, Table, words
from harness.report.learning import chart_losses

DIGEST = 12  # digits of a digest that are shown


def losses(bench: Bench, summary: Summary) -> Chart | None:
    """Return each arm's loss by epoch, with its range over generations."""
    found = _losses(bench)
    shown = {arm.name: found[arm.name] for arm in summary.arms if found.get(arm.name)}
    return chart_losses(shown, "generations, each of its own seed")


def _losses(bench: Bench) -> Mapping[str, Mapping[int, list[float]]]:
    """Return each entrant's losses by epoch. A process counts its epochs, of invalid blocks too."""
    planned = 1 + bench.session.n_blocks  # more only where blocks were run again
    n_trained: Counter[tuple[int, str, int]] = Counter()
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for block in bench.blocks:
        for name, turn in block.turns.items():
            process = (block.generation, name, block.processes.get(name, 1))
            n_trained[process] += 1
            epoch = 1 + n_trained[process]
            if turn.loss > 0 and epoch <= planned:
                found[name][epoch].append(turn.loss)
    return found


def setup(bench: Bench, summary: Summary) -> Chart | None:
    """Return the settings and versions in which arms differ; those that all share in a sentence."""
    names = [arm.name for arm in summary.arms]
    rows = _settings(bench, names)
    differing = {what: values for what, values in rows.items() if len(set(values)) > 1}
    if not rows:
        return None
    equal = ", ".join(f"{what} {rows[what][0]}" for what in rows if what not in differing)
    return Chart(
        "setup",
        "What differs in the set-up?",
        f"{len(differing)} of {len(rows)} settings and versions differ between the arms.",
        f"Only rows that differ are shown; equal everywhere: {short(equal, 600) or 'none'}.",
        Table(
            (*words("what"), *(Column(short(name, 60), align="left") for name in names)),
            tuple(sorted((short(what, 60), *differing[what]) for what in differing)),
        ),
    )


def _settings(bench: Bench, names: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return each setting and version, and what it is in the processes of each of these arms."""
    seen: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for start in bench.starts:
        if start.status == "ok":
            content = (start.environment_sha256 or NONE)[:DIGEST]
            more = {"device": start.device, "content of the environment": content}
            for what, value in {**start.versions, **start.settings, **more}.items():
                seen[what][start.name].add(NONE if value is None else short(value, 80))
    return {
        what: tuple(" and ".join(sorted(of_arm[name])) or NONE for name in names)
        for what, of_arm in seen.items()
    }
