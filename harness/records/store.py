"""results/: records in runs/, one file each, and results.csv, a view of them that can always be rebuilt.

A record's file is named RUN_ID.DIGEST.json, where DIGEST begins the SHA-256 of its bytes: a torn copy or an edit by hand
is seen at once, without a second file and whatever the reader's version. Files appear under their name whole and synced
to disk, or not at all; results.csv is replaced whole, under a lock, by whoever added a record last.
"""

from __future__ import annotations

import csv
import gc
import hashlib
import io
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock
from platformdirs import user_state_path
from pydantic import ValidationError
from pydantic_core import from_json

from harness.errors import StoreError
from harness.records import parity
from harness.records.parity import Parity, verdict_on, verdicts_of
from harness.records.record import FORMAT, Record, row
from harness.spec.faults import sentences

NAME = re.compile(r"^(?P<run_id>.+)\.(?P<digest>[0-9a-f]{12})\.json$")
STALE_S = 3600.0
FORMATS: dict[type[Record | Parity], int] = {Record: FORMAT, Parity: parity.FORMAT}
Kept = TypeVar("Kept", Record, Parity)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file in runs/ that is no record, and why."""

    file: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything in a results folder: the records in order of their start, and the files left out."""

    records: tuple[Record, ...]
    rejected: tuple[Rejected, ...]
    parities: tuple[Parity, ...] = ()


def ready(results: Path) -> None:
    """Return if records can be written to the folder; it is made where it is missing.

    Raises:
        StoreError: it cannot be written. Asked before the first run starts, so that no result is lost.
    """
    try:
        (results / "runs").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=results / "runs") as probe:
            probe.write(b"x" * 65536)  # a record is smaller: a full disk is said now
            probe.flush()
            os.fsync(probe.fileno())
        for left in (results / "runs").glob(".partial-*"):  # by a harness killed while it wrote
            if time.time() - left.stat().st_mtime > STALE_S:
                left.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{results}: results cannot be written there ({error.strerror}). Name another folder: --results FOLDER") from None


def add(results: Path, record: Record | Parity) -> Path:
    """Write a record, whole and synced, and return its file; `project` then brings results.csv up to date.

    Where the folder has become unwritable since the run started, the record goes to the user's state folder instead,
    and the path returned is there: a measurement is never lost to a full disk.

    Raises:
        StoreError: neither folder can be written.
    """
    room = "runs" if isinstance(record, Record) else "parity"
    content = record.model_dump_json(indent=1).encode()
    name = f"{record.run_id}.{hashlib.sha256(content).hexdigest()[:12]}.json"
    try:
        if room == "parity":
            (results / room).mkdir(exist_ok=True)  # `ready` has made runs
        return _write(results / room / name, content)
    except OSError as first:
        elsewhere = user_state_path("keras-backend-harness") / room
        try:
            elsewhere.mkdir(parents=True, exist_ok=True)
            return _write(elsewhere / name, content)
        except OSError:
            raise StoreError(
                f"{results}: the record {name} cannot be written ({first.strerror}), nor can it be kept in {elsewhere}"
            ) from None


def load_all(results: Path) -> Loaded:
    """Return every record of a results folder, runs and parity checks, and every file beside them that is none."""
    with _no_collection():
        records, rejected = _load(results / "runs", Record)
        parities, more = _load(results / "parity", Parity)
    by_start = sorted(records, key=lambda record: record.started_at)
    return Loaded(tuple(by_start), (*rejected, *more), tuple(sorted(parities, key=lambda parity: parity.started_at)))


def _load(folder: Path, kind: type[Kept]) -> tuple[list[Kept], list[Rejected]]:
    """Return the records of that kind in a folder, and the files there that are none."""
    try:
        files = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise StoreError(f"{folder.parent}: cannot be read ({error.strerror}). Name another folder: --results FOLDER") from None
    found: list[Kept] = []
    rejected: list[Rejected] = []
    for name in files:
        read = _read(folder / name, kind)
        if isinstance(read, str):
            rejected.append(Rejected(folder / name, read))
        else:
            found.append(read)
    return found, rejected


def project(results: Path) -> Loaded:
    """Rebuild results.csv from the records, if it is not as they say, and return them."""
    if not (results / "runs").is_dir():
        return Loaded((), ())
    try:
        with FileLock(results / ".lock"):  # two harnesses: the later one has loaded the records of both
            loaded = load_all(results)
            verdicts = verdicts_of(loaded.parities)
            content = as_csv(row(record, verdict_on(record, verdicts)) for record in loaded.records).encode()
            target = results / "results.csv"
            if not target.is_file() or target.read_bytes() != content:
                _write(target, content)
    except OSError as error:
        raise StoreError(f"{results}: results.csv cannot be written ({error.strerror}). Mend the folder, then: harness compare") from None
    return loaded


def as_csv(rows: Iterable[Mapping[str, object]]) -> str:
    """Return rows as CSV under the first one's keys, which all have; empty where there are none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, values in enumerate(rows):
        if number == 0:
            writer.writerow(values)
        writer.writerow(values.values())
    return text.getvalue()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Hold the garbage collector back: the objects of 10,000 records all stay, and looking through them doubles the time.

    What was made meanwhile is not looked through later either (`gc.freeze`): it lives as long as the command.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def _read(file: Path, kind: type[Kept]) -> Kept | str:
    """Return the record in a file, or the reason why it holds none."""
    name = NAME.match(file.name)
    if name is None:
        return "not a record: expected a name RUN_ID.DIGEST.json"
    try:
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest()[:12] != name["digest"]:
            return "torn or edited: its content is not what was written (the digest in its name differs)"
        record = kind.model_validate_json(content)
        return record if record.run_id == name["run_id"] else f"renamed: it holds the run {record.run_id}"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValidationError as error:
        return _misfit(content, error, kind)


def _misfit(content: bytes, error: ValidationError, kind: type[Record | Parity]) -> str:
    """Say why well-kept bytes are no record of this version."""
    try:
        written = from_json(content)
    except ValueError as fault:
        return f"not JSON: {fault}"
    version = written.get("format") if isinstance(written, dict) else None
    if isinstance(version, int) and version > FORMATS[kind]:
        return f"format {version}, written by a newer harness; this one reads up to {FORMATS[kind]}. Update the harness"
    return f"not a record: {sentences(error, kind)[0]}"


def _write(target: Path, content: bytes) -> Path:
    """Write a file whole: synced under a hidden name, then renamed, the folder synced too."""
    handle, partial = tempfile.mkstemp(dir=target.parent, prefix=".partial-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).chmod(0o644)
        Path(partial).replace(target)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return target
