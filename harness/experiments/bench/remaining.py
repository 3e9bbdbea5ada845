"""What a session still lacks: its open generations and blocks, and the entrants without an end."""

from __future__ import annotations

from collections import Counter

from harness.records.bench import Bench


def unfinished_generations(bench: Bench) -> list[int]:
    """Return generations that lack a block or an end; none once every entrant is set aside."""
    session = bench.session
    if len(bench.set_aside) == len(session.entrants):
        return []
    done = closed_blocks(bench)
    numbers, blocks = range(1, session.n_generations + 1), range(1, session.n_blocks + 1)
    return [
        number
        for number in numbers
        if any((number, block) not in done for block in blocks)
        or entrants_without_end(bench, number)
    ]


def missing_blocks(bench: Bench, generation: int) -> list[int]:
    """Return the blocks of a generation that are neither valid nor given up."""
    done = closed_blocks(bench)
    return [
        number
        for number in range(1, bench.session.n_blocks + 1)
        if (generation, number) not in done
    ]


def closed_blocks(bench: Bench) -> set[tuple[int, int]]:
    """Return the blocks that are valid, or given up; one cut short by a crash is no attempt."""
    disturbed = Counter(
        (each.generation, each.block)
        for each in bench.blocks
        if each.invalid and len(each.turns) == len(each.order)
    )
    valid = {(each.generation, each.block) for each in bench.blocks if not each.invalid}
    return valid | {
        block for block, times in disturbed.items() if times >= bench.session.limits.n_attempts
    }


def entrants_without_end(bench: Bench, generation: int) -> list[str]:
    """Return the entrants without an end: their models' results are not yet known."""
    ended = {end.name for end in bench.ends if end.generation == generation}
    return [
        entrant.name
        for entrant in bench.session.entrants
        if entrant.name not in ended and entrant.name not in bench.set_aside
    ]
