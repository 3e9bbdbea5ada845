"""The bench sessions of a results folder, put together from their parts.

What a killed harness leaves is a session that goes on: its parts are whole, and those still to come
follow from the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from harness.errors import StoreError
from harness.records import files, legacy, store
from harness.records.bench import Bench, Block, End, Part, Session, Sitting, Start
from harness.records.files import Rejected

ROOM = "bench"
Kind = TypeVar("Kind", Start, Block, End, Sitting)
Read = tuple[Path, int, Part | str]
"""A file, the number of a line (0: the file as a whole), and its part or why it holds none."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of a results folder, newest first, and what is left out."""

    sessions: tuple[Bench, ...]
    rejected: tuple[Rejected, ...]


def file_of(results: Path, run_id: str) -> Path:
    """Return the file to which the parts of a session are added."""
    return results / ROOM / f"{run_id}{store.SUFFIX}"


def load_all(results: Path) -> Sessions:
    """Return the sessions of a results folder, unfinished ones too, and what is left out.

    Raises:
        StoreError: the folder is there and cannot be read.
    """
    found: list[Bench] = []
    rejected: list[Rejected] = []
    names = files.names_in(results / ROOM)
    for run_id in sorted({name.removesuffix(store.SUFFIX) for name in names}):
        bench, more = load(results, run_id)
        rejected += more
        if isinstance(bench, Bench):
            found.append(bench)
    found.sort(key=lambda bench: (bench.session.started_at, bench.session.run_id), reverse=True)
    return Sessions(tuple(found), tuple(rejected))


def load(results: Path, run_id: str) -> tuple[Bench | str, tuple[Rejected, ...]]:
    """Return a session as far as it is kept, or why there is none, and what is left out of it."""
    read = sorted(_read(results / ROOM, run_id), key=_age)
    session = next((part for _, _, part in read if isinstance(part, Session)), None)
    if session is None or session.run_id != run_id:  # a copy would count as a second measurement
        return _no_session(results, run_id, session, read)
    planned = {entrant.name for entrant in session.entrants}
    parts: dict[str, Part] = {}
    left_out: list[Rejected] = []
    for file, number, part in read:
        reason = part if isinstance(part, str) else _fault(part, parts, planned)
        if reason:
            left_out.append(store.at(file, number, reason))
        elif not isinstance(part, str):
            parts[legacy.name_of(part)] = part
    return _assemble(session, list(parts.values())), tuple(left_out)


def _no_session(
    results: Path, run_id: str, session: Session | None, read: Iterable[Read]
) -> tuple[str, tuple[Rejected, ...]]:
    """Return why there is no session, and what is left out."""
    left_out = [store.at(file, n, part) for file, n, part in read if isinstance(part, str)]
    held = f"renamed: it holds the session {session.run_id}" if session else ""
    entry = results / ROOM / run_id
    reason = f"no session: {held or 'its plan is missing or damaged'}"
    if all(each.file not in (entry, file_of(results, run_id)) for each in left_out):
        left_out.append(Rejected(entry, reason))
    return reason, tuple(left_out)


def _read(room: Path, run_id: str) -> Iterator[Read]:
    """Yield the parts of a session: those of its file, and of the folder of older versions."""
    folder, file = room / run_id, room / f"{run_id}{store.SUFFIX}"
    if file.is_symlink() or file.exists():
        for part, number in store.scan(file, store.ROOMS[ROOM]):
            yield file, number, cast("Part | str", part)
    try:
        if folder.is_dir():
            yield from ((entry, 0, part) for entry, part in legacy.read_session(folder))
    except (OSError, StoreError) as error:
        yield folder, 0, str(error.strerror if isinstance(error, OSError) else error)


def _age(read: Read) -> tuple[str, str, int]:
    """Return when a part was written, as it says itself, then its file's name and its line.

    Of two of one part the one written first counts. A file's own time is no measure: a clone or a
    copy renews it. Parts written before 0.5 say nothing, and are the older.
    """
    file, number, part = read
    match part:
        case str():
            return "", file.name, number
        case Session() | Block():
            return part.started_at, file.name, number
        case _:
            return part.written_at, file.name, number


def _fault(part: Part, parts: Iterable[str], planned: set[str]) -> str:
    """Return why a whole part does not count, "" where it does."""
    name = legacy.name_of(part)
    if name in parts:
        return f"a second {name}: the one written before it counts"
    strange = sorted(_names(part) - planned)
    return f"of another session: the plan has no {', '.join(strange)}" if strange else ""


def _names(part: Part) -> set[str]:
    """Return the entrants that a part is about; the plan itself is about all."""
    match part:
        case Session() | Sitting():
            return set()
        case Block():
            return {*part.order, *part.turns, *part.processes}
        case _:
            return {part.name}


def _assemble(session: Session, parts: list[Part]) -> Bench:
    """Return the parts in the order of the plan."""
    place = {entrant.name: number for number, entrant in enumerate(session.entrants)}

    def order(part: Start | End | Block | Sitting) -> tuple[int, int, int]:
        match part:
            case Sitting():
                return part.number, 0, 0
            case Block():
                return part.generation, part.block, part.attempt
            case _:
                return part.generation, place[part.name], part.process

    def of(kind: type[Kind]) -> tuple[Kind, ...]:
        return tuple(sorted((part for part in parts if isinstance(part, kind)), key=order))

    return Bench(
        session=session, starts=of(Start), blocks=of(Block), ends=of(End), sittings=of(Sitting)
    )
