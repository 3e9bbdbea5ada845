"""results/: records in runs/, one file each, and results.csv.

results.csv is a view of the records that can always be rebuilt.

A record's file is named RUN_ID.DIGEST.json (see `harness.records.files`), and is there whole or not
at all; results.csv is replaced whole, under a lock, by whoever added a record last.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout
from pydantic import ValidationError

from harness.errors import StoreError
from harness.records import files, parity
from harness.records.files import Rejected
from harness.records.parity import Parity
from harness.records.record import FORMAT, Record, row
from harness.records.verdicts import verdict_on, verdicts_of
from harness.safe import for_csv

FORMATS: dict[type[Record | Parity], int] = {Record: FORMAT, Parity: parity.FORMAT}
PATIENCE_S = 5.0  # with another harness that writes results.csv
Kept = TypeVar("Kept", Record, Parity)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything in a results folder.

    The records in order of their start, and the files left out.
    """

    records: tuple[Record, ...]
    rejected: tuple[Rejected, ...]
    parities: tuple[Parity, ...] = ()


def ready(results: Path) -> None:
    """Return if records can be written to the folder; it is made where it is missing.

    Raises:
        StoreError: it cannot be written. Asked before the first run starts, so that no result is
            lost.
    """
    files.prepare(results / "runs", results)


def add(results: Path, record: Record | Parity) -> Path:
    """Write a record, whole and synced, and return its file.

    `project` then brings results.csv up to date.

    Where the folder has become unwritable since the run started, the record goes to the user's
    state folder instead, and the path returned is there: a measurement is never lost to a full
    disk.

    Raises:
        StoreError: neither folder can be written.
    """
    room = "runs" if isinstance(record, Record) else "parity"
    if room == "parity":  # `ready` has made runs
        with suppress(
            OSError
        ):  # what cannot be made cannot be written either, and `keep` meets that
            (results / room).mkdir(exist_ok=True)
    return files.keep(
        results / room, room, record.run_id, record.model_dump_json(indent=1).encode()
    )


def load_all(results: Path) -> Loaded:
    """Return every record of a results folder, runs and parity checks.

    Every file beside them that is none is returned too.
    """
    records, rejected = _load(results / "runs", Record)
    parities, more = _load(results / "parity", Parity)
    by_start = sorted(records, key=lambda record: record.started_at)
    return Loaded(
        tuple(by_start),
        (*rejected, *more),
        tuple(sorted(parities, key=lambda parity: parity.started_at)),
    )


def _load(folder: Path, kind: type[Kept]) -> tuple[list[Kept], list[Rejected]]:
    """Return the records of that kind in a folder, and the files there that are none."""
    found: list[Kept] = []
    rejected: list[Rejected] = []
    first: dict[str, str] = {}  # the file of each run id
    for name in files.names_in(folder):
        read = _read(folder / name, kind)
        if not isinstance(read, str) and read.run_id in first:
            read = f"a second file of one run: {first[read.run_id]} counts"
        if isinstance(read, str):
            rejected.append(Rejected(folder / name, read))
        else:
            first[read.run_id] = name
            found.append(read)
    return found, rejected


def project(results: Path) -> Loaded:
    """Rebuild results.csv from the records, if it is not as they say, and return them."""
    if not (results / "runs").is_dir():
        return Loaded((), ())
    try:
        with FileLock(
            results / ".lock", timeout=PATIENCE_S
        ):  # two harnesses: the later one has loaded the records of both
            loaded = load_all(results)
            verdicts = verdicts_of(loaded.parities)
            content = as_csv(
                row(record, verdict_on(record, verdicts)) for record in loaded.records
            ).encode()
            target = results / "results.csv"
            if files.read(target, len(content)) != content:
                files.write(target, content)
    except Timeout:
        said = f"another harness has held {results / '.lock'} for {PATIENCE_S:g} s"
        raise StoreError(
            f"{results}: results.csv is as it was: {said}. When it is done: harness compare"
        ) from None
    except OSError as error:
        raise StoreError(
            f"{results}: results.csv cannot be written ({error.strerror}). "
            "Mend the folder, then: harness compare"
        ) from None
    return loaded


def as_csv(rows: Iterable[Mapping[str, object]]) -> str:
    """Return rows as CSV under the first one's keys, which all have.

    Empty where there are none. Text is safe for a spreadsheet.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, values in enumerate(rows):
        if number == 0:
            writer.writerow(map(for_csv, values))
        writer.writerow(map(for_csv, values.values()))
    return text.getvalue()


def _read(file: Path, kind: type[Kept]) -> Kept | str:
    """Return the record in a file, or the reason why it holds none."""
    content = files.content_of(file)
    if isinstance(content, str):
        return content
    try:
        record = kind.model_validate_json(content)
    except ValidationError as error:
        return files.misfit(content, error, kind, FORMATS[kind])
    return (
        record
        if record.run_id == files.stem_of(file)
        else f"renamed: it holds the run {record.run_id}"
    )
