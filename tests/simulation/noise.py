"""Noise that is modelled, beside the recorded noise of harness.experiments.bench.simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.experiments.bench.simulation import Shape
from harness.statistics.intervals import Floats


@dataclass(frozen=True, slots=True)
class Noise:
    """What makes a turn longer or shorter without the code's doing, in ln seconds."""

    process: float = 0.015  # sd of what a process keeps from its start to its end
    turn: float = 0.08  # sd of what each turn adds
    # Of Student's t that both are drawn from; 3: heavy tails. Their sd stays what it is.
    freedom: float = math.inf
    drift: float = 0.0  # from a block's first turn to its last, as the machine grows warm
    bursts: float = 0.0  # share of turns that something else makes longer by half

    def draw(self, random: np.random.Generator, shape: Shape) -> Floats:
        """Return ln seconds: (sessions, generations, blocks, entrants)."""
        sessions, generations, _, entrants = shape
        kept = self._spread(random, (sessions, generations, 1, entrants)) * self.process
        places = random.permuted(np.broadcast_to(np.linspace(0, 1, entrants), shape), axis=-1)
        burst = math.log(1.5) * (random.random(shape) < self.bursts)
        return np.asarray(
            kept + self._spread(random, shape) * self.turn + self.drift * places + burst, np.float64
        )

    def _spread(self, random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        if math.isinf(self.freedom):
            return random.standard_normal(shape)
        return random.standard_t(self.freedom, shape) / math.sqrt(self.freedom / (self.freedom - 2))
