"""What the C library does with the memory that an update frees."""

from __future__ import annotations

import numpy as np

FIRST_BLOCK_BYTES = 2**25 - 2**16


def keep() -> None:
    """Have glibc keep what an update allocates and frees, on a CPU.

    It returns freed memory to the system above twice the largest block that was mapped and freed,
    as long as that is below 32 MiB. What an update frees is above it: 400,000 page faults and a
    quarter of an eager loop's seconds an epoch. After one block of nearly 32 MiB was freed, glibc
    keeps the memory.
    """
    np.empty(FIRST_BLOCK_BYTES, np.uint8)  # freed at once
