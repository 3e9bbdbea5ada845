"""Whose is it? What was found, and not named, is run only where nobody else could have written it.

A backends.toml names programs that are started, so it is as good as a program: one below a folder
that all may write to can be a stranger's. Trusted is what belongs to this user or to root, and what
nobody else may write to:

- a folder that all may write to, with the sticky bit, as /tmp, is no fault: others cannot replace
  what is ours there;
- a group's right to write is no fault where the group is this user's own, with the user's name and
  nobody else in it, as systems with umask 002 have it;
- a symbolic link is whose it is, and what it points at is looked at too. The interpreter at the end
  of an environment's link is not: whoever owns the link has chosen it.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path

from harness.errors import ConfigError


def check_file(file: Path, user: int) -> None:
    """Return if a configuration file and its folder, where the links lead too, are trusted.

    Raises:
        ConfigError: one is not; names it, and what to type if it is meant.
    """
    real = Path(os.path.realpath(file))
    _check((file, file.parent, real, real.parent), file, user)


def check_environments(root: Path, pythons: Iterable[Path], user: int, named: Path | None) -> None:
    """Return if the environments of a project are trusted, as far as they are there.

    Args:
        root: the project's folder.
        pythons: where its environments may be, besides those that `harness setup` has made.
        user: the effective user id.
        named: the configuration to name if they are meant; its links resolved. None: the package's.

    Raises:
        ConfigError: a folder or a Python is not trusted; names it, and what to type if it is meant.
    """
    made = root / ".harness" / "envs"
    _check((made.parent, made, root / ".nox"), named, user)
    for python in (*pythons, *made.glob("*/bin/python")):
        folders = (python.parents[1], python.parent)
        targets = (Path(os.path.realpath(each)) for each in folders if each.is_symlink())
        _check((*folders, python, *targets), named, user)


def check_sources(file: Path | None, sources: Iterable[Path], user: int) -> None:
    """Return if the sources of a user's own arms, and their folders, are trusted.

    Args:
        file: the configuration that names them; None where none does.
        sources: their paths.
        user: the effective user id.

    Raises:
        ConfigError: one is not; names it, and what to type if it is meant.
    """
    for source in sources:
        real = Path(os.path.realpath(source))
        _check((source, source.parent, real, real.parent), file, user)


def _check(paths: Iterable[Path], file: Path | None, user: int) -> None:
    for path in paths:
        try:
            status = path.lstat()
        except OSError:
            continue  # not there, or not to be read: its use says so
        if said := distrust_reason(status, user):
            meant = "Go to a folder of your own"
            if file:
                meant = f"If it is meant, name the file: --config {file}"
            raise ConfigError(f"{path}: {said}, and what it says would be run. {meant}")


def distrust_reason(status: os.stat_result, user: int) -> str | None:
    """Return why a file or folder of that status is not trusted, None where it is."""
    if status.st_uid not in (0, user):
        return f"belongs to {_name(status.st_uid)}, not to you"
    shared_folder = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if stat.S_ISLNK(status.st_mode) or shared_folder:
        return None
    if status.st_mode & stat.S_IWOTH:
        return "everybody may write to it"
    if status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid, user):
        return f"its group, {status.st_gid}, may write to it"
    return None


def _is_private(group: int, user: int) -> bool:
    """Say whether a group is the user's own: of the same name, without another member."""
    try:
        account, known = pwd.getpwuid(user), grp.getgrgid(group)
    except KeyError:
        return False
    others = {each.pw_name for each in pwd.getpwall() if each.pw_gid == group} | set(known.gr_mem)
    return known.gr_name == account.pw_name and others <= {account.pw_name}


def _name(user: int) -> str:
    try:
        return f"user {pwd.getpwuid(user).pw_name}"
    except KeyError:
        return f"user {user}"
