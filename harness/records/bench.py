"""The records of one bench session.

What was planned, and what each process and each block of turns gave.

A session is a file, results/bench/SESSION.jsonl, to which a line is added for each part: the plan;
for each fresh process its start and its end; for each block the turns of all its entrants. Whatever
is killed, what was measured before stays, and what is still to be measured follows from the plan.

History of the format:
1   first. Since 0.5 numbers and texts have bounds, and a plan's names must fit together; every
    session written before does.
2   a start's environment_sha256; a host's identity, boot and quota; a session's `repeats`. Every
    part carries its format and, but for the plan and blocks, which say when they began, the time
    when it was written; a turn has children_s, and its load_1m may be unknown. Parts without them
    are read as before.
3   a line for each part, where a session was a folder with a file for each.
4   a spec may be a model of the user's own: its turns have no accuracy, its ends a quality.
5   of a plan: it may be a cell of a sweep (`cell`), and has `replicas`: one device each before.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from harness.errors.safe import short
from harness.job.answers import Rates
from harness.job.kinds import Count, Load, Loss, Said, Seconds, Sha256, Share, Took, Value
from harness.job.own_model import Quality
from harness.job.request import Asked, Kept, OfAnArm, Question
from harness.records.observation import Ended, Observation, Seen
from harness.spec.frozen import Frozen

# Of a generation or a block: as many as `harness bench` takes.
Number = Annotated[int, Field(ge=0, le=99)]
Joules = Annotated[float, Field(ge=0, le=1e12)] | None
"""None where the machine has no counter that this process may read."""


class Limits(Kept):
    """What a block may meet at most, declared before the session begins.

    Beyond it the block is invalid and run again whole.
    """

    # CPU seconds of all other processes, of what the cores that a worker may use had to give in one
    # turn.
    others: Share = 0.10
    steal: Share = 0.05  # of the same: what the hypervisor gave to other machines
    throttled: Share = 0.05  # of a turn's seconds: the control group's quota was spent
    # By which two clocks may disagree on a turn: a jump, or a machine that slept.
    clock_s: Seconds = 0.25
    n_attempts: Number = 3  # at one block; then it stays invalid, and counts in no estimate
    n_crashes: Number = 3  # of one entrant in the session; then it is set aside


class Entrant(OfAnArm):
    """One arm in the experiment; an arm that is there twice has two entrants."""

    name: str  # "jax/keras"; of the second one "jax/keras again"


class OfCell(Kept):
    """Which cell of which sweep a session measures, and the how many-th attempt at it this is."""

    sweep: str
    # A digest of all that the cell asks for. A cell of another spec, size or set of arms is another
    # one, whatever its values.
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    values: Asked  # of the sweep's axes
    attempt: Count  # from 1


class Session(Observation, Question):
    """The plan: with it all ids and all orders are given."""

    format: Literal[1, 2, 3, 4, 5] = 5
    cores: tuple[Count, ...] = ()  # that every worker is kept to; empty: as `threads` has it
    entrants: Annotated[tuple[Entrant, ...], Field(min_length=1)]
    baseline: str  # an entrant's name
    again: str = ""  # the name of the entrant that is the baseline's duplicate: the A/A arm
    repeats: tuple[str, ...] = ()  # further duplicates, of an arm of each other backend (--aa each)
    n_generations: Number
    n_blocks: Number  # of each generation, after the first epoch
    # Of the orders; weights and samples of generation g (from 1) are those of seed g - 1.
    seed: Count = 0
    limits: Limits = Limits()
    time_limit_s: Seconds = 1800.0  # for one event of a worker
    cell: OfCell | None = None

    @model_validator(mode="after")
    def _names_fit(self) -> Session:
        """Refuse a plan that speaks of entrants it does not have."""
        names = [entrant.name for entrant in self.entrants]
        if len(set(names)) < len(names):
            raise PydanticCustomError("sentence", "entrants: expected each name once")
        named = {self.baseline, self.again or names[0], self.original or names[0]}
        if strange := named.difference(names):
            what = {"name": short(min(strange))}
            raise PydanticCustomError("sentence", "entrants: no {name!r} among them", what)
        return self

    @property
    def original(self) -> str:
        """The name of the entrant that `again` repeats."""
        return original_of(self.again)

    @property
    def duplicates(self) -> tuple[str, ...]:
        """The names of all entrants that repeat another one, the baseline's first."""
        return (*((self.again,) if self.again else ()), *self.repeats)

    @property
    def originals(self) -> tuple[Entrant, ...]:
        """The entrants that repeat no other one."""
        return tuple(each for each in self.entrants if each.name not in self.duplicates)


def original_of(duplicate: str) -> str:
    """Return the name of the entrant that a duplicate repeats."""
    return duplicate.removesuffix(" again")


class OfProcess(Ended):
    """What the start and the end of a process share."""

    format: Literal[1, 2, 3, 4, 5] = 5
    written_at: str = ""  # UTC, ISO 8601; empty before 0.5
    generation: Number  # from 1
    process: Count  # from 1: the n-th of its entrant in this generation
    name: str  # the entrant's
    status: Literal["ok", "failed"] = "ok"


