"""Paths that can stand in a command line without quotes.

PyTorch 2.13 gives its own folder and its cache to the C++ compiler as part of one text, which is
then split at white space.
"""

from __future__ import annotations

import hashlib
import shlex
import uuid
from contextlib import suppress
from pathlib import Path

from harness.errors import DataError
from harness.spec.data.mnist import cache_folder


def is_plain(path: Path) -> bool:
    """Say whether a path stays in one piece where a command line is split."""
    try:
        return shlex.split(str(path)) == [str(path)]
    except ValueError:  # a quote that nothing ends
        return False


def plain_python(python: Path) -> Path:
    """Return an interpreter by a plain path: its own, or one through a link in the cache folder.

    Python takes its environment from the path by which it is called. The path stays as it is where
    there can be no such link; what compiles says so.

    Args:
        python: bin/python of an environment, an absolute path.
    """
    environment = python.parent.parent
    if is_plain(python):
        return python
    with suppress(DataError, OSError):  # no home folder; a cache that cannot be written
        room = cache_folder().absolute() / "environments"
        link = room / hashlib.sha256(str(environment).encode()).hexdigest()[:16]
        if is_plain(link):
            room.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink() or link.readlink() != environment:
                fresh = room / f".{uuid.uuid4().hex}"
                fresh.symlink_to(environment)
                fresh.replace(link)
            return link / python.relative_to(environment)
    return python
