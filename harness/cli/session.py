"""What `harness bench` and `harness gate` share: start or resume a bench session, and run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.output import console_of, say
from harness.cli.own_model import draw_and_prove
from harness.cli.parsing import parse_threads
from harness.cli.project import Project, hold_machine, prepare_dataset
from harness.cli.signals import delay_interrupts
from harness.errors import StoreError

if TYPE_CHECKING:
    from harness.engine.executor import Executor
    from harness.engine.plan import Planned
    from harness.experiments.bench.forecast import Budget
    from harness.experiments.bench.plan import Repeated
    from harness.experiments.bench.session import Outcome
    from harness.job.answers import Host
    from harness.job.arm import ArmId
    from harness.records.bench import Bench, OfCell, Part, Session
    from harness.spec.config import Config, Device


UNFINISHED = {
    why: f"{sentence}: the session is not complete. Go on with it: harness {{}}{{}} --resume"
    for why, sentence in (
        ("budget", "the budget is spent"),
        ("stopped", "stopped as asked"),
        ("interrupted", "interrupted"),
    )
}


ONLY_DESCRIBED = "! only its description says that this is the machine on which the session began"


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a session is asked to be; None where nothing is said."""

    arms: tuple[ArmId, ...] = ()
    spec: str | None = None
    baseline: str | None = None
    n_generations: int | None = None
    n_blocks: int | None = None
    cores: tuple[int, ...] | None = None
    threads: str | None = None
    replicas: int | None = None
    dataset: str | None = None
    device: Device = "auto"
    aa: Repeated | None = None
    cell: OfCell | None = None  # of a sweep, that it measures


def resume_or_start(request: SessionRequest, project: Project, *, resume: bool) -> Bench:
    """Return the newest unfinished session where that is asked for and exists, else a new one.

    Args:
        request: what the session is asked to be; one that is resumed must be just that.
        project: where it runs and is kept.
        resume: look for an unfinished session first.
    """
    from harness.experiments.bench import same_plan
    from harness.experiments.bench.remaining import unfinished_generations
    from harness.records.sessions import load_all

    if resume:
        for bench in load_all(project.results).sessions:
            if unfinished_generations(bench):
                session = bench.session
                same_plan.check_same_plan(session, _asked_and_planned(request, session))
                same_plan.check_possible(session, project.config, project.root)
                say(f"going on with session {session.run_id}")
                return bench
        say(f"{project.results}: no session to go on with; a new one begins")
    return start_session(request, project)


def _asked_and_planned(
    request: SessionRequest, session: Session
) -> dict[str, tuple[object, object]]:
    """Return, for each option, what is asked for (None: nothing) and what a session has."""
    names = ", ".join(sorted(arm.name for arm in request.arms)) or None
    planned_names = ", ".join(sorted({entrant.arm.name for entrant in session.entrants}))
    dataset = None if request.dataset == "auto" else request.dataset
    device = None if request.device == "auto" else request.device
    return {
        "arms": (names, planned_names),
        "--aa": (request.aa, "each" if session.repeats else "baseline"),
        "--spec": (request.spec, session.spec_name),
        "--baseline": (request.baseline, session.baseline),
        "--generations": (request.n_generations, session.n_generations),
        "--blocks": (request.n_blocks, session.n_blocks),
        "--pin": (request.cores, session.cores),
        "--threads": (request.threads, str(session.threads)),
        "--replicas": (request.replicas, session.replicas),
        "--dataset": (dataset, session.data.name),
        "--device": (device, session.device),
    }


def start_session(request: SessionRequest, project: Project) -> Bench:
    """Return a new session, planned and kept."""
    from harness.engine.arms import declared_arms, select_arms
    from harness.experiments.bench import plan as sessions
    from harness.experiments.bench import same_plan
    from harness.records import store
    from harness.records.bench import Bench

    config = _configure(project.config, request)
    spec_name, spec = config.spec(request.spec)
    dataset = project.prepared or prepare_dataset(request.dataset or spec.dataset, quiet=True)
    arms = request.arms or select_arms(declared_arms(config), default=config.bench.arms)
    host = _locate(project, arms[0].backend)
    cores, aa = request.cores or (), request.aa or "baseline"
    asked = sessions.Asked(arms, request.baseline, request.device, cores, aa)
    session = sessions.plan_session(config, spec_name, dataset, host, asked)
    session = session.model_copy(update={"cell": request.cell})
    sessions.requests(session, config, dataset, host)  # or a refusal, before anything is kept
    same_plan.check_possible(session, config, project.root)
    store.ready(project.results, "bench")
    store.add(project.results, session)
    return Bench(session=session)


def _locate(project: Project, backend: str) -> Host:
    """Return the machine on which a session's workers run, as one of a backend's sees it."""
    from harness.engine.executor import perform
    from harness.job.asked import Locate

    return perform(project.executor, Locate(backend=backend)).host


