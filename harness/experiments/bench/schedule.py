"""In which order arms take their turns: balanced, and drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def turns(names: Sequence[str], seed: int, block: int) -> tuple[str, ...]:
    """Return the order of a block's turns.

    The first blocks of a session go through a Williams square, its rows and its labels shuffled:
    each name stands equally often at each place, and equally often after each other. After its last
    row, each block is shuffled by itself.

    Args:
        names: who takes a turn in each block.
        seed: of the session.
        block: from 0, counted through all generations.
    """
    return _order(names, (seed, 0), block)


def starts(names: Sequence[str], seed: int, generation: int) -> tuple[str, ...]:
    """Return the order in which a generation's processes start, balanced as turns are.

    Args:
        names: who starts a process.
        seed: of the session.
        generation: from 1.
    """
    return _order(names, (seed, 1), generation - 1)


def _order(names: Sequence[str], stream: tuple[int, int], index: int) -> tuple[str, ...]:
    rows = williams(len(names))
    random = np.random.default_rng(stream)
    labels, which = random.permutation(len(names)), random.permutation(len(rows))
    order = (
        labels[rows[which[index]]]
        if index < len(rows)
        else np.random.default_rng((*stream, index)).permutation(len(names))
    )
    return tuple(names[place] for place in order)


def williams(n: int) -> NDArray[np.int64]:
    """Return a Williams design of n treatments, (n, n), or (2 n, n) for odd n; a row a subject.

    Each treatment stands equally often in each column and directly after each other treatment.

    Source: Williams 1949, Australian Journal of Scientific Research 2, 149-168.
    """
    zigzag = [
        index // 2 if index % 2 == 0 else n - 1 - index // 2 for index in range(n)
    ]  # 0, n-1, 1, n-2, ...
    square = (np.array(zigzag) + np.arange(n)[:, None]) % n
    return square if n % 2 == 0 else np.concatenate([square, square[:, ::-1]])


def process_variables(seed: int, *who: int) -> dict[str, str]:
    """Return variables that differ between processes: hash seed and size of the environment.

    The length moves the stack, and with it what is aligned to what: a process's own speed that is
    no arm's.

    Source: Mytkowicz et al. 2009, Producing wrong data without doing anything obviously wrong.
    """
    random = np.random.default_rng((seed, *who))
    return {
        "PYTHONHASHSEED": str(random.integers(2**32)),
        "HARNESS_PADDING": "x" * int(random.integers(4096)),
    }