class Start(OfProcess, Seen):
    """One fresh process, from the call that starts it to the end of its first epoch.

    Where it did not get there, `reason` says why.
    """

    total_s: Seconds  # whole, as the parent saw it
    spawn_s: Seconds = 0.0
    import_s: Seconds = 0.0
    data_s: Seconds = 0.0
    build_s: Seconds = 0.0
    feed_s: Seconds = 0.0  # of the first epoch
    first_epoch_s: Seconds = 0.0  # compiling inside
    n_compiles: Count = 0
    n_parameters: Count = 0
    settings: dict[str, Value] = {}
    data_sha256: Sha256 | None = None
    weights_sha256: Sha256 | None = None
    order_sha256: Sha256 | None = None


class Turn(Kept):
    """One epoch of one live process while the others sleep, and what happened beside it."""

    feed_s: Seconds
    seconds: Took
    teardown_s: Seconds = 0.0  # those of `seconds` after the last update
    loss: Loss
    accuracy: Share | None = None  # None of a user's own model
    n_compiles: Count  # 0, or the turn held compilation
    user_s: Seconds  # CPU seconds of the process itself
    system_s: Seconds
    children_s: Seconds = 0.0  # of CPU, of processes that it started; before 0.5 in others_s
    n_involuntary: Count  # switches: the scheduler gave its core to another
    around_s: Seconds  # the turn as the parent saw it, feeding inside
    parent_s: Seconds  # CPU seconds of the parent meanwhile
    # CPU seconds of all other processes meanwhile; None where the system does not say.
    others_s: Seconds | None = None
    steal_s: Seconds | None = None
    throttled_s: Seconds | None = None
    pressure_s: Seconds | None = None  # in which some process of the machine waited for a core
    load_1m: Load = None  # the machine's load average; None where the system does not say
    clock_s: Seconds  # by which the clocks disagreed
    n_cores: Count  # that this process could use
    energy_j: Joules = None


class Block(Kept):
    """Every live entrant's turn once, in a balanced order; the n-th attempt at it."""

    format: Literal[1, 2, 3, 4, 5] = 5
    generation: Number
    block: Number  # from 1 in each generation
    attempt: Count  # from 1
    started_at: str
    order: tuple[str, ...]
    processes: dict[str, Count]  # which process of each entrant took its turn
    turns: dict[str, Turn]
    invalid: Said = ""  # why, by the limits; its turns are kept, and count in no estimate


class End(OfProcess):
    """The end of one process: what its model came to, and its memory; or why it ended early."""

    test_accuracy: Share | None = None  # after as many epochs as the plan has: 1 + n_blocks
    test_loss: Loss | None = None
    quality: Quality | None = None  # of a user's own model
    evaluate_s: Seconds = 0.0
    n_epochs: Count = 0  # trained by then
    memory_bytes: dict[str, Count] = {}  # by label: "peak RSS", "allocator peak", "NVML used"
    rates: Rates | None = None
    final_weights_sha256: Sha256 | None = None


class Sitting(Kept):
    """One call's work on the session, where it was not killed.

    What it cost in all, and how much of that its workers took.
    """

    format: Literal[1, 2, 3, 4, 5] = 5
    written_at: str = ""  # UTC, ISO 8601; empty before 0.5
    number: Count  # from 1
    outcome: Literal["complete", "budget", "stopped", "interrupted"]
    total_s: Seconds
    # Starts, turns, evaluations and ends of workers; the rest is the harness's own cost.
    busy_s: Seconds


Part = Session | Start | Block | End | Sitting
"""What a session's file holds, a line each."""


class Bench(Frozen):
    """A session and all that it has measured so far, in the order of the plan."""

    session: Session
    starts: tuple[Start, ...] = ()
    blocks: tuple[Block, ...] = ()  # invalid ones too
    ends: tuple[End, ...] = ()
    sittings: tuple[Sitting, ...] = ()

    def with_part(self, part: Part) -> Bench:
        """Return the session with one more part."""
        places = {Start: "starts", Block: "blocks", End: "ends", Sitting: "sittings"}
        place = places.get(type(part))
        return self.model_copy(update={place: (*getattr(self, place), part)}) if place else self

    def started(self, name: str) -> list[Start]:
        """Return the starts of an entrant that came to the end of a first epoch."""
        return [start for start in self.starts if start.name == name and start.status == "ok"]

    def ended(self, name: str) -> list[End]:
        """Return the ends of an entrant's processes that did not fail."""
        return [end for end in self.ends if end.name == name and end.status == "ok"]

    @property
    def own_cost(self) -> float | None:
        """The harness's own share of the sittings' seconds; None where none was finished.

        What was neither a worker's start, turn, evaluation nor end.
        """
        whole = sum(sitting.total_s for sitting in self.sittings)
        return 1 - sum(sitting.busy_s for sitting in self.sittings) / whole if whole else None

    @property
    def set_aside(self) -> dict[str, str]:
        """Entrants that crashed as often as the limits allow.

        Each with the reason of the last time.
        """
        processes: tuple[Start | End, ...] = (*self.starts, *self.ends)
        reasons: dict[str, list[str]] = {}
        for each in processes:
            if each.status == "failed":
                reasons.setdefault(each.name, []).append(each.reason)
        return {
            name: said[-1]
            for name, said in reasons.items()
            if len(said) >= self.session.limits.n_crashes
        }
