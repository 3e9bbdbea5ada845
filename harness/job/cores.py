"""The cores that a process may use, and files of the system that may not be there."""

from __future__ import annotations

import os
from pathlib import Path

SYS = Path("/sys")


def cores_of(pid: int, sys: Path = SYS) -> frozenset[int]:
    """Return the online cores that a process may use; none where it is gone."""
    if not hasattr(os, "sched_getaffinity"):
        return frozenset(range(os.cpu_count() or 1))
    try:
        allowed = os.sched_getaffinity(pid)
    except OSError:
        return frozenset()
    there = online(sys)
    return frozenset(allowed & there if there else allowed)


def online(sys: Path) -> set[int]:
    """Return the numbers of the cores that are online, none where the system does not say."""
    try:
        return _listed(text_of(sys / "devices/system/cpu/online"))
    except ValueError:
        return set()


def _listed(text: str) -> set[int]:
    """Return the numbers of a list as the kernel writes it: "0-3,8"."""
    ends = [part.partition("-") for part in text.strip().split(",") if part.strip()]
    return {
        number for first, _, last in ends for number in range(int(first), int(last or first) + 1)
    }


def text_of(file: Path) -> str:
    """Return what a file of the system says, nothing where there is none or it may not be read."""
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
