"""What a worker answers that computed items of the survey, or ran its scripts."""

from __future__ import annotations

from dataclasses import dataclass

from harness.job.answers import Computed
from harness.job.kinds import Part, Said, Word


@dataclass(frozen=True, kw_only=True)
class Surveyed(Computed):
    """The Keras that computed, and what it has."""

    public: dict[Word, Word]  # by name, as "layers.Convolution1D", the name that all others mean


@dataclass(frozen=True, kw_only=True)
class Printed(Part):
    """The last line that each script printed, or the error that ended it."""

    lines: tuple[Said, ...]
    failed: tuple[bool, ...]
