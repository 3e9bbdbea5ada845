"""Train any compiled Keras model: by `fit`, by its train_step in a loop, or as one program."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np
from keras.src.trainers.data_adapters import data_adapter_utils

from harness.worker.arms.train_step.batches import NotOneProgram, first_batch, length, refusal
from harness.worker.epoch_clock import EpochClock
from harness.worker.facts import framework_of
from harness.worker.keras_optimizer import count_updates

ARMS = ("keras", "lean", "compiled")
BACKEND = keras.backend.backend()
FRAMEWORK = framework_of(BACKEND)
STEPS = importlib.import_module(f"harness.worker.arms.train_step.{BACKEND}")


@dataclass(frozen=True, slots=True)
class Feed:
    """A pipeline of the user's own, which `fit` asks for batches in its own order."""

    pipeline: Any
    class_weight: Any = None
    n_batches: int | None = None  # of an epoch; None: all


@dataclass(slots=True)
class State:
    """A compiled model, and how an epoch of it is trained."""

    model: Any
    batch_size: int
    arm: str  # "keras", "lean" or "compiled": what trains, where compiled was refused too
    train: Callable[[Any], None]
    refused: NotOneProgram | None = None  # why compiled became lean
    clock: EpochClock = field(default_factory=EpochClock)  # of fit's epoch


def samples(given: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what `fit` would be given by argument name as (x, y) or (x, y, sample_weight).

    All are trees of arrays (n, ...). Class weights become sample weights by Keras's own function.
    """
    x, y, weights = given["x"], given.get("y"), given.get("sample_weight")
    if given.get("class_weight"):
        to_weights = data_adapter_utils.class_weight_to_sample_weights
        weights = to_weights(y, given["class_weight"])
    if weights is None:
        return (x,) if y is None else (x, y)
    return x, y, weights


def place(data: Any) -> Any:
    """Return the samples, a tree of arrays (n, ...), on the device, as `lean` takes them."""
    return STEPS.place(keras.tree.map_structure(_as_fit_does, data))


def _as_fit_does(given: Any) -> Any:
    """Return an array (n, ...) as `fit` gives it to a model: a float in Keras's own dtype."""
    array = keras.ops.convert_to_numpy(given)
    floatx = keras.config.floatx()
    return array.astype(floatx, copy=False) if array.dtype.kind == "f" else array


def build(model: Any, data: Any, batch_size: int, arm: str) -> State:
    """Return a state that trains a model; where it cannot be one program, lean takes its place.

    Args:
        model: compiled by Keras.
        data: a tree of arrays (n, ...): of `samples` for keras, of `place` for the others; or a
            Feed, for keras.
        batch_size: of a full batch; the last one may be short.
        arm: "keras", "lean" or "compiled".
    """
    if not isinstance(data, Feed):
        model._symbolic_build(data_batch=first_batch(data, batch_size))
    if arm == "keras":
        clock = EpochClock()
        return State(model, batch_size, arm, partial(_fit, model, batch_size, clock), clock=clock)
    lean = STEPS.lean(model, data, batch_size)
    if arm == "lean":
        return State(model, batch_size, arm, lean)
    try:
        return State(model, batch_size, arm, STEPS.compiled(model, data, batch_size))
    except Exception as error:
        return State(model, batch_size, "lean", lean, refusal(error, model))


def train_epoch(state: State, data: Any) -> tuple[State, dict[str, Any]]:
    """Train one epoch in order, as `fit` does but for EMA's end; return the metrics by name too.

    The data is a tree of arrays (n, ...), the same as at `build`.
    """
    state.model.reset_metrics()
    state.train(data)
    return state, numbers(state.model.get_metrics_result())


def numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """Return what Keras reports by name; of a metric with several numbers each by its place."""
    found: dict[str, float] = {}
    for name, value in logs.items():
        several = np.asarray(keras.ops.convert_to_numpy(value), np.float64)
        places = [name] if several.ndim == 0 else [f"{name}[{at}]" for at in range(several.size)]
        found |= dict(zip(places, several.ravel().tolist(), strict=True))
    return found


def finish(state: State) -> State:
    """Return the state at the end of training: EMA's averages become the weights."""
    state.model.optimizer.finalize_variable_values(state.model.trainable_weights)
    return state


def wait(state: State) -> None:
    """Return once the device has finished every update."""
    FRAMEWORK.wait([variable.value for variable in state.model.variables])


def facts(state: State, data: Any) -> dict[str, Any]:
    """Return what is known of a state and its data (n, ...): the arm, its counts, its refusal."""
    return {
        "arm": state.arm,
        "n_updates": count_updates(state.model.optimizer),
        "n_samples": length(data),
        "refused": str(state.refused) if state.refused else None,
    }


def _fit(model: Any, batch_size: int, clock: EpochClock, data: Any) -> None:
    if isinstance(data, Feed):
        options = {"class_weight": data.class_weight, "steps_per_epoch": data.n_batches}
        x, y, weights = data.pipeline, None, None
    else:
        options = {"batch_size": batch_size}
        x, y, weights = (*data, None, None)[:3]
    with _unfinished(model.optimizer), clock.around():
        model.fit(
            x, y, sample_weight=weights, callbacks=[clock], shuffle=False, verbose=0, **options
        )


@contextmanager
def _unfinished(optimizer: Any) -> Iterator[None]:
    """Let a `fit` of one epoch be a part of a longer training: it leaves EMA's end to `finish`."""
    optimizer.finalize_variable_values = lambda variables: None
    try:
        yield
    finally:
        del optimizer.finalize_variable_values
