"""Does an arm train a model as `fit` does? Both train it from the same seed.

It belongs in a process that computes in float64, on one thread of a CPU: on several, TensorFlow's
kernels do not repeat themselves, and Adam enlarges that where a gradient is rounding alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.worker.arms.train_step import arm as arms
from harness.worker.arms.train_step.batches import first_batch
from harness.worker.keras_optimizer import read_variable

GATE = 1e-10  # of a difference in float64
SMALL = 1e-3  # of a group's largest norm
FACTOR = 6  # times what `fit` differs from itself by, for a variable that rounding alone decides
N_EPOCHS = 2  # what is reset, drawn or read at an epoch's begin shows in the second
SEED = 1
Train = Callable[[Any, Mapping[str, Any], int, str], str | None]
"""Trains a model on what `fit` would be given, in batches of a size by an arm; why it was lean."""


@dataclass(frozen=True, slots=True)
class Proof:
    """How far an arm's variables are from `fit`'s after training, relative, and where."""

    difference: float
    path: str
    refused: str | None  # why another arm took its place
    undetermined: tuple[str, ...]  # variables that rounding alone decides, in `fit` too

    @property
    def equal(self) -> bool:
        """Say whether the difference passes the gate, which holds in float64 only."""
        return self.difference <= GATE


def train(model: Any, given: Mapping[str, Any], batch_size: int, arm: str) -> str | None:
    """Train a model by an arm for the epochs of a proof; return why lean took compiled's place.

    Args:
        model: compiled by Keras.
        given: what `fit` would be given, by argument name: trees of arrays (n, ...).
        batch_size: of a full batch.
        arm: "keras", "lean" or "compiled".
    """
    data = arms.samples(given)
    data = data if arm == "keras" else arms.place(data)
    state = arms.build(model, data, batch_size, arm)
    keras.utils.set_random_seed(SEED)
    for _ in range(N_EPOCHS):
        state, _ = arms.train_epoch(state, data)
    arms.wait(arms.finish(state))
    return str(state.refused) if state.refused else None


def fit(model: Any, given: Mapping[str, Any], batch_size: int, arm: str) -> None:
    """Train a model by one `fit`, the reference of an arm.

    **Differs**: on TensorFlow `compiled` is held to a `fit` that XLA compiles.

    Args:
        model: compiled by Keras.
        given: what `fit` is given, by argument name: trees of arrays (n, ...).
        batch_size: of a full batch.
        arm: whose reference it is.
    """
    if arms.BACKEND == "tensorflow" and arm == "compiled":
        model.jit_compile = True
    _build_variables(model, given, batch_size)  # else `fit` draws once more on PyTorch
    keras.utils.set_random_seed(SEED)
    model.fit(**given, batch_size=batch_size, epochs=N_EPOCHS, shuffle=False, verbose=0)


def prove(
    build: Callable[[], Any],
    given: Mapping[str, Any],
    arm: str,
    batch_size: int = 16,
    train: Train = train,
    spread: Callable[[], Any] | None = None,
) -> Proof:
    """Return how far an arm is from `fit`, on one device or on several.

    Where no weight at all is decided, `fit` does not repeat itself, and nothing is proved.

    Args:
        build: returns the compiled model.
        given: what `fit` is given, by argument name: trees of arrays (n, ...).
        arm: "keras", "lean" or "compiled".
        batch_size: of a full batch.
        train: trains by the arm.
        spread: has this process train on several devices; `fit` before that trains on one.
    """
    reference = _seeded(build)
    fit(reference, given, batch_size, arm)
    noise = twin(build, given, batch_size) if spread else {}  # while there is one device
    if spread:
        spread()
    model = _seeded(build)
    refused = train(model, given, batch_size, arm)
    found = differences(reference, model)
    apart = [path for path, size in found.items() if not size <= GATE]
    if apart and not noise:
        noise = twin(build, given, batch_size)
    undetermined = _undetermined(found, apart, noise)
    decided = {path: size for path, size in found.items() if path not in undetermined}
    path = max(decided, key=lambda each: decided[each])
    return Proof(decided[path], path, refused, undetermined)


def _undetermined(
    found: Mapping[str, float], apart: list[str], noise: Mapping[str, float]
) -> tuple[str, ...]:
    """Return the variables that rounding alone decides.

    Args:
        found: difference of each variable.
        apart: those that do not pass the gate.
        noise: how far `fit` moves each from itself; not looked at where none is apart.
    """
    if not any(path.startswith("weights") and path not in apart for path in found):
        return ()
    # By position: a layer's automatic name counts the layers of its process.
    own = dict(zip(found, noise.values(), strict=True)) if apart else {}
    return tuple(path for path in apart if found[path] <= FACTOR * own[path])


def twin(
    build: Callable[[], Any], given: Mapping[str, Any], batch_size: int = 16
) -> dict[str, float]:
    """Return how far `fit` moves each variable from itself when every weight begins one ulp higher.

    A gradient that is 0 but for rounding moves its weight at random under Adam, in `fit` too.

    Args:
        build: returns the compiled model.
        given: what `fit` is given, by argument name: trees of arrays (n, ...).
        batch_size: of a full batch.
    """
    reference, model = _seeded(build), _seeded(build)
    _build_variables(model, given, batch_size)
    for variable in model.trainable_variables:
        value = keras.ops.convert_to_numpy(variable)
        variable.assign(np.nextafter(value, np.inf, dtype=value.dtype))
    fit(reference, given, batch_size, "keras")
    fit(model, given, batch_size, "keras")
    return differences(reference, model)


def differences(reference: Any, model: Any) -> dict[str, float]:
    """Return the relative difference of each variable of two models, in Frobenius's norm.

    A variable is held to at least a small part of its group's largest: a weight whose gradient is 0
    but for rounding has slots of rounding alone.
    """
    pairs = [(*one, other[2]) for one, other in zip(_named(reference), _named(model), strict=True)]
    largest: dict[str, float] = {}
    for group, _, value, _ in pairs:
        largest[group] = max(largest.get(group, 0.0), float(np.linalg.norm(value)))
    found = {}
    for group, path, value, other in pairs:
        floor = SMALL * largest[group] if group != "metrics" else 0.0
        scale = max(float(np.linalg.norm(value)), floor) or 1.0
        difference = float(np.linalg.norm(other - value)) / scale
        found[path] = np.inf if np.isnan(difference) else difference
    return found


def _named(model: Any) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
    """Yield (group, path, value of any shape) of every variable that training changes."""
    metrics, uncounted = model.metrics_variables, _counted_by_batch(model)
    known = {id(variable) for variable in metrics}
    groups = {
        "weights": [variable for variable in model.variables if id(variable) not in known],
        "optimizer": model.optimizer.variables,
        "metrics": [variable for variable in metrics if id(variable) not in uncounted],
    }
    for group, variables in groups.items():
        for number, variable in enumerate(variables):
            slot = variable.path.rpartition("_")[2] if group == "optimizer" else ""
            value = np.asarray(read_variable(variable), np.float64).ravel()
            yield group + slot, f"{group}[{number}] {variable.path}", value


def _counted_by_batch(model: Any) -> set[int]:
    """Return the losses by output, of which `fit` counts a batch as one sample on TensorFlow.

    It is a defect of Keras's (3.15), that weights and the whole loss do not have.
    """
    metrics = getattr(model._compile_loss, "metrics", None) or []
    if arms.BACKEND != "tensorflow":
        return set()
    return {id(variable) for metric in metrics for variable in metric.variables}


def _seeded(build: Callable[[], Any]) -> Any:
    keras.utils.set_random_seed(SEED)
    return build()


def _build_variables(model: Any, given: Mapping[str, Any], batch_size: int) -> None:
    data = arms.place(arms.samples(given))
    model._symbolic_build(data_batch=first_batch(data, batch_size))
