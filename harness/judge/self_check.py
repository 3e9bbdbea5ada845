"""What a bench's figures stand on, checked: each clock waits, no turn compiles, the parent sleeps, errors and power are as promised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.judge.effect import MIN_GENERATIONS
from harness.judge.paired import counted
from harness.judge.simulation import error_rates
from harness.records.bench import Bench

PARENT = 0.02  # of a turn's seconds, at most, in CPU seconds of the process that asks
OWN = 0.02  # of a session's seconds, at most
FALSE_ALARMS = 1 / 20  # of sessions with identical arms, at most
SLOWDOWN, POWER = 1.05, 19 / 20  # planted, and how often it must be called slower
N_SESSIONS = 1000  # simulated


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, what was found, and whether it holds; None where nothing can be said."""

    promise: str
    found: str
    holds: bool | None


def waits(answers: Mapping[str, Mapping[str, Any]]) -> list[Check]:
    """Return whether each backend's clock waits for its device: from each one's answer to the task "self check"."""
    checks = []
    for name, answer in answers.items():
        promise = f"{name}: the clock is read when the work is done"
        if "refused" in answer:
            checks.append(Check(promise, str(answer["refused"]), None))
            continue
        how = "asynchronous" if answer["asynchronous"] else "synchronous here, nothing to wait for"
        found = f"{how}: {answer['timed_s']:.2f} s timed, the result was there {answer['left_s'] * 1000:.0f} ms later"
        checks.append(Check(promise, found, bool(answer["holds"])))
    return checks


def of_session(bench: Bench) -> list[Check]:
    """Return what a session's own records say: compiles in turns, the parent's seconds, and the harness's own share."""
    turns = [turn for blocks in counted(bench).turns.values() for block in blocks for turn in block.values()]
    if not turns:
        return [Check("a session's turns can be looked at", "none is valid", None)]
    n_compiles = sum(turn.n_compiles for turn in turns)
    parent = sum(turn.parent_s for turn in turns) / sum(turn.around_s for turn in turns)
    checks = [
        Check("no timed epoch compiles", f"{n_compiles} programs made in {len(turns)} turns", n_compiles == 0),
        Check(f"while a worker trains its parent sleeps: below {PARENT:.0%}", f"{parent:.3%} of a turn, in CPU seconds", parent < PARENT),
    ]
    if bench.own_cost is not None:
        checks.append(Check(f"the harness's own cost is below {OWN:.0%} of a session", f"{bench.own_cost:.2%}", bench.own_cost < OWN))
    return checks


def of_verdicts(bench: Bench, n_sessions: int = N_SESSIONS) -> list[Check]:
    """Return how often verdicts would be wrong, and would find a planted slowdown, in sessions of this one's noise.

    Args:
        bench: with an A/A pair; sessions are drawn from its generations and blocks, and are as long as it was planned to be.
        n_sessions: to simulate for each.
    """
    session = bench.session
    alarms = f"identical code is called faster or slower in at most {FALSE_ALARMS:.0%} of sessions"
    power = f"{session.original or 'code'} slower by {SLOWDOWN - 1:.0%} is called slower in at least {POWER:.0%}"
    n_paired = len(counted(bench).log_ratios(session.again, session.original)) if session.again else 0
    if n_paired < MIN_GENERATIONS:
        said = f"the A/A pair took turns in {n_paired} generations, {MIN_GENERATIONS} are needed. Run: nox -s bench"
        return [Check(alarms, said, None), Check(power, said, None)]
    random = np.random.default_rng(0)
    null, slower = (
        error_rates(bench, random, n_sessions=n_sessions, slowdown=slowdown, n_generations=session.n_generations)
        for slowdown in (1.0, SLOWDOWN)
    )
    found = f"{{:.1%}} of {n_sessions} simulated from the noise recorded in {n_paired} generations"
    return [
        Check(alarms, found.format(null.different), null.different <= FALSE_ALARMS),
        Check(power, found.format(slower.shares["slower"]), slower.shares["slower"] >= POWER),
    ]
