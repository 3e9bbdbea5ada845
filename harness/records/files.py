"""Files as records need them: regular ones only, of bounded size, and lines added to them."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.errors import StoreError
from harness.errors.safe import short
from harness.spec.files import sync_folder

LIMIT_BYTES = 8 << 20  # of one record, which is one line; a parity check of many arms is 1 MB


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file among records, or a line of one, that is none, and why."""

    file: Path
    reason: str


def left_out(entry: Rejected) -> str:
    """Return the sentence on a file among records that is none."""
    return f"left out: {short(entry.file.name)}: {short(entry.reason)}"


def open_regular(file: Path) -> IO[bytes] | str:
    """Return a regular file, opened, or the reason why it cannot be had.

    A link to such a file counts as that file. A FIFO, a socket, a device or a folder is never
    opened: that could wait for ever, or never end. The open file is looked at again, since another
    may have taken its place.
    """
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return "not a regular file"
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    opened = os.fdopen(handle, "rb")
    if stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
        return opened
    opened.close()
    return "not a regular file"


def read(file: Path, limit_bytes: int = LIMIT_BYTES) -> bytes | str:
    """Return the bytes of a regular file of at most so many, or why they cannot be had."""
    opened = open_regular(file)
    if isinstance(opened, str):
        return opened
    try:
        with opened:
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


def append(target: Path, line: bytes) -> Path:
    """Append a line to a file, synced; it is made where it is missing, and its folder synced too.

    A torn line that a killed harness left gets an end of its own first. What could be written of
    this one is taken back where the disk is full.
    """
    handle = os.open(target, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(handle).st_size
        torn = size and os.pread(handle, 1, size - 1) != b"\n"
        whole = (b"\n" if torn else b"") + line
        try:
            n_written = 0
            while n_written < len(whole):
                n_written += os.write(handle, whole[n_written:])
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, size)
            if not size:
                target.unlink()
            raise
    finally:
        os.close(handle)
    if not size:
        sync_folder(target.parent)
    return target
