"""Files of this program's own: written whole, or in folders for the time of one task.

Such a folder is removed at its end, and at the next start where its process was killed.

It is locked for as long as its owner lives: the system lets go of the lock with the process,
however that ends. So a folder whose lock can be taken is a dead one's, whatever its age, and no pid
is asked for, which another process may have by now. The lock is on the folder itself, by `flock`;
it is no other program's business, and follows no link.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "harness-scratch-"
NAME = re.compile(rf"{PREFIX}[a-z0-9_]{{8}}")
FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """Give an empty folder of this process's own, which nobody else may read.

    It is removed afterwards.

    Args:
        parent: where it lies; the system's folder for temporary files where none is named.
    """
    folder, lock = _made(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_leftovers(parents: Iterable[Path]) -> list[Path]:
    """Remove what killed processes left in these folders, and return it.

    Only folders that `scratch` has made: of that name, of this user, which no other one may write
    to, no links, and no living process's. What cannot be removed stays.
    """
    return [folder for parent in parents for folder in _named(parent) if _removed(folder)]


def _made(parent: Path | None) -> tuple[Path, int]:
    """Return a new folder, and the descriptor that holds its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        try:
            lock = os.open(folder, FLAGS)
        except FileNotFoundError:  # another start has taken it for a leftover
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another start removes it
            os.close(lock)
            continue
        except OSError:  # a file system without locks: nobody can take it for a leftover either
            return folder, lock
        if _is_at(lock, folder):
            return folder, lock
        os.close(lock)


def _named(parent: Path) -> list[Path]:
    """Return what in a folder has the name of a scratch folder; nothing where it cannot be read."""
    try:
        return [parent / entry.name for entry in os.scandir(parent) if NAME.fullmatch(entry.name)]
    except OSError:
        return []


def _removed(folder: Path) -> bool:
    """Remove a dead process's folder, and say whether that was done."""
    try:
        lock = os.open(folder, FLAGS)
    except OSError:  # gone, a link, no folder, or another user's
        return False
    try:
        found = os.fstat(lock)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            return False
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_at(lock, folder):
            return False
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # its owner lives, or the file system has no locks
        return False
    finally:
        os.close(lock)
    return not folder.exists()


def _is_at(descriptor: int, folder: Path) -> bool:
    """Say whether a path still names the folder that is open."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), folder.lstat())
    return False


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
    sync_folder(target.parent)
    return target


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
