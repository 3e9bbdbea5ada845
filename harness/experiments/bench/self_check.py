"""Checks of the bench: clocks wait, no turn compiles, the parent sleeps, errors and power."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.experiments.bench.paired import valid_turns
from harness.experiments.bench.simulation import Recorded, simulate
from harness.job.answers import ClockCheck, Refusal
from harness.records.bench import Bench
from harness.statistics.verdict import MIN_GENERATIONS

PARENT = 0.02  # of a turn's seconds, at most, in CPU seconds of the process that asks
OWN = 0.02  # of a session's seconds, at most
FALSE_ALARMS = 1 / 20  # of sessions with identical arms, at most
SLOWDOWN, POWER = 1.05, 19 / 20  # planted, and how often it must be called slower
N_SESSIONS = 1000  # simulated
# Times as many generations, tried in this order where a session is too short.
LONGER = (1.5, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, what was found, and whether it holds; None where nothing can be said."""

    promise: str
    found: str
    holds: bool | None


def clock_checks(answers: Mapping[str, ClockCheck | Refusal]) -> list[Check]:
    """Return whether each backend's clock waits, from its answer."""
    checks = []
    for name, answer in answers.items():
        promise = f"{name}: the clock is read when the work is done"
        if isinstance(answer, Refusal):
            checks.append(Check(promise, answer.reason, None))
            continue
        how = "asynchronous" if answer.asynchronous else "synchronous here, nothing to wait for"
        found = (
            f"{how}: {answer.timed_s:.2f} s timed, the result was there "
            f"{answer.left_s * 1000:.0f} ms later"
        )
        checks.append(Check(promise, found, answer.holds))
    return checks


def session_checks(bench: Bench) -> list[Check]:
    """Return checks of a session's records: compiles, the parent's seconds, own cost."""
    turns = [
        turn
        for blocks in valid_turns(bench).turns.values()
        for block in blocks
        for turn in block.values()
    ]
    if not turns:
        return [Check("a session's turns can be looked at", "none is valid", None)]
    n_compiles = sum(turn.n_compiles for turn in turns)
    parent = sum(turn.parent_s for turn in turns) / sum(turn.around_s for turn in turns)
    checks = [
        Check(
            "no timed epoch compiles",
            f"{n_compiles} programs made in {len(turns)} turns",
            n_compiles == 0,
        ),
        Check(
            f"while a worker trains its parent sleeps: below {PARENT:.0%}",
            f"{parent:.3%} of a turn, in CPU seconds",
            parent < PARENT,
        ),
    ]
    if bench.own_cost is not None:
        checks.append(
            Check(
                f"the harness's own cost is below {OWN:.0%} of a session",
                f"{bench.own_cost:.2%}",
                bench.own_cost < OWN,
            )
        )
    return checks


def error_rate_checks(bench: Bench, n_sessions: int = N_SESSIONS) -> list[Check]:
    """Return how often sessions of this noise and size err, and find a planted slowdown.

    Args:
        bench: with an A/A pair; the simulated sessions have as many arms, and are as long as it was
            planned to be.
        n_sessions: to simulate for each; an error rate is too high where it exceeds what is
            promised by two standard errors.
    """
    session, count = bench.session, valid_turns(bench)
    names = [each.name for each in session.entrants if each.name not in bench.set_aside]
    n_arms = sum(name not in session.duplicates for name in names)
    alarms, power = _promises(n_arms, session.original or "code")
    n_paired = len(count.log_ratios(session.again, session.original)) if session.again else 0
    if n_paired < MIN_GENERATIONS or n_arms < 2:
        unknown = (
            f"the A/A pair took turns in {n_paired} generations, {MIN_GENERATIONS} are needed. "
            f"Run: nox -s bench"
        )
        return [Check(alarms, unknown, None), Check(power, unknown, None)]
    pair, every = (Recorded.of(count, each) for each in ((session.original, session.again), names))
    size = {"n_sessions": n_sessions, "n_blocks": session.n_blocks}
    size |= {"n_generations": session.n_generations, "n_arms": n_arms}
    random = np.random.default_rng(0)
    null, loud = (simulate(noise, random, **size).wrong for noise in (pair, every))
    found = simulate(pair, random, **size, slowdown=SLOWDOWN).shares["slower"]
    enough = "" if found >= POWER else _enough(pair, size)
    whence = f"{n_sessions} sessions simulated from the noise recorded in {n_paired} generations"
    return [
        Check(
            alarms,
            f"{null:.1%} with the noise of the A/A pair, {loud:.1%} with that of all arms, of "
            f"{whence}",
            max(null, loud)
            <= FALSE_ALARMS + 2 * math.sqrt(FALSE_ALARMS * (1 - FALSE_ALARMS) / n_sessions),
        ),
        Check(power, f"{found:.1%} of {whence}{enough}", found >= POWER),
    ]


def _promises(n_arms: int, code: str) -> tuple[str, str]:
    return (
        f"of {n_arms} identical arms any is called faster or slower in at most {FALSE_ALARMS:.0%} "
        f"of whole sessions",
        f"{code} slower by {SLOWDOWN - 1:.0%} is called slower in at least {POWER:.0%}",
    )


def _enough(noise: Recorded, size: Mapping[str, int]) -> str:
    """Return which size of a session has the power that this one lacks, with such noise."""
    random = np.random.default_rng(1)
    n_blocks = size["n_blocks"]
    for times in LONGER:
        n_generations = math.ceil(times * size["n_generations"])
        longer = {**size, "n_generations": n_generations}
        share = simulate(noise, random, **longer, slowdown=SLOWDOWN).shares["slower"]
        if share >= POWER:
            return (
                f"; with --generations {n_generations} --blocks {n_blocks} it is {share:.1%}: the "
                f"machine was less quiet than such a session needs"
            )
    return f"; {LONGER[-1]} times as many generations are too few too: make the machine quieter"
