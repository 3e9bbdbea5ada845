"""What `harness bench` and `harness gate` share: a bench session begun or gone on with, and carried out under the user's eyes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.options import (
    alone_on_machine,
    console_of,
    dataset_of,
    say,
    threads_of,
    uninterrupted,
)
from harness.errors import StoreError

if TYPE_CHECKING:
    from harness.engine.plan import Planned
    from harness.experiments.bench.plan import Repeated
    from harness.experiments.bench.session import Outcome
    from harness.records.bench import Bench, Part, Session
    from harness.spec.config import Config, Device


UNFINISHED = {
    why: f"{said}: the session is not complete. Go on with it: harness bench --resume"
    for why, said in (
        ("budget", "the budget is spent"),
        ("stopped", "stopped as asked"),
        ("interrupted", "interrupted"),
    )
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a session is asked to be; None where nothing is said."""

    arms: list[str] | None = None
    spec: str | None = None
    baseline: str | None = None
    n_generations: int | None = None
    n_blocks: int | None = None
    cores: tuple[int, ...] | None = None
    threads: str | None = None
    dataset: str | None = None
    device: Device = "auto"
    aa: Repeated | None = None


def begun(wanted: Wanted, whole: Config, root: Path, results: Path, *, resume: bool) -> Bench:
    """Return the session to go on with: the newest unfinished one where that is asked for and there is one, else a new one."""
    from harness.experiments.bench import plan as sessions
    from harness.experiments.bench import same_plan
    from harness.experiments.bench.remaining import unfinished_generations
    from harness.records import bench_store

    arms = sessions.choose_arms(whole, wanted.arms or ())
    known = (
        next((each for each in bench_store.sessions(results) if unfinished_generations(each)), None)
        if resume
        else None
    )
    if known:
        there = known.session
        names = {"/".join(pair) for pair in arms} if wanted.arms else None
        same_plan.check_same_plan(
            there,
            {
                "--arms": (
                    names,
                    {entrant.name for entrant in there.entrants} - {*there.duplicates},
                ),
                "--aa": (wanted.aa, "each" if there.repeats else "baseline"),
                "--spec": (wanted.spec, there.spec_name),
                "--baseline": (wanted.baseline, there.baseline),
                "--generations": (wanted.n_generations, there.n_generations),
                "--blocks": (wanted.n_blocks, there.n_blocks),
                "--pin": (wanted.cores, there.cores),
                "--threads": (wanted.threads, str(there.threads)),
                "--dataset": (
                    None if wanted.dataset == "auto" else wanted.dataset,
                    there.data.name,
                ),
                "--device": (None if wanted.device == "auto" else wanted.device, there.device),
            },
        )
        same_plan.check_possible(there, whole, root)
        say(f"going on with session {there.run_id}")
        return known
    if resume:
        say(f"{results}: no session to go on with; a new one begins")
    return new(wanted, whole, root, results, arms)


def new(
    wanted: Wanted, whole: Config, root: Path, results: Path, arms: list[tuple[str, str]]
) -> Bench:
    """Return a new session, planned and kept."""
    from harness.engine import host as devices
    from harness.experiments.bench import plan as sessions
    from harness.experiments.bench import same_plan
    from harness.records import bench_store
    from harness.records.bench import Bench
    from harness.spec.config import override_protocol

    size = {
        "generations": wanted.n_generations or whole.bench.generations,
        "blocks": wanted.n_blocks or whole.bench.blocks,
    }
    update = {
        "protocol": override_protocol(whole.protocol, threads=threads_of(wanted.threads)),
        "bench": whole.bench.model_copy(update=size),
    }
    whole = whole.model_copy(update=update)
    spec_name, spec = whole.spec(wanted.spec)
    dataset, host = (
        dataset_of(wanted.dataset or spec.dataset, said=False),
        devices.describe_host(devices.detect_hardware()),
    )
    session = sessions.plan_session(
        whole,
        spec_name,
        dataset,
        host,
        arms=arms,
        baseline=wanted.baseline,
        device=wanted.device,
        cores=wanted.cores or (),
        aa=wanted.aa or "baseline",
    )
    sessions.requests(session, whole, dataset, host)  # or a refusal, before anything is kept
    same_plan.check_possible(session, whole, root)
    folder = bench_store.folder_of(results, session)
    bench_store.ready(folder)
    bench_store.add(folder, session)
    return Bench(session=session)


def sat(
    bench: Bench,
    whole: Config,
    root: Path,
    results: Path,
    budget_s: float | None,
    stop_after: int | None,
    before: Callable[[Session], None] = lambda session: None,
    *,
    verb: str = "bench",
    wait: bool = True,
) -> tuple[Bench, bool]:
    """Return the session with what it lacked, and whether an interrupt ended that: what there is by then is shown.

    Args:
        bench: the session as far as it is measured.
        whole: backends.toml.
        root: whose .nox holds the environments.
        results: where sessions are kept.
        budget_s: as for `harness.experiments.bench.session.run_session`.
        stop_after: as for `harness.experiments.bench.session.run_session`.
        before: done first, while no other harness can measure this session.
        verb: that measures, for whoever comes next to this machine.
        wait: until nobody else measures on this machine.

    Raises:
        MachineBusy: somebody does, and is not to be waited for.
    """
    from harness.engine import host as devices
    from harness.experiments.bench import plan as sessions
    from harness.records import bench_store

    session = bench.session
    folder = bench_store.folder_of(results, session)
    bench_store.ready(folder)
    host = devices.describe_host(devices.detect_hardware())
    planned = sessions.requests(session, whole, dataset_of(session.data.name), host)
    if bench.starts and session.host.same_as(host) is None:
        say(
            "! only its description says that this is the machine on which the session began",
            "yellow",
        )
    say(_plan_of(session))
    with _alone(folder), alone_on_machine(verb, wait=wait):
        before(session)
        found, outcome = _sit(folder, root, planned, budget_s, stop_after)
    if outcome != "complete":
        say(UNFINISHED[outcome], "yellow")
    return found, outcome == "interrupted"


def _sit(
    folder: Path,
    root: Path,
    planned: Callable[[str, int], Planned],
    budget_s: float | None,
    stop_after: int | None,
) -> tuple[Bench, Outcome]:
    """Measure what the session in a folder still lacks, as far as another harness has not measured it since."""
    from harness.experiments.bench.session import Room, run_session
    from harness.records import bench_store
    from harness.report.progress import bench_progress

    known = bench_store.load(folder)
    if isinstance(known, str):
        raise StoreError(f"{folder}: {known}")
    with bench_progress(console_of()) as show:
        room = Room(root, planned, _keeper(folder), show)
        return run_session(known, room, budget_s=budget_s, stop_after=stop_after)


def _keeper(folder: Path) -> Callable[[Part], None]:
    """Return what keeps each part of a session, and says so once where the folder cannot be written any more."""
    from harness.records import bench_store

    elsewhere: list[Path] = []

    def keep(part: Part) -> None:
        with uninterrupted():
            file = bench_store.add(folder, part)
        if folder not in file.parents and not elsewhere:
            say(f"! {folder}: cannot be written any more; parts are kept in {file.parent}", "red")
            elsewhere.append(file)

    return keep


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the session: two at once would disturb each other, and measure the same blocks."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise StoreError(
            f"{folder}: another harness is measuring this session. Wait for it, or begin one without --resume"
        ) from None


def _plan_of(session: Session) -> str:
    """Return a session's plan in one line."""
    names = ", ".join(entrant.name for entrant in session.entrants)
    return f"session {session.run_id}: {names}; {session.n_generations} generations of fresh processes, {session.n_blocks} blocks each"
