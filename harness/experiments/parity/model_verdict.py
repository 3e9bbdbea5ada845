"""Evidence on a user's own model -> each backend's verdict, and where it departs first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.experiments.parity.model_evidence import BATCH, BackendAnswer, Evidence
from harness.job.answers import Refusal
from harness.job.own_model import Proved
from harness.records.user_model import BackendParity, Verdict
from harness.referee.majority import Comparison
from harness.referee.model64 import KernelError
from harness.report.document import some

NO_THIRD = (
    "With two backends float64 says that they differ, and not which of them is wrong: a third would"
)


@dataclass(frozen=True, slots=True)
class First:
    """Where a backend departs first, in float64."""

    evidence: Evidence
    comparison: Comparison


class Verdicts:
    """Each backend's verdict, by the first quantity that is not the same for all.

    Where no two agree on a quantity, nobody can be told to be wrong further down that state.
    """

    def __init__(self, heard: Mapping[str, BackendAnswer], evidence: Sequence[Evidence]) -> None:
        """Take what each backend's workers handed back, and the evidence of each state."""
        self.heard, self.evidence = heard, evidence
        known = (each.computed.layers for each in heard.values() if each.computed)
        self.layers = next(known, {})  # classes by name
        self.sound = [name for name, each in heard.items() if not each.failure]
        self.found: dict[str, tuple[Verdict, str]] = {}
        self.first: dict[str, First] = {}
        self.several: dict[str, float | None] = {}  # difference of several devices from one
        for name, each in heard.items():
            if each.failure:
                self.found[name] = "failed", each.failure
        if len(self.sound) < 2:
            alone = "nothing to compare it with"
            self.found |= dict.fromkeys(self.sound, ("undecided", alone))
        for one in evidence:
            self._add_departures(one)
        if not any(verdict == "departs" for verdict, _ in self.found.values()):
            self._add_undecided()

    def of(self, name: str, proof: str = "") -> BackendParity:
        """Return a backend's verdict, with what it ran on, and the proof of its culprit."""
        verdict, reason = self.found.get(name, ("agrees", ""))
        heard = self.heard[name]
        known: dict[str, Any] = {"environment_sha256": heard.environment_sha256}
        if heard.computed:
            known |= {"device": heard.computed.device, "versions": heard.computed.versions}
        known |= {"short": heard.short, "proof": proof, "several": self.several.get(name)}
        return BackendParity(backend=name, verdict=verdict, reason=reason, **known)

    def add_several(self, name: str, answer: Proved | Refusal, n_replicas: int) -> None:
        """Add what came of a backend that agrees on one device when it trained on several.

        Args:
            name: of the backend.
            answer: of its worker.
            n_replicas: devices.
        """
        several = f"on {n_replicas} devices"
        if isinstance(answer, Refusal):
            self.found[name] = "failed", f"{several}: {answer.reason}"
            return
        self.several[name] = answer.difference
        if not answer.equal:
            self.found[name] = "departs", f"{answer.departure}, {several} against one"

    def _add_departures(self, one: Evidence) -> None:
        for found in (one.mathematics, one.majority):
            for comparison in found[: n_decided(found)]:
                for name in comparison.apart:
                    if found is one.mathematics and name not in self.found:
                        self.first[name] = First(one, comparison)
                    self._add(name, comparison, found, one.at)
        for error in (each for each in one.kernels if each.departs):
            place = place_of(error.quantity, self.layers) + when(one.at)
            reason = f"{place}: in its own dtype only: {size_of(error)}; float64 agrees"
            self.found.setdefault(error.backend, ("departs", reason))

    def _add(self, name: str, one: Comparison, found: tuple[Comparison, ...], at: str) -> None:
        place = place_of(one.quantity, self.layers) + when(at)
        reason = f"{place}: {_part_about(name, one.explanation)}"
        if one.state == "not finite":
            everywhere = "; on every backend" if len(one.apart) == len(self.sound) else ""
            self.found.setdefault(name, ("failed", reason + everywhere))
            return
        reason += f"; gate {one.gate:.2g}{_later(name, one, found)}"
        self.found.setdefault(name, ("departs", reason))

    def _add_undecided(self) -> None:
        """Add the first quantity of which nobody can tell who is right."""
        for one in self.evidence:
            for found in (one.mathematics, one.majority):
                for open_question in found[n_decided(found) :][:1]:
                    differ = open_question.state == "no majority"
                    place = place_of(open_question.quantity, self.layers) + when(one.at)
                    reason = f"{place}: {open_question.explanation}"
                    if differ and len(self.sound) == 2:
                        reason += f". {NO_THIRD}"
                    verdict: Verdict = "differ" if differ else "undecided"
                    for name in self.sound:
                        self.found.setdefault(name, (verdict, reason))


def n_decided(found: Sequence[Comparison]) -> int:
    """Return how many comparisons come before the first that leaves the question open."""
    for number, one in enumerate(found):
        if one.state == "no majority" or (one.state == "undecided" and one.decisive):
            return number
    return len(found)


def _part_about(backend: str, explanation: str) -> str:
    """Return what of several backends' explanations is about this one."""
    start = f"{backend}: "
    parts = [part for part in explanation.split(", ") if part.startswith(start)]
    return parts[0].removeprefix(start) if parts else explanation


def _later(backend: str, first: Comparison, found: Sequence[Comparison]) -> str:
    """Return what departs after the first quantity that did."""
    apart = [one.quantity for one in found if backend in one.apart]
    names = [name for name in apart if name != first.quantity]
    return f"; so do, later, {some(names)}" if names else "; nothing later departs"


def when(at: str) -> str:
    """Return at which state, if it is not the first."""
    if at in ("", "0 updates"):
        return ""
    return f" with {at}" if at.startswith(BATCH) else f" after {at}"


def size_of(one: KernelError) -> str:
    """Return how much a backend errs in the model's own dtype."""
    return f"{one.error:.2g} of its size off, {one.ratio:.2g} times the others' error"


def place_of(quantity: str, layers: Mapping[str, str]) -> str:
    """Return a quantity, and the class of the layer that an output is of."""
    kind = layer_class(quantity, layers)
    return f"{quantity} ({kind})" if kind else quantity


def layer_class(quantity: str, layers: Mapping[str, str]) -> str:
    """Return the class of the layer that an output is of; "" of other quantities."""
    kind, _, name = quantity.partition("/")
    if not kind.endswith("output"):
        return ""
    return layers.get(name) or layers.get(name.partition("#")[0].partition("[")[0], "")
