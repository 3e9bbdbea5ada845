"""How large a count may be, and what a name or a value may hold, each with its reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from harness.errors import shown
from harness.spec.faults import fault

N_INPUTS, N_SAMPLES = 784, 60_000  # of either dataset
MOST_THREADS = 1024
MOST_WEIGHTS = 2**28  # 1 GiB of them; gradients, slots and copies take several times as much
MOST_ORDERS = 10_000  # epochs of all seeds together: 2.2 GiB of sample orders


def _at_most(n_most: int, cost: Callable[[int], str]) -> AfterValidator:
    """Return what refuses a larger count, with what it would cost as the reason."""

    def check(value: int) -> int:
        if value > n_most:
            raise fault(f"expected at most {n_most}; received {shown(value)}: {cost(value)}")
        return value

    return AfterValidator(check)


def size(n_numbers: int) -> str:
    """Return the memory of so many float32 or int32, in the largest unit of which there is one."""
    n_bytes = 4 * n_numbers
    if n_bytes >= 1024**5:
        return "more than 1 PiB"
    power = n_bytes.bit_length() // 10
    return f"{n_bytes / 1024**power:.1f} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB')[power]}"


Positive = Annotated[int, Field(gt=0)]
Units = Annotated[
    Positive,
    _at_most(2**16, lambda units: f"a kernel of {N_INPUTS} inputs takes {size(N_INPUTS * units)}"),
]
Epochs = Annotated[
    Positive,
    _at_most(
        1000, lambda epochs: f"the order of {N_SAMPLES} samples takes {size(N_SAMPLES * epochs)}"
    ),
]
BatchSize = Annotated[
    Positive, _at_most(10**6, lambda batch: f"its inputs take {size(N_INPUTS * batch)}")
]


def _threads(value: object) -> object:
    if value == "auto" or (type(value) is int and 0 < value <= MOST_THREADS):
        return value
    raise fault(
        f"expected 'auto' or a number of cores from 1 to {MOST_THREADS}; received {shown(value)}"
    )


def _variable(value: str) -> str:
    """Return the value of a variable that a process can be started with."""
    try:
        sound = b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:  # under a locale that has no such letter
        sound = False
    if not sound:
        raise fault(
            f"expected a value that a process can be given, without NUL; received {shown(value)}"
        )
    return value


VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=256)]
VariableValue = Annotated[str, Field(max_length=8192), AfterValidator(_variable)]
Variables = Annotated[dict[VariableName, VariableValue], Field(max_length=100)]
# A line of what pip is given.
Requirement = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=1000)]
Threads = Annotated[int | str, BeforeValidator(_threads)]
MOST_REPLICAS = 64
Replicas = Annotated[int, Field(ge=1, le=MOST_REPLICAS)]
# It becomes part of file names.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
