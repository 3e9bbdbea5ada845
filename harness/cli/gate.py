"""`harness gate`: has an arm become slower, or its numbers others, since an earlier session? Exit 0 where none has, 1 where one has.

Exit 3 where it cannot be told, 4 where the sessions must not be compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import (
    ConfigOption,
    NoWaitOption,
    ResultsOption,
    configured,
    console_of,
    say,
    summarised,
    written,
)
from harness.cli.session import Wanted, begun, sat
from harness.errors import ConfigError, NotComparable, StoreError
from harness.safe import for_markdown

if TYPE_CHECKING:
    from harness.experiments.gate.judge import Gate
    from harness.records.bench import Bench
    from harness.records.bench_store import Loaded

CODES = {"passed": 0, "regressed": 1, "inconclusive": 3}
TRACKED = Path("results/reference")  # what a revision has of results


def gate(
    against: Annotated[
        str,
        typer.Option(
            help="A results folder with bench sessions, or a git revision: main, HEAD~1, v0.3.0."
        ),
    ],
    path: Annotated[
        Path, typer.Option(help="With a revision: the results folder that it tracks.")
    ] = TRACKED,
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm/--no-confirm",
            help="Measure arms that look slower again, in fresh blocks; unconfirmed is exit 3.",
        ),
    ] = True,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0.02,
            max=1.0,
            help="The slowdown that must be excluded for an arm to pass: 0.05 is 5 %.",
        ),
    ] = 0.05,
    json: Annotated[
        Path | None, typer.Option(help="Also write what has become of each arm there.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Also write JUnit XML there, a test case an arm.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write the table there, as for a CI's summary.")
    ] = None,
    no_wait: NoWaitOption = False,
    results: ResultsOption = None,
    config: ConfigOption = None,
) -> None:
    """Hold the newest complete bench session against an earlier one: which arms have other numbers or have become slower?"""
    from harness.experiments.gate.judge import judge_gate
    from harness.experiments.train.document import left_out
    from harness.records import bench_store, store

    if math.isnan(tolerance):  # which is neither less than the least nor more than the most
        raise ConfigError("--tolerance: expected a number from 0.02 to 1; received nan")
    known = (
        results is not None and Path(against).is_dir()
    )  # then nothing of backends.toml is needed
    root = Path() if known else configured(config)[0]
    results = results or root / "results"
    loaded = bench_store.load_all(results)
    head = _newest(loaded, str(results))
    with _folder(against, root, path) as folder:
        earlier = bench_store.load_all(folder)
    if loaded.sessions[0] is not head:
        newer = loaded.sessions[0].session.run_id
        say(
            f"! session {newer} is newer and not complete: left out. To finish it: harness bench --resume",
            "yellow",
        )
    for entry in (*loaded.rejected, *earlier.rejected):
        say(f"! {left_out(entry)}", "yellow", stderr=True)
    base = _comparable(head, earlier, f"--against {against}")
    parities = store.load_all(results).parities
    found = judge_gate(head, base, tolerance=tolerance, parities=parities)
    interrupted = False
    if found.suspects and confirm:
        say(
            f"{', '.join(found.suspects)}: may have regressed; measured again, in fresh blocks",
            "yellow",
        )
        again, interrupted = _confirmed(found.suspects, head, config, results, wait=not no_wait)
        _same_ground(again, base)
        found = judge_gate(head, base, again, tolerance, parities)
    _shown(found, json, junit, markdown)
    if interrupted or CODES[found.outcome]:
        raise typer.Exit(130 if interrupted else CODES[found.outcome])


def _confirmed(
    suspects: tuple[str, ...], head: Bench, config: Path | None, results: Path, *, wait: bool
) -> tuple[Bench, bool]:
    """Return a fresh session of the suspects and head's baseline, of the code that is here, in results/confirm; and if it was interrupted.

    Not in results itself: there it would be the newest session, and the next gate's head.
    """
    root, whole = configured(config)
    there = head.session
    wanted = Wanted(
        arms=[there.baseline, *suspects],
        spec=there.spec_name,
        baseline=there.baseline,
        n_generations=there.n_generations,
        n_blocks=there.n_blocks,
        cores=there.cores,
        threads=str(there.threads),
        dataset=there.data.name,
        device=there.device,
    )
    fresh = begun(wanted, whole, root, results / "confirm", resume=False)
    return sat(
        fresh,
        whole,
        root,
        results / "confirm",
        budget_s=None,
        stop_after=None,
        verb="gate",
        wait=wait,
    )


def _same_ground(again: Bench, base: Bench) -> None:
    """Raise NotComparable where the session that was to confirm is not of base's machine, Keras, dataset and spec."""
    from harness.experiments.gate.regression import why_incomparable

    if again.blocks and (differences := why_incomparable(again, base)):
        said = f"session {again.session.run_id}, which was to confirm, must not be compared with {base.session.run_id}:"
        raise NotComparable("\n  ".join([said, *differences]))


