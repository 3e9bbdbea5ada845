"""How small an error the gate still sees.

In a setting of the optimizer, in one weight, in one pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.experiments.proof import student
from harness.experiments.proof.student import Array, Slots, State, Update
from harness.referee.fixtures import Point
from harness.spec.config import Spec

SMALLEST = 8  # decades: relative errors from 1e-1 to 1e-8 are tried
KERNEL = "hidden/kernel"
Parts = dict[str, Any]
"""Of the student, replaced."""


@dataclass(frozen=True, slots=True)
class Target:
    """One number that may be a little off."""

    name: str
    parts: Callable[[float], Parts]
    promised: float = 1.0  # relative error that must be seen


@dataclass(frozen=True, slots=True)
class Seen:
    """The smallest relative error that is seen, and the stage that sees it.

    None where not even a tenth is.
    """

    target: Target
    smallest: float | None
    stage: str

    @property
    def kept(self) -> bool:
        """Whether what is promised is seen."""
        return self.smallest is not None and self.smallest <= self.target.promised


def _setting(name: str) -> Callable[[float], Parts]:
    def parts(by: float) -> Parts:
        return {
            "settings": lambda optimizer: optimizer.model_copy(
                update={name: getattr(optimizer, name) * (1 + by)}
            )
        }

    return parts


def _nudged(kernel: Array, by: float) -> Array:
    """Return the kernel, the largest element of its middle row off by a part of itself."""
    kernel = kernel.copy()
    row = len(kernel) // 2 + 14
    column = int(np.argmax(np.abs(kernel[row])))
    kernel[row, column] *= 1 + by
    return kernel


def _loaded(by: float) -> Parts:
    def load(spec: Spec, point: Point) -> State:
        state = student.load(spec, point)
        return replace(state, weights={**state.weights, KERNEL: _nudged(state.weights[KERNEL], by)})

    return {"load": load}


def _unseen(by: float) -> Parts:
    """Return the parts that compute with another element than reads back."""
    kept: dict[str, Array] = {}

    def load(spec: Spec, point: Point) -> State:
        state = student.load(spec, point)
        kept["before"], kept["given"] = _nudged(state.weights[KERNEL], by), state.weights[KERNEL]
        return replace(state, weights={**state.weights, KERNEL: kept["before"]})

    def export(state: State) -> dict[str, Array]:
        return (
            {**state.weights, KERNEL: kept["given"]}
            if state.weights[KERNEL] is kept["before"]
            else state.weights
        )

    return {"load": load, "export": export}


def _updated(by: float) -> Parts:
    def update(this: Update) -> tuple[Array, Slots]:
        new, after = student.update(this)
        return (_nudged(new, by) if this.name == KERNEL else new), after

    return {"update": update}


def _pixel(by: float) -> Parts:
    def read(x: Array, y: Array) -> tuple[Array, Array]:
        x = x.copy()
        sample = min(2, len(x) - 1)
        x[sample, int(np.argmax(x[sample]))] *= 1 + by
        return x, y

    return {"read": read}


TARGETS = (
    Target("learning rate", _setting("learning_rate"), 1e-5),
    Target("rho", _setting("rho"), 1e-5),
    Target("epsilon", _setting("epsilon"), 1e-3),
    Target("one weight, set", _loaded, 1e-6),
    Target("one weight, computed with", _unseen, 1e-2),
    Target("one weight, updated", _updated, 1e-4),
    Target("one pixel, computed with", _pixel, 1e-2),
)


def curve(
    stage_at: Callable[[Parts], str], targets: tuple[Target, ...] = TARGETS
) -> tuple[Seen, ...]:
    """Return the smallest error of each target that is seen, by halving the decades.

    What is seen small is seen large.

    Args:
        stage_at: the stage at which a student with those parts departs; "" where it does not.
        targets: what may be off.
    """
    found = []
    for target in targets:
        least, most, stage = 0, SMALLEST + 1, ""  # 10^-least is seen or nothing is; 10^-most is not
        while most - least > 1:
            middle = (least + most) // 2
            at = stage_at(target.parts(10.0**-middle))
            least, most, stage = (middle, most, at) if at else (least, middle, stage)
        found.append(Seen(target, 10.0**-least if least else None, stage))
    return tuple(found)
