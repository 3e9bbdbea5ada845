"""Where an arm departs: made of a finding outside its gate, and put into words."""

from __future__ import annotations

from harness.records.parity import Departure
from harness.referee.gates import Finding


def departure_at(program: str, point: str, finding: Finding) -> Departure:
    """Return the departure that a finding outside of its gate is.

    Args:
        program: "production", "loop" or "epoch".
        point: its name.
        finding: the first one outside.
    """
    return Departure(
        program=program,
        point=point,
        quantity=finding.quantity,
        measure=finding.measure,
        error=finding.error,
        gate=finding.gate,
        fit=finding.said,
    )


def describe(departure: Departure) -> str:
    """Return where and by how much an arm departs first, and what explains it."""
    parts = [f"{departure.program} {departure.point}: {departure.quantity}"]
    if departure.error is not None and departure.gate is not None:
        parts[0] += (
            f" off by {departure.error:.2g} ({departure.measure}; gate {departure.gate:.2g})"
        )
    where = departure.where and f"in {departure.where}"
    return "; ".join(filter(None, (*parts, departure.fit, where)))
