"""A Keras optimizer: made from a spec's settings, its step and slots read and set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.spec.data.arrays import Weights
from harness.worker.facts import framework_of
from harness.worker.optimizers import rule_of

FRAMEWORK = framework_of(keras.backend.backend())


def read_variable(variable: Any) -> NDArray[Any]:
    """Return a Keras variable as NumPy has it, of any shape: one device's where several have it.

    **Differs**: on TensorFlow Keras's own convert_to_numpy cannot read one that is mirrored.
    """
    value = variable.value
    if keras.backend.backend() == "tensorflow":
        value = FRAMEWORK.read(value)
    found: NDArray[Any] = keras.ops.convert_to_numpy(value)
    return found


def count_updates(optimizer: Any) -> int:
    """Return how often a Keras optimizer has changed the weights.

    That is a variable; where `gradient_accumulation_steps` adds gradients up, Keras computes it.
    """
    known = optimizer.iterations
    return int(read_variable(known) if isinstance(known, keras.Variable) else known)


def make_optimizer(settings: Any) -> Any:
    """Return the Keras optimizer that a spec names, with all of its settings."""
    plain = dict(vars(settings))
    return keras.optimizers.get({"class_name": plain.pop("name"), "config": plain})


@dataclass(frozen=True, slots=True)
class KerasOptimizer:
    """A Keras optimizer with the reading and setting of harness.worker.optimizers.Optimizer."""

    optimizer: Any
    settings: Any
    variables: Sequence[Any]  # that it trains

    @property
    def step(self) -> int:
        """Number of updates so far."""
        return count_updates(self.optimizer)

    def named_slots(self, names: Iterable[str]) -> Weights:
        """Return the slots, "WEIGHT/SLOT", each of its weight's shape; none before it is built."""
        if not self.optimizer.built:
            return {}
        named = self._named(names)
        return {name: np.array(read_variable(slot)) for name, slot in named}

    def resume(self, names: Iterable[str], slots: Weights, step: int, array: Any = None) -> None:
        """Set slots and step; build the optimizer where it has not been built yet.

        Args:
            names: of the weights, in order.
            slots: "WEIGHT/SLOT", each of its weight's shape, float32.
            step: number of updates so far.
            array: not needed, since Keras's variables take NumPy's.
        """
        if not self.optimizer.built:
            self.optimizer.build(self.variables)
        for name, variable in self._named(names):
            variable.assign(slots[name])
        self.optimizer.iterations.assign(step)

    def _named(self, names: Iterable[str]) -> list[tuple[str, Any]]:
        """Return each slot with its name; iteration and learning rate come before them."""
        wanted = [f"{name}/{slot}" for name in names for slot in rule_of(self.settings)[1]]
        return list(zip(wanted, self.optimizer.variables[2:] if wanted else (), strict=True))
