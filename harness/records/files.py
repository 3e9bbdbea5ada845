"""Files that hold one record each: written whole or not at all, and named after their content.

A file is called STEM.DIGEST.json, where DIGEST begins the SHA-256 of its bytes: a torn copy or an
edit by hand is seen at once, without a second file and whatever the reader's version.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_state_path
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from harness.errors import StoreError
from harness.safe import short
from harness.spec.faults import sentences

NAME = re.compile(r"^(?P<stem>.+)\.(?P<digest>[0-9a-f]{12})\.json$")
STALE_S = 3600.0
LIMIT_BYTES = 8 << 20  # of one record; a parity check of many arms comes to 34 kB


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file among records that is none, and why."""

    file: Path
    reason: str


def prepare(folder: Path, results: Path) -> None:
    """Return if records can be written to the folder.

    It is made where it is missing, and what a killed harness left half is removed.

    Args:
        folder: where the files go.
        results: as the user named it, for the message.

    Raises:
        StoreError: it cannot be written. Asked before the first run starts, so that no result is
            lost.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x" * 65536)  # a record is smaller: a full disk is said now
            probe.flush()
            os.fsync(probe.fileno())
        for left in folder.glob(".partial-*"):
            with suppress(FileNotFoundError):  # another harness has just renamed it to its record
                if time.time() - left.stat().st_mtime > STALE_S:
                    left.unlink()
    except OSError as error:
        raise StoreError(
            f"{results}: results cannot be written there ({error.strerror}). "
            "Name another folder: --results FOLDER"
        ) from None


def keep(folder: Path, room: str, stem: str, content: bytes) -> Path:
    """Write a record to a folder, whole and synced, and return its file.

    Where the folder has become unwritable since the run started, it goes to the same room of the
    user's state folder, and the path returned is there: a measurement is never lost to a full disk.

    Args:
        folder: where the file goes.
        room: the part of the results folder, below which it goes in the state folder.
        stem: the file's name before its digest.
        content: the whole of it.

    Raises:
        StoreError: neither folder can be written.
    """
    name = f"{stem}.{hashlib.sha256(content).hexdigest()[:12]}.json"
    try:
        return write(folder / name, content)
    except OSError as first:
        elsewhere = user_state_path("keras-backend-harness") / room
        try:
            elsewhere.mkdir(parents=True, exist_ok=True)
            return write(elsewhere / name, content)
        except OSError:
            raise StoreError(
                f"{folder}: the record {name} cannot be written ({first.strerror}), "
                f"nor can it be kept in {elsewhere}"
            ) from None


def content_of(file: Path) -> bytes | str:
    """Return the bytes of a file that `keep` wrote, or the reason why they are not those."""
    name = NAME.match(file.name)
    if name is None:
        return "not a record: expected a name RUN_ID.DIGEST.json"
    content = read(file)
    if isinstance(content, str):
        return content
    if hashlib.sha256(content).hexdigest()[:12] != name["digest"]:
        return (
            "torn or edited: its content is not what was written (the digest in its name differs)"
        )
    return content


def read(file: Path, limit_bytes: int = LIMIT_BYTES) -> bytes | str:
    """Return the bytes of a regular file of at most so many, or the reason why they cannot be had.

    A link to such a file counts as that file. A FIFO, a socket, a device or a folder is never
    opened: that could wait for ever, or never end. The open file is looked at again, since another
    may have taken its place.
    """
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return "not a regular file"
        with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                return "not a regular file"
            content = opened.read(limit_bytes + 1)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    too_large = len(content) > limit_bytes
    return f"larger than {limit_bytes >> 20} MiB, which no record is" if too_large else content


def names_in(folder: Path) -> list[str]:
    """Return the names of what lies in a folder, hidden files left out.

    None where there is no folder.

    Raises:
        StoreError: there is something of that name, and it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        hint = "Name another folder: --results FOLDER"
        raise StoreError(f"{folder}: cannot be read ({error.strerror}). {hint}") from None


def stem_of(file: Path) -> str:
    """Return a file's name before its digest, the whole name where it has none."""
    name = NAME.match(file.name)
    return name["stem"] if name else file.name


def misfit(content: bytes, error: ValidationError, kind: type[BaseModel], newest: int) -> str:
    """Say why well-kept bytes are no record of this version, which reads formats up to `newest`.

    Args:
        content: the bytes.
        error: what is wrong with them.
        kind: the record that they should hold.
        newest: the last format of that record.
    """
    try:
        written = from_json(content)
    except ValueError as fault:
        return f"not JSON: {fault}"
    version = written.get("format") if isinstance(written, dict) else None
    if isinstance(version, int) and version > newest:
        newer = f"format {short(version, 20)}, written by a newer harness"
        return f"{newer}; this one reads up to {newest}. Update the harness"
    return short(f"not a record: {sentences(error, kind)[0]}")


def write(target: Path, content: bytes) -> Path:
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
