"""One arm of a session, or one run, as trackers of experiments keep it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

NOT_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class ArmRun:
    """What was asked, and what came of it, epoch by epoch and altogether."""

    experiment: str  # the spec's name
    record: str  # the id of the session, or of the run
    arm: str
    in_session: bool  # with other arms
    started_at: str  # UTC, ISO 8601
    total_s: float
    params: Mapping[str, Value]
    tags: Mapping[str, str]
    epochs: Mapping[int, Mapping[str, float]]  # from 1, under Keras's log names, and epoch_s
    figures: Mapping[str, float]  # of the whole

    @property
    def steps(self) -> dict[int, Mapping[str, float]]:
        """The epochs as Keras's callbacks count them, from 0."""
        return {epoch - 1: values for epoch, values in sorted(self.epochs.items())}


def plain(name: str, most: int = 100) -> str:
    """Return a name that every system and service takes: text of others names no folder above."""
    return NOT_PLAIN.sub("_", name).strip(".")[:most] or "_"
