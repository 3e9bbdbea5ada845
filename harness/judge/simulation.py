"""How often the rules of `effect` are wrong, and how often they find what is there: from a recorded session, and from a model of noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.judge.effect import Finding, judged, over_generations
from harness.judge.paired import counted
from harness.judge.statistics import Floats
from harness.records.bench import Bench, Block, Turn

Generator = np.random.Generator


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """What became of so many simulated comparisons of one arm with another."""

    n_sessions: int
    shares: Mapping[Finding, float]

    @property
    def different(self) -> float:
        """Share that was called faster or slower: of identical arms, the error rate."""
        return self.shares["faster"] + self.shares["slower"]


def resampled(bench: Bench, random: Generator, slowdown: Mapping[str, float] | None = None, *, n_generations: int | None = None) -> Bench:
    """Return a session as it might have been: generations drawn with replacement, and in each of them its valid blocks.

    The turns of a block stay together, since they share what happened to the machine. In each generation the two of the A/A
    pair exchange their names by the toss of a coin: whatever one process kept over the other, as a pair they differ by nothing.
    Blocks that are drawn anew add their noise once more to that of the recorded ones, so what is found is found a little less often.

    Args:
        bench: a session with generations that count.
        random: draws them.
        slowdown: by how much each entrant's turns are made longer, 1.05 for 5 %: the planted difference.
        n_generations: of the session made; by default as many as count in this one.
    """
    count, session = counted(bench), bench.session
    valid = {(block.generation, block.block): block for block in sorted(bench.blocks, key=lambda block: block.attempt) if not block.invalid}
    whole = [generation for generation, blocks in count.turns.items() if len(blocks) >= count.n_least]
    drawn = random.choice(whole, n_generations or len(whole))
    blocks: list[Block] = []
    for number, generation in enumerate(drawn, start=1):
        its = [block for (of, _), block in valid.items() if of == generation]
        names = {session.again: session.original, session.original: session.again} if session.again and random.random() < 0.5 else {}
        for place, chosen in enumerate(random.choice(len(its), session.n_blocks), start=1):
            turns = {names.get(name, name): turn for name, turn in its[chosen].turns.items()}
            update = {"generation": number, "block": place, "attempt": 1, "turns": _slower(turns, slowdown or {})}
            blocks.append(its[chosen].model_copy(update=update))
    return bench.model_copy(update={"session": session.model_copy(update={"n_generations": len(drawn)}), "blocks": tuple(blocks)})


def _slower(turns: Mapping[str, Turn], slowdown: Mapping[str, float]) -> dict[str, Turn]:
    return {
        name: turn.model_copy(update={"seconds": turn.seconds * slowdown[name]}) if name in slowdown else turn
        for name, turn in turns.items()
    }


def error_rates(bench: Bench, random: Generator, *, n_sessions: int, slowdown: float = 1.0, n_generations: int | None = None) -> ErrorRates:
    """Return what the second of a session's identical arms would be called in sessions like this one, were it slower by so much.

    Each time one resampled session gives the comparison, and another one the A/A floor that it is held to.

    Args:
        bench: a session with an A/A pair.
        random: draws the sessions.
        n_sessions: how many.
        slowdown: 1: not slower at all, and whatever is called faster or slower is an error.
        n_generations: of each; by default as many as count in this one.
    """
    again, original = bench.session.again, bench.session.original
    found: list[Finding] = []
    for _ in range(n_sessions):
        planted, plain = (resampled(bench, random, {again: by}, n_generations=n_generations) for by in (slowdown, 1.0))
        logs, floor = (counted(each).log_ratios(again, original).values() for each in (planted, plain))
        found.append(judged(over_generations(logs), len(logs), over_generations(floor))[0])
    return _rates(found)


def _rates(found: list[Finding]) -> ErrorRates:
    findings: tuple[Finding, ...] = ("faster", "slower", "same", "inconclusive")
    return ErrorRates(len(found), {finding: found.count(finding) / len(found) for finding in findings})


@dataclass(frozen=True, slots=True)
class Noise:
    """What makes a turn longer or shorter without the code's doing; each figure is one of ln seconds."""

    process: float = 0.015  # sd of what a process keeps from its start to its end
    turn: float = 0.08  # sd of what each turn adds
    freedom: float = math.inf  # of Student's t that both are drawn from; 3: heavy tails. Their sd stays what it is
    drift: float = 0.0  # from the first turn of a block to its last: the machine grows warm, the order is drawn for each block
    bursts: float = 0.0  # share of turns that something else makes longer by half

    def draw(self, random: Generator, shape: tuple[int, int, int, int]) -> Floats:
        """Return ln seconds: (sessions, generations, blocks, entrants)."""
        sessions, generations, _, entrants = shape
        kept = self._spread(random, (sessions, generations, 1, entrants)) * self.process
        places = random.permuted(np.broadcast_to(np.linspace(0, 1, entrants), shape), axis=-1)
        burst = math.log(1.5) * (random.random(shape) < self.bursts)
        return np.asarray(kept + self._spread(random, shape) * self.turn + self.drift * places + burst, np.float64)

    def _spread(self, random: Generator, shape: tuple[int, ...]) -> Floats:
        if math.isinf(self.freedom):
            return random.standard_normal(shape)
        return random.standard_t(self.freedom, shape) / math.sqrt(self.freedom / (self.freedom - 2))


def simulated(
    noise: Noise, random: Generator, *, n_sessions: int, n_generations: int, n_blocks: int, slowdown: float = 1.0
) -> tuple[ErrorRates, float]:
    """Return what an arm slower by so much is called in sessions of such noise, and how often the 95 % interval holds the truth.

    Args:
        noise: of every process and every turn.
        random: draws it.
        n_sessions: how many.
        n_generations: of each.
        n_blocks: of each generation.
        slowdown: of the arm; the baseline and the arm that repeats it have none.
    """
    turns = noise.draw(random, (n_sessions, n_generations, n_blocks, 3))  # baseline, arm, baseline again
    arms, floors = (np.median(turns[..., entrant] - turns[..., 0], axis=2) for entrant in (1, 2))
    ratios = [over_generations(logs) for logs in (arms + math.log(slowdown)).tolist()]
    found = [judged(ratio, n_generations, over_generations(logs))[0] for ratio, logs in zip(ratios, floors.tolist(), strict=True)]
    return _rates(found), float(np.mean([ratio is not None and not ratio.excludes(slowdown) for ratio in ratios]))
