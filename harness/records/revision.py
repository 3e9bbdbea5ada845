"""A results folder as a git revision has it, without touching the working tree."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from harness.errors import ConfigError, StoreError
from harness.records.sessions import ROOM
from harness.spec.files import scratch


@contextmanager
def at_revision(root: Path, revision: str, path: Path) -> Iterator[Path]:
    """Give a temporary results folder that holds the bench sessions of a revision.

    Args:
        root: a folder inside the repository.
        revision: a branch, a tag, a commit, HEAD~1.
        path: the results folder in that revision, from `root`.

    Raises:
        ConfigError: there is no git, no repository, or no such revision.
        StoreError: the revision has no bench session under that path.
    """
    where = f"--against {revision}"
    outside = f"{where}: neither a folder nor, outside of a repository, a revision"
    prefix = _git(root, "rev-parse", "--show-prefix", fault=outside).decode().strip()
    top = Path(_git(root, "rev-parse", "--show-toplevel", fault=where).decode().strip())
    unknown = f"{where}: expected a results folder, or a revision that git knows here; "
    unknown += f"received {revision!r}"
    verify = "rev-parse", "--verify", "--quiet", "--end-of-options"
    commit = _git(root, *verify, f"{revision}^{{commit}}", fault=unknown).decode().strip()
    inside = str(PurePosixPath(prefix) / path.as_posix() / ROOM)
    missing = f"{where}: no bench session under {inside} in that revision. "
    missing += "Name the folder that holds bench/: --path FOLDER"
    archive = "archive", "--format=tar", commit, "--", inside
    tracked = _git(top, *archive, fault=missing, kind=StoreError)
    with scratch() as folder:
        _unpack(tracked, inside, folder / ROOM)
        yield folder


def _unpack(tracked: bytes, inside: str, target: Path) -> None:
    """Write SESSION.jsonl and SESSION/FILE of an archive; nothing else of it can get anywhere."""
    with tarfile.open(fileobj=io.BytesIO(tracked)) as archive:
        for member in archive:
            parts = (
                PurePosixPath(member.name).relative_to(inside).parts
                if member.name.startswith(f"{inside}/")
                else ()
            )
            content = (
                archive.extractfile(member)
                if member.isfile() and len(parts) in (1, 2) and ".." not in parts
                else None
            )
            if content:
                file = target.joinpath(*parts)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.read())


def _git(
    folder: Path, *arguments: str, fault: str, kind: type[ConfigError | StoreError] = ConfigError
) -> bytes:
    """Return what git prints, or raise the fault."""
    program = shutil.which("git")
    if program is None:
        raise ConfigError(
            f"{fault.partition(':')[0]}: a revision needs git, which is not installed. "
            "Name a results folder"
        )
    done = subprocess.run(
        [program, "-C", str(folder), *arguments], capture_output=True, check=False
    )
    if done.returncode:
        raise kind(fault)
    return done.stdout
