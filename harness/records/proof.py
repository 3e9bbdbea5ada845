"""The record of one proof: how far an arm of a user's model was from `fit`, in float64.

History of the format:
1   first.
2   its replicas: one device before.
"""

from __future__ import annotations

from typing import Literal

from harness.job.arm import ArmId
from harness.job.kinds import Sha256
from harness.job.own_model import Proved
from harness.job.request import Data, OfAnArm
from harness.records.observation import Ended, Observation
from harness.spec.bounds import Replicas
from harness.spec.config import AnySpec

DEPARTS = "departs from fit"


class ArmProof(Observation, OfAnArm, Ended):
    """One arm's proof, whatever came of it; a `reason` says why there is none."""

    format: Literal[1, 2] = 2
    spec: AnySpec
    data: Data
    replicas: Replicas = 1  # devices on which the arm trained; `fit` on one
    environment_sha256: Sha256 | None = None
    proved: Proved | None = None

    def holds_for(self, spec: object, data: Data, arm: ArmId, content: str | None) -> bool:
        """Say whether this is the proof of an arm, in an environment of that content.

        Args:
            spec: the user's model.
            data: on which it is trained.
            arm: the arm.
            content: the digest of the environment; None where nobody can say.
        """
        known = self.spec, self.data.sha256, self.arm, self.environment_sha256
        return content is not None and known == (spec, data.sha256, arm, content)

    @property
    def why_untimed(self) -> str:
        """Why a time of this arm would mean nothing; "" where it trains as `fit` does."""
        if self.proved is None:
            return f"not proved against fit, so it is not timed: {self.reason}"
        if self.proved.equal:
            return ""
        several = f"{self.replicas} devices against one: " if self.replicas > 1 else ""
        return f"{DEPARTS}: {several}{self.proved.departure}"
