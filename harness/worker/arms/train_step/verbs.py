"""What a run does with a user's own model, by the names that every arm has for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.worker import replicas
from harness.worker.arm_facts import arm_facts
from harness.worker.arms.train_step import arm as arms
from harness.worker.keras_optimizer import count_updates, read_variable
from harness.worker.layer_outputs import leaf_layers
from harness.worker.user_program import check_names, name_variables

Arrays = Mapping[str, NDArray[Any]]


@dataclass(slots=True)
class Training:
    """A compiled model in training, from its first weights on."""

    model: Any
    batch_size: int
    asked: str  # "keras", "lean" or "compiled"
    n_compiles: Callable[[], int]
    state: arms.State | None = None  # made in the first epoch, which compiles


def build(model: Any, weights: Arrays, options: SimpleNamespace, batch_size: int) -> Training:
    """Return a model with those weights, ready for its first epoch.

    Args:
        model: compiled by Keras, with all its variables.
        weights: of any shape, float32 where they are floats, by the variables' paths.
        options: the arm: "keras", "lean" or "compiled".
        batch_size: of a full batch.

    Raises:
        Refused: the weights are not the model's, by name or shape.
    """
    variables = named_weights(model)
    check_names("weights", variables, weights)
    for name, variable in variables.items():
        variable.assign(weights[name])
    if options.arm == "lean":
        replicas.of(arms.BACKEND).adopt(model)
    return Training(model, batch_size, options.arm, arms.FRAMEWORK.watch_compiles(model))


def named_weights(model: Any) -> dict[str, Any]:
    """Return a model's weights by path, in the order of the paths: no seeds, no metrics."""
    return dict(sorted(name_variables(model.weights).items()))


def place(data: Any, options: SimpleNamespace) -> Any:
    """Return samples, a tree of arrays (n, ...), where the arm takes them from.

    A `fit` of many epochs converts once, and cuts batches itself; the others keep them on the
    device.
    """
    if options.arm == "keras":
        return keras.tree.map_structure(arms.FRAMEWORK.fit_input, data)
    return arms.place(data)


def epoch(training: Training, data: Any) -> tuple[Training, float, None]:
    """Train one epoch in order; return the state and the mean loss, as Keras reports it.

    The data is a tree of arrays (n, ...) from `place`. What is no stack has no accuracy of its own.
    """
    if training.state is None:
        model, size = training.model, training.batch_size
        training.state = arms.build(model, data, size, training.asked)
    training.state, logs = arms.train_epoch(training.state, data)
    return training, logs.get("loss", next(iter(logs.values()), 0.0)), None


def evaluate(training: Training, data: Any) -> dict[str, float]:
    """Return the compiled loss and metrics by name on (x, y, sample_weight), arrays (n, ...)."""
    x, y, weights = (*data, None, None)[:3]
    options = {"batch_size": training.batch_size, "verbose": 0, "return_dict": True}
    with _averaged(training.model):
        return arms.numbers(training.model.evaluate(x, y, sample_weight=weights, **options))


@contextmanager
def _averaged(model: Any) -> Iterator[None]:
    """Let the weights be EMA's averages for a while, as they are at the end of a training."""
    if not getattr(model.optimizer, "use_ema", False):
        yield
        return
    held = [np.array(read_variable(variable)) for variable in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_weights)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, held, strict=True):
            variable.assign(value)


def export(training: Training) -> dict[str, NDArray[Any]]:
    """Return the weights by path, of any shape, in float32 where they are floats."""
    return {name: _plain(each) for name, each in named_weights(training.model).items()}


def _plain(variable: Any) -> NDArray[Any]:
    value = read_variable(variable)
    whole = "float" not in keras.backend.standardize_dtype(variable.dtype)
    return np.array(value if whole else value.astype(np.float32))


def wait(training: Training) -> None:
    """Return once the device has finished every update."""
    arms.FRAMEWORK.wait([variable.value for variable in training.model.variables])


def facts(training: Training) -> dict[str, Any]:
    """Return device, counts and precision, which arm trains, and why where that is another."""
    model, state = training.model, training.state
    weights = [variable.value for variable in model.trainable_variables]
    n_updates = count_updates(model.optimizer)
    fit = training.asked == "keras"
    trains = state.arm if state else training.asked
    compiled = bool(model.jit_compile) if fit else trains == "compiled" or arms.BACKEND == "jax"
    found = arm_facts(arms.FRAMEWORK, weights, n_updates, training.n_compiles(), compiled=compiled)
    seen = replicas.seen(arms.BACKEND, model)
    return (
        found
        | seen
        | {
            "eager": bool(model.run_eagerly)
            if fit
            else trains == "lean" and arms.BACKEND == "torch",
            "precision": _policies(model),
            "setup_s": state.clock.setup_s if state else 0.0,
            "teardown_s": state.clock.teardown_s if state else 0.0,
            "trained_by": trains,
            "refused": str(state.refused) if state and state.refused else None,
        }
    )


def _policies(model: Any) -> str:
    """Return the names of the dtype policies of those layers of a model that have weights."""
    found = {layer.dtype_policy.name for _, layer in leaf_layers(model) if layer.weights}
    return " and ".join(sorted(found)) or keras.config.dtype_policy().name