def _configure(config: Config, request: SessionRequest) -> Config:
    """Return the configuration with the size and the threads that are asked for."""
    from harness.spec.config import override_protocol

    size = {
        "generations": request.n_generations or config.bench.generations,
        "blocks": request.n_blocks or config.bench.blocks,
    }
    given = {"threads": parse_threads(request.threads), "replicas": request.replicas}
    protocol = override_protocol(config.protocol, **given)
    bench = config.bench.model_copy(update=size)
    return config.model_copy(update={"protocol": protocol, "bench": bench})


def run_session(
    bench: Bench,
    project: Project,
    *,
    budget: Budget | None = None,
    stop_after: int | None = None,
    before: Callable[[Session], None] = lambda session: None,
    verb: str = "bench",
    wait: bool = True,
) -> tuple[Bench, bool]:
    """Return the session with what it lacked, and whether an interrupt ended the measuring.

    Args:
        bench: the session as far as it is measured.
        project: where it runs and is kept.
        budget: as for `harness.experiments.bench.session.run_session`.
        stop_after: as for `harness.experiments.bench.session.run_session`.
        before: done first, while no other harness can measure this session.
        verb: that measures, for whoever comes next to this machine.
        wait: until nobody else measures on this machine.

    Raises:
        MachineBusy: somebody does, and is not to be waited for.
    """
    from harness.records.sessions import file_of

    session, file = bench.session, file_of(project.results, bench.session.run_id)
    host = _locate(project, session.entrants[0].backend)
    planned = _requests(project, session, host)
    _print_plan(bench, host)
    with _lock_session(file), hold_machine(verb, wait=wait):
        before(session)
        if project.prepared:
            planned = _requests(_ready(project, session), session, host)
        found, outcome = _measure(file, project.executor, planned, budget, stop_after)
    if outcome != "complete" and not session.cell:
        say(UNFINISHED[outcome].format(verb, _named(session)), "yellow")
    return found, outcome == "interrupted"


def _named(session: Session) -> str:
    """Return what names the spec of a session on a command line, where it must be named."""
    from harness.spec.model import is_target

    return f" {session.spec_name}" if is_target(session.spec_name) else ""


def _ready(project: Project, session: Session) -> Project:
    """Return a user's own model with the weights of each generation, and its arms proved."""
    arms, seeds = (entrant.arm for entrant in session.entrants), range(session.n_generations)
    return draw_and_prove(project, session.spec_name, arms, seeds, session.replicas)


def _requests(project: Project, session: Session, host: Host) -> Callable[[str, int], Planned]:
    """Return what gives an entrant's request in a generation, once its parts can be kept."""
    from harness.experiments.bench import plan as sessions
    from harness.records import store

    store.ready(project.results, "bench")
    dataset = project.prepared or prepare_dataset(session.data.name)
    return sessions.requests(session, project.config, dataset, host)


def _measure(
    file: Path,
    executor: Executor,
    planned: Callable[[str, int], Planned],
    budget: Budget | None,
    stop_after: int | None,
) -> tuple[Bench, Outcome]:
    """Measure what the session in a file still lacks; another harness may have added to it."""
    from harness.experiments.bench.session import Room, run_session
    from harness.records.sessions import load
    from harness.report.progress import bench_progress

    known, _ = load(file.parents[1], file.stem)
    if isinstance(known, str):
        raise StoreError(f"{file}: {known}")
    with bench_progress(console_of()) as show:
        room = Room(executor, planned, _keeper(file), show)
        return run_session(known, room, budget=budget, stop_after=stop_after)


def _keeper(file: Path) -> Callable[[Part], None]:
    """Return what keeps each part, and says so once where the file cannot be written any more."""
    from harness.records import store

    elsewhere: list[Path] = []

    def keep(part: Part) -> None:
        with delay_interrupts():
            kept = store.add(file.parents[1], part, file.stem)
        if kept != file and not elsewhere:
            say(f"! {file}: cannot be written any more; parts are kept in {kept}", "red")
            elsewhere.append(kept)

    return keep


@contextmanager
def _lock_session(file: Path) -> Iterator[None]:
    """Hold the session: two at once would disturb each other, and measure the same blocks."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(file.with_name(f".{file.stem}.lock"), timeout=0):
            yield
    except Timeout:
        hint = "Wait for it, or begin one without --resume"
        raise StoreError(f"{file}: another harness is measuring this session. {hint}") from None


def _print_plan(bench: Bench, host: Host) -> None:
    """Print a session's plan, and whether it is known to have begun on this machine."""
    session = bench.session
    if bench.starts and session.host.same_as(host) is None:
        say(ONLY_DESCRIBED, "yellow")
    names = ", ".join(entrant.name for entrant in session.entrants)
    size = f"{session.n_generations} generations of fresh processes, {session.n_blocks} blocks each"
    say(f"session {session.run_id}: {names}; {size}")
