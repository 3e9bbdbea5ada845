"""Any Keras model, judged by what float64 gives: its mathematics, and what float32 adds.

In float64 three backends agree to 1e-13 in clean models, gradients through batch normalisation
included; the smallest slip that was planted (an epsilon of 1.001e-3 for 1e-3) moves an output by
1e-6. One constant gate stands between: GATE.

Where float32's rounding moves a quantity by LOST of its size and more, nothing says how much more
the same would make of float64's: such a quantity is undecided beyond the gate. A model that does
not compute in float64 throughout, whatever it is told, is held to what rounding makes of it in its
own dtype.

What is left to float32 is rounding and each backend's kernels. A backend's float32 error is its
distance from its own float64 values: a slip in its mathematics is in both. On an output, an error
more than KERNEL times the others' is a kernel's, and that layer's own where it is more than OWN
times what an output before it was off beyond the others. (Through a residual network one backend's
rounding grew to 10 units, layer by layer, and stood at 6 times the others' where these happened to
be small.) A kernel that errs does so at every state; at one of several, rounding alone may come
near that where all rows of a batch are nearly the same (the last layer of a VGG16 that has stopped
learning: 5.8 times), so there it takes ONCE times. Where one state alone was computed, another is:
see `harness.experiments.parity.model_check`.

Gradients and weights part further than that in clean models (TensorFlow's bias of a separable
convolution: 148 times), and are a remark.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.referee import majority
from harness.referee.majority import Comparison
from harness.referee.oracle import UNIT
from harness.referee.quantities import kind_of, names_of, scales_of
from harness.spec.data.arrays import Arrays, distance

GATE = 1e-10
UNIT64 = 2.0**-53
AMPLIFIED = 100  # times what float32's rounding makes of a quantity, float64's may make of it
LOST = 0.1  # of a quantity's size
KERNEL, FEW_UNITS = 5.0, 8
OWN = 2.0
ONCE = 20.0
OUTPUTS = ("output", "training output")
JUDGED = (*OUTPUTS, "loss", "gradient")  # the rest follows, or is rounding where a gradient is 0


@dataclass(frozen=True, slots=True)
class KernelError:
    """What float32 adds to one quantity on one backend, relative to the quantity's size."""

    quantity: str
    backend: str
    error: float
    others: float  # the largest error of another backend
    unit: float  # of the dtype that the model computes in: half a last digit
    inherited: float = 0.0  # the most that an output before it is off beyond the others, here
    once: bool = False  # whether it stands out at one of several states only

    @property
    def ratio(self) -> float:
        """How many times the others' error it is; theirs counts as no less than a rounding."""
        return self.error / max(self.others, self.unit)

    @property
    def stands_out(self) -> bool:
        """Whether it is more than rounding does on the other backends."""
        return self.ratio > KERNEL and self.error > FEW_UNITS * self.unit

    @property
    def departs(self) -> bool:
        """Whether it is a fault of the backend's kernel; of what is no output, a remark only."""
        is_sure = not self.once or self.ratio > ONCE
        is_own = self.error > OWN * self.inherited
        return self.stands_out and is_sure and is_own and kind_of(self.quantity) in OUTPUTS


@dataclass(frozen=True, slots=True)
class Judgement:
    """Every quantity, in the order of a step, in float64 and in the model's own dtype."""

    mathematics: tuple[Comparison, ...]
    kernels: tuple[KernelError, ...]

    def first_departure(self, backend: str) -> Comparison | None:
        """Return the first quantity in which a backend is another model, or nobody knows who is."""
        return next((one for one in self.mathematics if backend in one.apart), None)

    def first_kernel(self, backend: str) -> KernelError | None:
        """Return the first output that a backend's kernels get wrong in float32 only."""
        own = (one for one in self.kernels if one.backend == backend)
        return next((one for one in own if one.departs), None)

    @property
    def remarks(self) -> tuple[KernelError, ...]:
        """What stands out in float32 and is no departure."""
        return tuple(one for one in self.kernels if one.stands_out and not one.departs)

    @property
    def amplified(self) -> KernelError | None:
        """The quantity that rounding moves most on every backend, where that is beyond its cap.

        Such a model amplifies rounding: float32 runs of it differ by as much from machine to
        machine, on one backend as on several.
        """
        least: dict[str, KernelError] = {}
        for one in self.kernels:
            before = least.get(one.quantity, one)
            least[one.quantity] = min(before, one, key=lambda each: each.error)
        beyond = [
            one
            for name, one in least.items()
            if one.others
            and (kind := kind_of(name)) in JUDGED
            and math.inf > one.error > majority.CAPS[kind] * one.unit / UNIT
        ]
        return max(beyond, key=lambda one: one.error, default=None)


def judge_model(
    exact: Mapping[str, Arrays],
    rounded: Mapping[str, Arrays],
    n_samples: int = 1,
    unit: float = UNIT,
    *,
    noise: Mapping[str, float] | None = None,
    is_whole: bool = True,
) -> Judgement:
    """Return how each quantity compares, in float64 and in the model's own dtype.

    Args:
        exact: by backend, quantities of any shape in the order of a step, computed in float64.
        rounded: the same, computed in the model's own dtype.
        n_samples: of the batch; a sum where a mean is due is this many times as large.
        unit: of that dtype: 2^-24 of float32, 2^-11 of float16, 2^-8 of bfloat16.
        noise: what rounding makes of a quantity elsewhere, where `rounded` does not have it.
        is_whole: whether all of it is in float64; else gates are those of the model's own dtype.
    """
    names = names_of(exact)
    scales = scales_of(exact, names)
    kernels = _kernel_errors(exact, rounded, scales, unit)
    noise = {**(noise or {}), **noise_of(kernels)}
    found = []
    for name in names:
        values = {backend: arrays.get(name) for backend, arrays in exact.items()}
        own = 0.0 if is_whole else majority.gate_of(name, noise.get(name), unit)
        cap = max(GATE, own)
        gate = max(cap, _amplified(noise.get(name, 0.0), unit))
        found.append(majority.compare_values(name, values, gate, cap, scales[name], n_samples))
    return Judgement(tuple(found), tuple(kernels))


def _amplified(noise: float, unit: float) -> float:
    """Return how far rounding may move a quantity in float64 that it moves by `noise` in a dtype.

    Both are relative to its size; `unit` is of that dtype.
    """
    return math.inf if noise > LOST else AMPLIFIED * UNIT64 / unit * noise


def noise_of(kernels: Iterable[KernelError]) -> dict[str, float]:
    """Return what rounding makes of each quantity: the backends' median error."""
    several: dict[str, list[float]] = {}
    for one in kernels:
        several.setdefault(one.quantity, []).append(one.error)
    return {name: statistics.median(errors) for name, errors in several.items()}


def _kernel_errors(
    exact: Mapping[str, Arrays],
    rounded: Mapping[str, Arrays],
    scales: Mapping[str, float],
    unit: float,
) -> list[KernelError]:
    """Return what float32 adds, where a backend has a quantity in both dtypes."""
    found = []
    inherited: dict[tuple[str, str], float] = defaultdict(float)  # by kind and backend
    for name, scale in scales.items():
        errors = {
            backend: distance(arrays[name], exact[backend][name]) / scale
            for backend, arrays in rounded.items()
            if scale and name in arrays and name in exact.get(backend, {})
        }
        for backend, error in errors.items():
            others = [each for other, each in errors.items() if other != backend]
            place, most = (kind_of(name), backend), max(others, default=0.0)
            found.append(KernelError(name, backend, error, most, unit, inherited[place]))
            inherited[place] = max(inherited[place], error - most)
    return found
