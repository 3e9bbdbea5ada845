"""What backends made of a user's model, state by state -> who departs, where, in which dtype.

Each state is judged by itself: it begins from the same weights and slots everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.job.answers import ComputedModel, Host
from harness.referee import majority
from harness.referee.majority import Comparison
from harness.referee.model64 import JUDGED, ONCE, Judgement, KernelError, judge_model, noise_of
from harness.referee.oracle import UNIT
from harness.referee.quantities import kind_of
from harness.spec.data.arrays import Arrays

UNITS = {"float32": UNIT, "float16": 2.0**-11, "bfloat16": 2.0**-8}
SHAPE = "shape of "  # beside a quantity that is kept as sums, see `harness.worker.sketch`
BATCH = "a batch of "


@dataclass(slots=True)
class BackendAnswer:
    """What one backend handed back."""

    computed: ComputedModel | None = None
    host: Host | None = None  # as its worker saw it
    environment_sha256: str | None = None
    rounded: Path | None = None  # what it computed in the model's own dtype
    exact: Path | None = None  # in float64
    short: tuple[str, ...] = ()  # operations that were not
    remarks: tuple[str, ...] = ()
    failure: str = ""
    inexact: str = ""  # why there is nothing in float64
    of_user: bool = False  # what the user named can be compared on no backend


@dataclass(frozen=True, slots=True)
class Evidence:
    """Every quantity at one state, in the order of a step."""

    at: str
    mathematics: tuple[Comparison, ...] = ()  # in float64, of the backends that have it
    kernels: tuple[KernelError, ...] = ()
    majority: tuple[Comparison, ...] = ()  # of all, where one of them has nothing in float64
    amplified: KernelError | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)  # of quantities that are kept as sums

    @property
    def remarks(self) -> tuple[KernelError, ...]:
        """What stands out in the model's own dtype and is no departure; of what it follows from."""
        found = Judgement((), self.kernels).remarks
        return tuple(one for one in found if kind_of(one.quantity) in JUDGED)

    def n_compared(self, one: Comparison) -> int:
        """Return how many numbers of a quantity were compared."""
        return self.sizes.get(one.quantity, one.n_compared)


def judge(sound: Mapping[str, BackendAnswer]) -> tuple[Evidence, ...]:
    """Return the evidence of each state, of the backends that have computed something."""
    files = {
        "exact": {name: each.exact for name, each in sound.items() if each.exact},
        "rounded": {name: each.rounded for name, each in sound.items() if each.rounded},
    }
    states = dict.fromkeys(
        state for of in files.values() for file in of.values() for state in _states(file)
    )
    found: list[Evidence] = []
    for state in states:
        noise = noise_of(found[0].kernels) if found else {}
        found.append(_judge_state(state, files, sound, noise))
    return mark_once(found)


def is_open(several: Sequence[Evidence]) -> bool:
    """Say whether one state alone is known, and an error there may be a kernel's or chance.

    A kernel that errs does so at every state: see `harness.referee.model64`.
    """
    compared = [each for each in several if each.kernels]
    departing = [one for each in compared for one in each.kernels if one.departs]
    return len(compared) == 1 and any(one.ratio <= ONCE for one in departing)


def mark_once(several: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Return the evidence, each kernel's error marked that stands out at one of several states."""
    compared = [each for each in several if each.kernels]
    seen = Counter(
        (one.backend, one.quantity) for each in compared for one in each.kernels if one.stands_out
    )
    if len(compared) < 2:
        return tuple(several)
    return tuple(
        replace(
            each,
            kernels=tuple(
                replace(one, once=seen[one.backend, one.quantity] == 1) for one in each.kernels
            ),
        )
        for each in several
    )


def _judge_state(
    state: str,
    files: Mapping[str, Mapping[str, Path]],
    sound: Mapping[str, BackendAnswer],
    noise: Mapping[str, float],
) -> Evidence:
    """Return the evidence of a state.

    Args:
        state: its name.
        files: by kind and backend.
        sound: the backends' answers.
        noise: what rounding makes of each quantity at the first state.
    """
    read = [_read_all(files[kind], state) for kind in ("exact", "rounded")]
    sizes = _sizes([arrays for of in read for arrays in of.values()])
    exact, rounded = map(_plain, read)
    judged, found = Judgement((), ()), Judgement((), ()).mathematics
    given = _circumstances(state, sound)
    if len(exact) > 1:
        judged = judge_model(exact, rounded, noise=noise, **given)
    if set(exact) != set(sound) and len(rounded) > 1:
        found = majority.compare_backends(rounded, noise_of(judged.kernels), given["n_samples"])
    return Evidence(state, judged.mathematics, judged.kernels, found, judged.amplified, sizes)


def _circumstances(state: str, sound: Mapping[str, BackendAnswer]) -> dict[str, Any]:
    """Return the samples of a state's batch, the model's unit, and whether float64 is whole."""
    known = [each.computed for each in sound.values() if each.computed]
    n_samples = max(each.n_samples for each in known)
    if state.startswith(BATCH):
        n_samples = int(state.removeprefix(BATCH))
    is_whole = not any(each.short for each in sound.values())
    unit = max(UNITS[each.dtype] for each in known)
    return {"n_samples": n_samples, "unit": unit, "is_whole": is_whole}


def _read_all(files: Mapping[str, Path], state: str) -> dict[str, dict[str, NDArray[Any]]]:
    """Return what each backend that has a state computed there, of any shape."""
    found = {name: _read(file, state) for name, file in files.items()}
    return {name: arrays for name, arrays in found.items() if arrays}


def _states(file: Path) -> Iterator[str]:
    with np.load(file, allow_pickle=False) as archive:
        yield from dict.fromkeys(name.partition("/")[0] for name in archive.files)


def _read(file: Path, state: str) -> dict[str, NDArray[Any]]:
    """Return what was computed at a state, of any shape, beside shapes of what is kept as sums."""
    with np.load(file, allow_pickle=False) as archive:
        names = [name for name in archive.files if name.startswith(f"{state}/")]
        return {name.removeprefix(f"{state}/"): archive[name] for name in names}


def _sizes(several: Sequence[Arrays]) -> dict[str, int]:
    """Return how many numbers each quantity has that is kept as sums."""
    return {
        name.removeprefix(SHAPE): int(np.prod(value))
        for arrays in several
        for name, value in arrays.items()
        if name.startswith(SHAPE)
    }


def _plain(several: Mapping[str, Arrays]) -> dict[str, dict[str, NDArray[Any]]]:
    """Return quantities, of any shape, without the shapes of those that are kept as sums.

    Where backends have a quantity in several shapes, the sums of them cannot be compared: it is 0
    in its own shape then.
    """
    shapes: dict[str, set[tuple[int, ...]]] = {}
    own = {
        backend: {name: _shape(name, arrays) for name in arrays if not name.startswith(SHAPE)}
        for backend, arrays in several.items()
    }
    for each in own.values():
        for name, shape in each.items():
            shapes.setdefault(name, set()).add(shape)
    return {
        backend: {
            name: several[backend][name]
            if len(shapes[name]) == 1
            else np.broadcast_to(np.float32(0), shape)
            for name, shape in each.items()
        }
        for backend, each in own.items()
    }


def _shape(name: str, arrays: Arrays) -> tuple[int, ...]:
    kept = arrays.get(SHAPE + name)
    return arrays[name].shape if kept is None else tuple(int(length) for length in kept)
