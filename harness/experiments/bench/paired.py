"""Which turns of a session count, and what a generation says of one entrant and of two."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from harness.records.bench import Bench, Block, Turn

T = TypeVar("T", Turn, float)


@dataclass(frozen=True, slots=True)
class ValidTurns:
    """The valid blocks of a session, none of them twice.

    A generation's blocks belong together whichever of its processes took the turns: after a crash
    or a resume they differ.
    """

    # Of each generation, its blocks' turns by entrant.
    turns: Mapping[int, tuple[Mapping[str, Turn], ...]]
    n_least: int  # blocks: a generation with fewer does not count

    def of(self, name: str) -> dict[int, list[Turn]]:
        """Return an entrant's turns in each generation that counts for it."""
        return self._enough(
            {
                generation: [turns[name] for turns in blocks if name in turns]
                for generation, blocks in self.turns.items()
            }
        )

    def steady_s(self, name: str) -> dict[int, float]:
        """Return the median seconds of an entrant's turns in each of its valid generations."""
        return {
            generation: statistics.median(turn.seconds for turn in turns)
            for generation, turns in self.of(name).items()
        }

    def log_ratios(self, name: str, other: str) -> dict[int, float]:
        """Return ln of an entrant's seconds to another's: a generation's median."""
        pairs = self._enough(
            {
                generation: [
                    math.log(turns[name].seconds / turns[other].seconds)
                    for turns in blocks
                    if name in turns and other in turns
                ]
                for generation, blocks in self.turns.items()
            }
        )
        return {generation: statistics.median(logs) for generation, logs in pairs.items()}

    def _enough(self, found: dict[int, list[T]]) -> dict[int, list[T]]:
        return {
            generation: several
            for generation, several in found.items()
            if len(several) >= self.n_least
        }


def valid_turns(bench: Bench) -> ValidTurns:
    """Return each block's last valid attempt, of generations with half of their blocks.

    A generation of which most was invalid is one of a machine under load, however well its last few
    blocks look.
    """
    valid: dict[tuple[int, int], Block] = {}
    for block in sorted(bench.blocks, key=lambda block: block.attempt):
        if not block.invalid:
            valid[block.generation, block.block] = block
    turns: dict[int, list[Mapping[str, Turn]]] = defaultdict(list)
    for (generation, _), block in sorted(valid.items()):
        # Without those of a clock that stood still.
        took = {name: turn for name, turn in block.turns.items() if turn.seconds > 0}
        turns[generation].append(took)
    least = max(1, math.ceil(bench.session.n_blocks / 2))
    return ValidTurns({generation: tuple(blocks) for generation, blocks in turns.items()}, least)
