"""The store: append and scan. One file for a run, a session or a check; nothing is ever changed.

A file is ROOM/ID.jsonl in the results folder. Each line is JSON: its kind, that kind's format, its
content, and the SHA-256 of the line up to there. A line is appended and synced when what it holds
is finished. So a killed harness leaves at most a torn last line, which is dropped and named; a line
damaged in the middle is named and left out, and the others count.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from platformdirs import user_state_path
from pydantic import ValidationError

from harness.errors import StoreError
from harness.errors.safe import short
from harness.records import files, legacy
from harness.records.bench import Block, End, Part, Session, Sitting, Start
from harness.records.files import Rejected
from harness.records.parity import Parity
from harness.records.proof import ArmProof
from harness.records.record import Record
from harness.records.survey import Item, Printed, Survey, Surveyed, assemble
from harness.records.user_model import ModelParity
from harness.spec.faults import sentences

Single = Record | Parity | ModelParity | ArmProof
"""What has a file to itself."""
Observed = Single | Part | Survey | Item | Printed
"""What a line can hold."""
ROOMS: Mapping[str, Mapping[str, type[Observed]]] = {
    "runs": {"run": Record},
    "parity": {"parity": Parity},
    "models": {"model": ModelParity},
    "proofs": {"proof": ArmProof},
    "bench": {
        "session": Session,
        "start": Start,
        "block": Block,
        "end": End,
        "sitting": Sitting,
    },
    "survey": {"survey": Survey, "item": Item, "script": Printed},
}
"""The folders of a results folder, and the kinds of line in the files of each."""
KIND_OF = {model: (room, kind) for room, kinds in ROOMS.items() for kind, model in kinds.items()}
PARTS = (Start, Block, End, Sitting, Item, Printed)  # of a file that another line is the head of
SUFFIX = ".jsonl"
LINE = re.compile(
    rb'(\{"kind":"([a-z]{1,20})","format":(\d{1,9}),"content":(\{.*\})),"digest":"([0-9a-f]{64})"\}'
)
N_DAMAGED = 100  # lines of one file that are named; after as many nothing more of it is read


@dataclass(frozen=True, slots=True)
class Loaded:
    """The runs and parity checks of a results folder, by their start, and what is left out."""

    records: tuple[Record, ...]
    rejected: tuple[Rejected, ...]
    parities: tuple[Parity, ...] = ()
    models: tuple[ModelParity, ...] = ()

    @property
    def checks(self) -> tuple[Parity | ModelParity, ...]:
        """All parity checks: of stacks and of models of the user's own."""
        return (*self.parities, *self.models)


def ready(results: Path, room: str = "runs") -> None:
    """Return if records can be written to a folder of the results; it is made where it is missing.

    Raises:
        StoreError: it cannot be written. Asked before the first process starts, so that no result
            is lost.
    """
    try:
        (results / room).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=results / room) as probe:
            probe.write(b"x" * 65536)  # most records are smaller: a full disk is said now
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise StoreError(
            f"{results}: results cannot be written there ({error.strerror}). "
            "Name another folder: --results FOLDER"
        ) from None


def add(results: Path, observed: Observed, session: str = "") -> Path:
    """Append what was observed to its file, synced, and return the file.

    Where the results folder has become unwritable since the run started, it goes to the user's
    state folder, and the path returned is there: a measurement is never lost to a full disk. A file
    from there is put back by appending it to the one of the same name.

    Args:
        results: the results folder.
        observed: one run, one check, or one part of a session.
        session: the id of that session or survey.

    Raises:
        StoreError: neither folder can be written.
    """
    room, _ = KIND_OF[type(observed)]
    run_id = session if isinstance(observed, PARTS) else observed.run_id
    name, line = f"{run_id}{SUFFIX}", line_of(observed)
    elsewhere = user_state_path("keras-backend-harness") / room
    try:
        with suppress(OSError):  # what cannot be made cannot be written either
            (results / room).mkdir(exist_ok=True)
        return files.append(results / room / name, line)
    except OSError as first:
        try:
            elsewhere.mkdir(parents=True, exist_ok=True)
            return files.append(elsewhere / name, line)
        except OSError:
            raise StoreError(
                f"{results / room}: the record {name} cannot be written ({first.strerror}), "
                f"nor can it be kept in {elsewhere}"
            ) from None


def line_of(observed: Observed) -> bytes:
    """Return the line that keeps an observation."""
    _, kind = KIND_OF[type(observed)]
    content = observed.model_dump_json(exclude=observed.views)
    head = f'{{"kind":"{kind}","format":{newest(type(observed))},"content":{content}'.encode()
    return head + b',"digest":"' + hashlib.sha256(head).hexdigest().encode() + b'"}\n'


@cache
def newest(model: type[Observed]) -> int:
    """Return the format in which a kind is written."""
    return int(model.model_fields["format"].default)


