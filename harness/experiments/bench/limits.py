"""Whether what happened beside a turn was too much, by limits declared before the session began."""

from __future__ import annotations

from typing import Literal, NamedTuple

from harness.records.bench import Limits, Turn


class Broken(NamedTuple):
    """A limit that a turn broke: which, the figure, and the most that was allowed."""

    kind: Literal["core taken", "core added", "clock", "throttled", "steal", "others", "ended"]
    figure: float
    limit: float


SENTENCES = {  # of a broken limit, with its figure and the limit; both are shares but for three
    "core taken": "a core was taken away: {0} of {1} left",
    "core added": "a core was added: {0} instead of {1}",
    "clock": "the clocks disagree by {0} s, at most {1} s allowed: one was set, or the machine "
    "slept",
    "throttled": "the control group's quota held it up for {0} % of the turn, at most {1} % "
    "allowed",
    "steal": "the hypervisor gave {0} % of the cores to other machines, at most {1} % allowed",
    "others": "other processes used {0} % of the cores, at most {1} % allowed",
    "ended": "a process ended",
}
SHARES = ("throttled", "steal", "others")


def broken_limit(turn: Turn, limits: Limits, n_cores_at_start: int) -> Broken | None:
    """Return the limit because of which a turn does not count; None where it counts.

    What the system does not say (None) breaks no limit. Where several are broken it is the first: a
    machine that slept or lost a core breaks the later ones too.

    Args:
        turn: the turn and what happened beside it.
        limits: declared before the session began.
        n_cores_at_start: that the worker could use when it was started.
    """
    if turn.n_cores != n_cores_at_start:
        taken = turn.n_cores < n_cores_at_start
        return Broken("core taken" if taken else "core added", turn.n_cores, n_cores_at_start)
    if turn.clock_s > limits.clock_s:
        return Broken("clock", turn.clock_s, limits.clock_s)
    around_s = max(turn.around_s, 1e-9)
    given_s = n_cores_at_start * around_s
    shares = (
        Broken("throttled", (turn.throttled_s or 0.0) / around_s, limits.throttled),
        Broken("steal", (turn.steal_s or 0.0) / given_s, limits.steal),
        Broken("others", (turn.others_s or 0.0) / given_s, limits.others),
    )
    return next((each for each in shares if each.figure > each.limit), None)


def describe_broken(broken: Broken, figure: str = "") -> str:
    """Return a broken limit in words; with another text as its figure, for several of a kind."""
    scale = 100 if broken.kind in SHARES else 1
    form = "g" if broken.kind.startswith("core") else ".3g"
    shown = figure or f"{scale * broken.figure:{form}}"
    return SENTENCES[broken.kind].format(shown, f"{scale * broken.limit:{form}}")


def invalid_reason(turn: Turn, limits: Limits, n_cores_at_start: int) -> str:
    """Return why a turn does not count, with the figure and its limit; empty when it counts.

    Args:
        turn: the turn and what happened beside it.
        limits: declared before the session began.
        n_cores_at_start: that the worker could use when it was started.
    """
    broken = broken_limit(turn, limits, n_cores_at_start)
    return describe_broken(broken) if broken else ""
