"""What observations share: where and when something was seen, by whom, and why it ended early.

An observation never holds a verdict: that is computed from it, and can be computed again.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

import harness
from harness.job.answers import Host
from harness.job.kinds import Said, Sha256
from harness.job.request import Kept


class Observation(Kept):
    """One run, session or check: who saw it, when and where; never changed after it is written."""

    harness: str  # version
    run_id: str
    started_at: str  # UTC, ISO 8601
    host: Host


def identify(began: datetime, *words: str) -> dict[str, Any]:
    """Return the fields of an `Observation` but its host, with an id made of when it began."""
    stamp = f"{began:%Y%m%dT%H%M%SZ}"
    return {
        "harness": harness.__version__,
        "run_id": "-".join([stamp, *words, secrets.token_hex(3)]),
        "started_at": began.isoformat(timespec="milliseconds"),
    }


class Seen(Kept):
    """What a process showed of its environment."""

    device: str = ""  # where its weights lay
    versions: dict[str, str] = {}
    environment_sha256: Sha256 | None = None  # of all that could be imported; None: nobody looked


class Ended(Kept):
    """Why a process ended early, where it did."""

    reason: Said = ""
    log_tail: Said = ""
