"""results/bench/SESSION/.

The parts of a bench session, a file each, added while it runs and never changed.

What a killed harness leaves is a session that goes on: its parts are whole, and those still to come
follow from the plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from harness.errors import StoreError
from harness.records import files
from harness.records.bench import FORMAT, Bench, Block, End, Part, Session, Sitting, Start
from harness.records.files import Rejected

ROOM = "bench"
KINDS: tuple[tuple[re.Pattern[str], type[Part]], ...] = (
    (re.compile(r"session"), Session),
    (re.compile(r"g\d{2,}\.b\d{2,}\.\d+"), Block),
    (re.compile(r"g\d{2,}\.start\..+\.\d+"), Start),
    (re.compile(r"g\d{2,}\.end\..+\.\d+"), End),
    (re.compile(r"sitting\.\d+"), Sitting),
)
Kind = TypeVar("Kind", Session, Start, Block, End, Sitting)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything in results/bench.

    The sessions, newest first, and the files and folders left out.
    """

    sessions: tuple[Bench, ...]
    rejected: tuple[Rejected, ...]


def name_of(part: Part) -> str:
    """Return what a part's file is called, before its digest.

    The same for the same part of the same session.
    """
    match part:
        case Session():
            return "session"
        case Block():
            return f"g{part.generation:02d}.b{part.block:02d}.{part.attempt}"
        case Start():
            return f"g{part.generation:02d}.start.{_file_name(part.name)}.{part.process}"
        case End():
            return f"g{part.generation:02d}.end.{_file_name(part.name)}.{part.process}"
        case Sitting():
            return f"sitting.{part.number}"


def _file_name(entrant: str) -> str:
    return entrant.replace("/", "-").replace(" ", "-")


def folder_of(results: Path, session: Session) -> Path:
    """Return the folder that holds a session's parts."""
    return results / ROOM / session.run_id


def ready(folder: Path) -> None:
    """Return if a session's parts can be written to its folder; it is made where it is missing.

    Raises:
        StoreError: it cannot be written. Asked before the first process starts, so that no result
            is lost.
    """
    files.prepare(folder, folder.parents[1])


def add(folder: Path, part: Part) -> Path:
    """Write a part of a session to its folder, whole and synced, and return its file.

    Where the folder has become unwritable since, the part goes to the user's state folder, as in
    `store.add`.

    Raises:
        StoreError: neither folder can be written.
    """
    return files.keep(
        folder, f"{ROOM}/{folder.name}", name_of(part), part.model_dump_json(indent=1).encode()
    )


def load(folder: Path) -> Bench | str:
    """Return a session as far as it is kept in its folder, or the reason why there is none.

    `left_out` names what it lacks.
    """
    return _load(folder)[0]


def left_out(folder: Path) -> tuple[Rejected, ...]:
    """Return the files of a session's folder that are no part of it, each with the reason."""
    return _load(folder)[1]


def sessions(results: Path) -> list[Bench]:
    """Return the sessions of a results folder, unfinished ones too, newest first."""
    return list(load_all(results).sessions)


def load_all(results: Path) -> Loaded:
    """Return the sessions of a results folder, newest first.

    Every file and folder beside them that is none is returned too.

    Raises:
        StoreError: the folder is there and cannot be read.
    """
    found: list[Bench] = []
    rejected: list[Rejected] = []
    for entry in _entries(results / ROOM):
        bench, more = _session(entry)
        rejected += more
        if (
            isinstance(bench, Bench) and bench.session.run_id != entry.name
        ):  # a copy would count as a second measurement
            bench = f"renamed: it holds the session {bench.session.run_id}"
        if isinstance(bench, str):
            rejected.append(Rejected(entry, bench))
        else:
            found.append(bench)
    newest_first = sorted(
        found, key=lambda bench: (bench.session.started_at, bench.session.run_id), reverse=True
    )
    return Loaded(tuple(newest_first), tuple(rejected))


