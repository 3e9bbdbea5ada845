"""`harness gate`: has an arm become slower, or its numbers others, since an earlier session?

Exit 0 where none has, 1 where one has, 3 where it cannot be told, 4 where the sessions must not be
compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.answer import Answer
from harness.cli.command import command
from harness.cli.options import GateOptions
from harness.cli.output import append_summary, say
from harness.cli.own_model import adopt_spec, prepared_model
from harness.cli.project import open_project
from harness.cli.report import prepare_page, write_page
from harness.cli.session import SessionRequest, resume_or_start, run_session
from harness.errors import ConfigError, NotComparable, StoreError

if TYPE_CHECKING:
    from harness.records.bench import Bench
    from harness.records.files import Rejected
    from harness.records.sessions import Sessions

CODES = {"passed": 0, "regressed": 1, "inconclusive": 3}


@command(GateOptions)
def gate(options: GateOptions) -> Answer:
    """Hold the newest complete bench session against an earlier one.

    Which arms have other numbers, or have become slower?
    """
    from harness.cli.report_page import gather
    from harness.experiments.gate import document as report
    from harness.experiments.gate.judge import judge_gate
    from harness.records import store

    prepare_page(options.report)
    tolerance, against = options.tolerance, options.against
    if math.isnan(tolerance):  # which is neither less than the least nor more than the most
        raise ConfigError("--tolerance: expected a number from 0.02 to 1; received nan")
    needs_config = options.results is None or not Path(against).is_dir()
    root = open_project(options.config).root if needs_config else Path()
    results = options.results or root / "results"
    head, base = _load_pair(results, root, against, options.path)
    parities = store.load_all(results).checks
    found = judge_gate(head, base, tolerance=tolerance, parities=parities)
    interrupted = False
    if found.suspects and options.confirm:
        suspects = ", ".join(found.suspects)
        say(f"{suspects}: may have regressed; measured again, in fresh blocks", "yellow")
        again, interrupted = _measure_again(found.suspects, head, options, results)
        _check_comparable(again, base)
        found = judge_gate(head, base, again, tolerance, parities)
    files = {"json": options.json, "junit": options.junit, "markdown": options.markdown}
    head_id = head.session.run_id
    return Answer(
        document=report.compose(found),
        record=found,
        exit_code=130 if interrupted else CODES[found.outcome],
        files=files,
        for_summary=True,
        write_page=lambda: write_page(
            options.report, results, lambda: gather(results, head_id, found)
        ),
    )


def _load_pair(results: Path, root: Path, against: str, path: Path) -> tuple[Bench, Bench]:
    """Return the newest complete session, and the earlier one that it is compared with."""
    from harness.records.sessions import load_all

    loaded = load_all(results)
    head = _newest(loaded, str(results))
    with _open_folder(against, root, path) as folder:
        earlier = load_all(folder)
    if loaded.sessions[0] is not head:
        newer = f"session {loaded.sessions[0].session.run_id} is newer and not complete"
        say(f"! {newer}: left out. To finish it: harness bench --resume", "yellow")
    _report_left_out((*loaded.rejected, *earlier.rejected))
    return head, _comparable(head, earlier, f"--against {against}")


def _report_left_out(rejected: Sequence[Rejected]) -> None:
    from harness.records.files import left_out

    for entry in rejected:
        say(f"! {left_out(entry)}", "yellow", stderr=True)


def _measure_again(
    suspects: tuple[str, ...], head: Bench, options: GateOptions, results: Path
) -> tuple[Bench, bool]:
    """Return a fresh session of the suspects and head's baseline, and whether it was interrupted.

    It runs the code that is here, and is kept in results/confirm: in results itself it would be the
    newest session, and the next gate's head.
    """
    from harness.engine.arms import declared_arms, select_arms

    session = head.session
    project = open_project(options.config, results / "confirm", options.python)
    project = adopt_spec(project, session)
    request = SessionRequest(
        arms=select_arms(declared_arms(project.config), (session.baseline, *suspects)),
        spec=session.spec_name,
        baseline=session.baseline,
        n_generations=session.n_generations,
        n_blocks=session.n_blocks,
        cores=session.cores,
        threads=str(session.threads),
        replicas=session.replicas,
        dataset=None if project.has_model(session.spec_name) else session.data.name,
        device=session.device,
    )
    wait = not options.no_wait
    with prepared_model(project, session.spec_name, wait=wait) as whole:
        fresh = resume_or_start(request, whole, resume=False)
        return run_session(fresh, whole, verb="gate", wait=wait)


def _check_comparable(again: Bench, base: Bench) -> None:
    """Raise NotComparable where the confirming session's machine, Keras, data or spec differ."""
    from harness.experiments.gate.document import told
    from harness.experiments.gate.regression import why_incomparable

    if again.blocks and (differences := told(why_incomparable(again, base))):
        confirming = f"session {again.session.run_id}, which was to confirm"
        problem = f"{confirming}, must not be compared with {base.session.run_id}:"
        raise NotComparable("\n  ".join([problem, *differences]))


def _newest(loaded: Sessions, where: str, but: str = "") -> Bench:
    """Return the newest complete session, `but` left out."""
    complete = _complete(loaded, but)
    if complete:
        return complete[0]
    if but in {bench.session.run_id for bench in loaded.sessions}:
        hint = "Measure again, into another folder: harness bench --results FOLDER"
        only = f"its only complete session, {but}, is the one that is judged"
        raise StoreError(f"{where}: {only}. {hint}")
    left = next((bench for bench in loaded.sessions if bench.session.run_id != but), None)
    hint = (
        f"session {left.session.run_id} is not complete. Run: harness bench --resume"
        if left
        else "Run: harness bench"
    )
    raise StoreError(f"{where}: no complete bench session to compare; {hint}")


def _complete(loaded: Sessions, but: str = "") -> list[Bench]:
    from harness.experiments.bench.remaining import unfinished_generations

    return [
        bench
        for bench in loaded.sessions
        if bench.session.run_id != but and bench.blocks and not unfinished_generations(bench)
    ]


def _comparable(head: Bench, earlier: Sessions, where: str) -> Bench:
    """Return the newest session that head may be compared with.

    Raises:
        StoreError: there is no complete session but head itself.
        NotComparable: there are, and all differ in what must be equal; says in what the newest
            one does.
    """
    from harness.experiments.gate.document import refusal, told
    from harness.experiments.gate.regression import arm_changes, remarks, why_incomparable
    from harness.report.remarks import Remark

    newest = _newest(earlier, where, but=head.session.run_id)
    for bench in _complete(earlier, but=head.session.run_id):
        if not why_incomparable(head, bench) and arm_changes(head, bench):
            return bench
    none_shared = (Remark("no common arm"), *remarks(head, newest))
    differences = told(why_incomparable(head, newest) or none_shared)
    problem = f"session {newest.session.run_id} must not be compared with {head.session.run_id}:"
    sentence = f"{where}: {problem}"
    append_summary(refusal(sentence, differences))
    raise NotComparable("\n  ".join([sentence, *differences]))


@contextmanager
def _open_folder(against: str, root: Path, path: Path) -> Iterator[Path]:
    """Give the results folder to compare with: one that is there, or that of a revision."""
    from harness.records.revision import at_revision

    if Path(against).is_dir():
        yield Path(against)
        return
    with at_revision(root, against, path) as folder:
        yield folder
