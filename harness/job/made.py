"""What a worker answers that made a user's data."""

from __future__ import annotations

from dataclasses import dataclass

from harness.job.kinds import Part, Sha256


@dataclass(frozen=True, kw_only=True)
class MadeData(Part):
    """A user's data, written into a folder of that name."""

    sha256: Sha256