def _session(entry: Path) -> tuple[Bench | str, tuple[Rejected, ...]]:
    """Return what `_load` does of a folder.

    Of anything else, and of one that is closed, the reason.
    """
    try:
        return _load(entry) if entry.is_dir() else ("no session: expected a folder", ())
    except (OSError, StoreError) as error:
        return f"no session: {error.strerror if isinstance(error, OSError) else error}", ()


def _load(folder: Path) -> tuple[Bench | str, tuple[Rejected, ...]]:
    """Return the session in a folder, or the reason why there is none.

    With it come the files that are no part of it.
    """
    read = sorted(((file, _part(file)) for file in _entries(folder)), key=_age)
    session = next((part for _, part in read if isinstance(part, Session)), None)
    if session is None:
        return _no_session(read)
    planned = {entrant.name for entrant in session.entrants}
    parts: dict[str, Part] = {}
    rejected: list[Rejected] = []
    for file, part in read:
        fault = part if isinstance(part, str) else _fault(part, parts, planned)
        if fault:
            rejected.append(Rejected(file, fault))
        elif not isinstance(part, str):
            parts[name_of(part)] = part
    return _assembled(session, parts.values()), tuple(rejected)


def _no_session(read: Iterable[tuple[Path, Part | str]]) -> tuple[str, tuple[Rejected, ...]]:
    """Return why there is no session, and the files that hold no part of any."""
    rejected = [Rejected(file, part) for file, part in read if isinstance(part, str)]
    reasons = (each.reason for each in rejected if files.stem_of(each.file) == "session")
    reason = next(reasons, "its plan, session.DIGEST.json, is missing")
    return f"no session: {reason}", tuple(rejected)


def _fault(part: Part, parts: Mapping[str, Part], planned: set[str]) -> str:
    """Return why a whole part does not count, "" where it does."""
    if name_of(part) in parts:
        return f"a second {name_of(part)}: the one written before it counts"
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


def _assembled(session: Session, parts: Iterable[Part]) -> Bench:
    """Return the parts in the order of the plan."""
    place = {entrant.name: number for number, entrant in enumerate(session.entrants)}
    several = list(parts)

    def by_plan(part: Start | End) -> tuple[int, int, int]:
        return part.generation, place[part.name], part.process

    return Bench(
        session=session,
        starts=tuple(sorted(_of(Start, several), key=by_plan)),
        blocks=tuple(
            sorted(
                _of(Block, several),
                key=lambda block: (block.generation, block.block, block.attempt),
            )
        ),
        ends=tuple(sorted(_of(End, several), key=by_plan)),
        sittings=tuple(sorted(_of(Sitting, several), key=lambda sitting: sitting.number)),
    )


def _of(kind: type[Kind], parts: Iterable[Part]) -> list[Kind]:
    return [part for part in parts if isinstance(part, kind)]


def _part(file: Path) -> Part | str:
    """Return the part in a file, or the reason why it holds none."""
    content, stem = files.content_of(file), files.stem_of(file)
    if isinstance(content, str):
        return content
    kind = next((kind for pattern, kind in KINDS if pattern.fullmatch(stem)), None)
    if kind is None:
        return f"not a part of a session: no part is called {stem}"
    try:
        part: Part = kind.model_validate_json(content)
    except ValidationError as error:
        return files.misfit(content, error, kind, FORMAT)
    return part if name_of(part) == stem else f"renamed: it holds {name_of(part)}"


def _entries(folder: Path) -> list[Path]:
    """Return what lies in a folder, hidden files left out; nothing where there is no folder."""
    return [folder / name for name in files.names_in(folder)]


def _age(read: tuple[Path, Part | str]) -> tuple[str, str]:
    """Return when a part was written, as it says itself, then its file's name.

    Of two files for one part the one written first counts.

    A file's own time is no measure: a clone or a copy renews it. Parts written before 0.5 say
    nothing, and are the older.
    """
    file, part = read
    match part:
        case str():
            return "", file.name
        case Session() | Block():
            return part.started_at, file.name
        case _:
            return part.written_at, file.name
