"""How often a session's verdicts err, and find a slowdown: by recorded noise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, get_args

import numpy as np

from harness.experiments.bench.family import family_of
from harness.experiments.bench.paired import ValidTurns
from harness.statistics.intervals import Floats, Interval
from harness.statistics.verdict import LEVEL, Finding, judge_ratio, over_generations

Generator = np.random.Generator
Shape = tuple[int, int, int, int]
"""Sessions, generations, blocks of each, entrants."""


class Source(Protocol):
    """What makes a turn longer or shorter without the code's doing."""

    def draw(self, random: Generator, shape: Shape) -> Floats:
        """Return ln seconds of turns of identical code."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What became of so many simulated sessions."""

    wrong: float  # share of sessions in which any two identical arms were called different
    shares: Mapping[Finding, float]  # of the findings on the last arm, compared with the baseline
    coverage: float  # how often the 95 % interval of that comparison holds the truth


@dataclass(frozen=True, slots=True)
class Recorded:
    """A session's noise: its turns without the arm's speed and what a block's turns share.

    A stream is what one process did in one generation: processes differ for as long as they live,
    so streams stay whole. No turn of a stream is drawn twice before all of its turns were: a few
    turns drawn with replacement have the noise of fewer.
    """

    turns: Floats  # (turns,), ln seconds, stream after stream
    first: tuple[int, ...]  # of each stream, the index of its first turn
    n_turns: tuple[int, ...]  # of each stream

    @classmethod
    def of(cls, count: ValidTurns, names: Sequence[str]) -> Recorded:
        """Return the noise of some entrants; of identical ones it is that of their code.

        Args:
            count: what counts of the session.
            names: the entrants, two or more.
        """
        drawn = [
            [turns for turns in blocks if set(names) <= turns.keys()]
            for blocks in count.turns.values()
        ]
        logs = [
            np.log([[turns[name].seconds for name in names] for turns in blocks])
            for blocks in drawn
            if len(blocks) >= count.n_least
        ]
        alone = [each - np.median(each, axis=1, keepdims=True) for each in logs]
        speed = np.median(np.concatenate(alone), axis=0)
        # The block's median took a part of each entrant's noise with it.
        lost = math.sqrt(len(names) / (len(names) - 1))
        streams = [
            (each[:, place] - speed[place]) * lost for each in alone for place in range(len(names))
        ]
        n_turns = tuple(map(len, streams))
        return cls(np.concatenate(streams), (0, *itertools.accumulate(n_turns[:-1])), n_turns)

    def draw(self, random: Generator, shape: Shape) -> Floats:
        """Return ln seconds (sessions, generations, blocks, entrants), from a stream a process."""
        sessions, generations, blocks, entrants = shape
        stream = random.integers(len(self.first), size=(sessions, generations, 1, entrants))
        n_turns = np.take(self.n_turns, stream)
        keys = random.random((sessions, generations, max(self.n_turns), entrants))
        keys[np.arange(max(self.n_turns))[:, None] >= n_turns] = math.inf  # not there
        order = np.argsort(keys, axis=2)
        places = np.take_along_axis(order, np.arange(blocks)[:, None] % n_turns, axis=2)
        return np.asarray(self.turns[np.take(self.first, stream) + places], np.float64)


def simulate(
    noise: Source,
    random: Generator,
    *,
    n_sessions: int,
    n_generations: int,
    n_blocks: int,
    n_arms: int = 2,
    slowdown: float = 1.0,
) -> Rates:
    """Return how sessions of identical arms are judged, the last of which may be slower.

    Args:
        noise: of every turn.
        random: draws it.
        n_sessions: how many.
        n_generations: of each.
        n_blocks: of each generation.
        n_arms: of each session; the first is the baseline, whose code runs once more for the A/A
            floor.
        slowdown: of the last arm; 1: it is identical too.
    """
    found: list[Finding] = []
    n_wrong = n_held = 0
    for _ in range(n_sessions):
        turns = noise.draw(random, (1, n_generations, n_blocks, n_arms + 1))[0]
        turns[..., n_arms - 1] += math.log(slowdown)
        session = _Session(turns, n_arms)
        n_wrong += session.errs(n_arms if slowdown == 1 else n_arms - 1)
        ratio, finding = session.judge(n_arms - 1, 0)
        n_held += ratio is not None and not ratio.excludes(slowdown)
        found.append(finding)
    shares = {each: found.count(each) / n_sessions for each in get_args(Finding)}
    return Rates(n_wrong / n_sessions, shares, n_held / n_sessions)


class _Session:
    """A simulated session, judged as a recorded one is."""

    def __init__(self, turns: Floats, n_arms: int) -> None:
        """Take ln seconds (generations, blocks, n_arms + 1); the last entrant repeats the first."""
        self.n_generations = len(turns)
        self.floor = over_generations(
            np.median(turns[..., n_arms] - turns[..., 0], axis=1).tolist()
        )
        pairs = list(itertools.combinations(range(n_arms), 2))
        first, second = np.transpose(pairs)
        # Of the second to the first.
        logs = np.median(turns[..., second] - turns[..., first], axis=1).T.tolist()
        self.logs = {pair: dict(enumerate(each)) for pair, each in zip(pairs, logs, strict=True)}
        self.family = family_of({_names(pair): each for pair, each in self.logs.items()})

    def judge(self, one: int, other: int) -> tuple[Interval | None, Finding]:
        """Return the ratio of an arm's epoch to that of an earlier arm, and its finding."""
        logs = self.logs[other, one]
        ratio = over_generations(logs.values())
        p_together = self.family.get(_names((other, one)), 1.0)
        return ratio, judge_ratio(ratio, self.n_generations, self.floor, p_together)[0]

    def errs(self, n_same: int) -> bool:
        """Say whether any two of the first arms, which are identical, are called different.

        Every pair counts, so whichever of them a table, a leader's sentence or a sentence on `fit`
        shows, an error is counted.
        """
        return any(self._different(*pair) for pair in itertools.combinations(range(n_same), 2))

    def _different(self, one: int, other: int) -> bool:
        """Say whether one of two arms is called faster; `one` comes first."""
        if self.family.get(_names((one, other)), 1.0) > LEVEL:
            return False  # whatever its interval is
        return self.judge(other, one)[1] in ("faster", "slower")


def _names(pair: tuple[int, int]) -> frozenset[str]:
    return frozenset(map(str, pair))