def scan(file: Path, kinds: Mapping[str, type[Observed]]) -> Iterator[tuple[Observed | str, int]]:
    """Yield what each line of a file holds, or the reason why it holds nothing, and its number.

    The number is 0 where the file as a whole is meant.

    Args:
        file: one run, session or check.
        kinds: those that may be in it.
    """
    opened = files.open_regular(file)
    if isinstance(opened, str):
        yield opened, 0
        return
    with opened:
        number = n_damaged = 0
        while n_damaged < N_DAMAGED:
            try:
                line = opened.readline(files.LIMIT_BYTES + 1)
            except OSError as error:
                yield f"cannot be read ({error.strerror})", 0
                return
            if not line:
                break
            number += 1
            found = _read(line, kinds)
            n_damaged += isinstance(found, str)
            yield found, number
            if len(line) > files.LIMIT_BYTES:
                break
    if not number:
        yield "empty: nothing was finished", 0


def _read(line: bytes, kinds: Mapping[str, type[Observed]]) -> Observed | str:
    """Return what a line holds, or the reason why it holds nothing."""
    if len(line) > files.LIMIT_BYTES:
        return f"longer than {files.LIMIT_BYTES >> 20} MiB, which no record is"
    parts = LINE.fullmatch(line.removesuffix(b"\n"))
    if parts is None:
        return (
            "damaged: no kind, format, content and digest"
            if line.endswith(b"\n")
            else "torn: the harness was stopped while it wrote this"
        )
    head, kind, version, content, digest = parts.groups()
    if hashlib.sha256(head).hexdigest().encode() != digest:
        return "damaged or edited: its content is not what was written (the digest differs)"
    model = kinds.get(kind.decode())
    if model is None:
        return f"no {kind.decode()} belongs here: expected {' or '.join(kinds)}"
    if int(version) > newest(model):
        return legacy.newer(int(version), newest(model))
    try:
        found = model.model_validate_json(content)
        same = int(version) == found.format
        return found if same else found.model_copy(update={"format": int(version)})
    except ValidationError as error:
        return short(f"not a record: {sentences(error, model)[0]}")


def load_all(results: Path) -> Loaded:
    """Return the runs and parity checks of a results folder, and what is left out."""
    runs, rejected = load(results, "runs")
    checks, more = load(results, "parity")
    models, others = load(results, "models")
    return Loaded(
        tuple(run for run in runs if isinstance(run, Record)),
        (*rejected, *more, *others),
        tuple(check for check in checks if isinstance(check, Parity)),
        tuple(check for check in models if isinstance(check, ModelParity)),
    )


def load(results: Path, room: str) -> tuple[list[Single], list[Rejected]]:
    """Return what is in a folder of runs or checks, by its start, and what is left out."""
    found: dict[str, tuple[str, Single]] = {}  # by run id, with the name of its file
    rejected: list[Rejected] = []
    folder = results / room
    for name in files.names_in(folder):
        file = folder / name
        for observed, number in _inside(file, ROOMS[room]):
            fault = _fault(observed, file, found)
            if fault:
                rejected.append(at(file, number, fault))
            elif isinstance(observed, Single):
                found[observed.run_id] = name, observed
    return sorted((each for _, each in found.values()), key=lambda each: each.started_at), rejected


def _inside(
    file: Path, kinds: Mapping[str, type[Observed]]
) -> Iterable[tuple[Observed | str, int]]:
    """Return what is in a file of any format, as `scan` yields it."""
    if file.suffix == SUFFIX:
        return scan(file, kinds)
    return [(legacy.read(file, model), 0) for model in kinds.values()]


def _fault(observed: Observed | str, file: Path, found: Mapping[str, tuple[str, Single]]) -> str:
    """Return why what is in a file does not count; "" where it does."""
    if not isinstance(observed, Single):
        return str(observed)
    if observed.run_id != stem_of(file):
        return f"renamed: it holds the run {short(observed.run_id)}"
    if observed.run_id in found:
        return f"a second file of one run: {found[observed.run_id][0]} counts"
    return ""


def at(file: Path, number: int, reason: str) -> Rejected:
    """Return what is left out.

    Args:
        file: it, or the file that it is in.
        number: of the line; 0: the file as a whole.
        reason: why.
    """
    return Rejected(file, f"line {number}: {reason}" if number else reason)


def stem_of(file: Path) -> str:
    """Return the id after which a file of any format is called."""
    return file.stem if file.suffix == SUFFIX else legacy.stem_of(file)


def load_surveys(results: Path) -> tuple[list[Surveyed], list[Rejected]]:
    """Return the surveys of a results folder, newest first, and what is left out."""
    found, rejected = [], []
    for name in files.names_in(results / "survey"):
        file = results / "survey" / name
        lines = list(scan(file, ROOMS["survey"]))
        rejected += [at(file, number, each) for each, number in lines if isinstance(each, str)]
        survey = assemble(each for each, _ in lines if not isinstance(each, str))
        if survey is None or survey.survey.run_id != stem_of(file):
            rejected.append(at(file, 0, "no survey of this name: its first line is missing"))
        else:
            found.append(survey)
    found.sort(key=lambda each: each.survey.started_at, reverse=True)
    return found, rejected