def _newest(loaded: Loaded, where: str, but: str = "") -> Bench:
    """Return the newest complete session, `but` left out."""
    complete = _complete(loaded, but)
    if complete:
        return complete[0]
    if but in {bench.session.run_id for bench in loaded.sessions}:
        hint = "Measure again, into another folder: harness bench --results FOLDER"
        raise StoreError(
            f"{where}: its only complete session, {but}, is the one that is judged. {hint}"
        )
    left = next((bench for bench in loaded.sessions if bench.session.run_id != but), None)
    hint = (
        f"session {left.session.run_id} is not complete. Run: harness bench --resume"
        if left
        else "Run: harness bench"
    )
    raise StoreError(f"{where}: no complete bench session to compare; {hint}")


def _complete(loaded: Loaded, but: str = "") -> list[Bench]:
    from harness.experiments.bench.remaining import unfinished_generations

    return [
        bench
        for bench in loaded.sessions
        if bench.session.run_id != but and bench.blocks and not unfinished_generations(bench)
    ]


def _comparable(head: Bench, earlier: Loaded, where: str) -> Bench:
    """Return the newest session that head may be compared with.

    Raises:
        StoreError: there is no complete session but head itself.
        NotComparable: there are, and all differ in what must be equal; says in what the newest one does.
    """
    from harness.experiments.gate.regression import arm_changes, remarks, why_incomparable

    newest = _newest(earlier, where, but=head.session.run_id)
    for bench in _complete(earlier, but=head.session.run_id):
        if not why_incomparable(head, bench) and arm_changes(head, bench):
            return bench
    differences = why_incomparable(head, newest) or ("no arm is in both", *remarks(head, newest))
    said = [
        f"{where}: session {newest.session.run_id} must not be compared with {head.session.run_id}:",
        *differences,
    ]
    listed = (f"- {for_markdown(difference)}" for difference in differences)
    summarised("\n".join([f"**gate: not comparable**: {for_markdown(said[0])}", "", *listed]))
    raise NotComparable("\n  ".join(said))


@contextmanager
def _folder(against: str, root: Path, path: Path) -> Iterator[Path]:
    """Give the results folder to compare with: one that is there, or that of a revision."""
    from harness.records.revision import at_revision

    if Path(against).is_dir():
        yield Path(against)
        return
    with at_revision(root, against, path) as folder:
        yield folder


def _shown(found: Gate, json: Path | None, junit: Path | None, markdown: Path | None) -> None:
    """Print what was found, and write it where a CI wants it."""
    from harness.experiments.gate import document as report

    console_of().print(report.terminal(found), crop=False)
    text = report.markdown(found)
    written(
        {
            "--json": (json, report.as_json(found)),
            "--junit": (junit, report.junit(found)),
            "--markdown": (markdown, text),
        }
    )
    summarised(text)
