"""What a worker answers of a model of the user's own."""

from __future__ import annotations

from dataclasses import dataclass

from harness.job.kinds import Count, Loss, Part, Said, Sha256, Word


@dataclass(frozen=True, kw_only=True)
class Quality(Part):
    """What a user's own model came to: its compiled loss and metrics by name, once trained."""

    of: Word  # "validation data" or "training data"
    values: dict[Word, Loss]
    failure: Said = ""  # why there are none


@dataclass(frozen=True, kw_only=True)
class DrawnModel(Part):
    """A user's model's initial weights, as one backend drew them."""

    weights: dict[Word, Sha256]  # by seed
    n_parameters: Count


@dataclass(frozen=True, kw_only=True)
class Proved(Part):
    """How far an arm's variables were from `fit`'s, see `worker.arms.train_step.proof`."""

    difference: float | None  # relative; None: not finite
    path: Word
    equal: bool
    n_updates: Count
    refused: Said = ""  # why another arm took its place
    undetermined: tuple[Word, ...] = ()  # variables that rounding alone decides, in `fit` too

    @property
    def departure(self) -> str:
        """What differs most, and by how much."""
        size = self.difference
        apart = "is not finite" if size is None else f"differs by {size:.1e} of its size"
        return f"{self.path} {apart} after {self.n_updates} updates in float64"
