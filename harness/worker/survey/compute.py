"""One item of the survey: its outputs, what it adds to the loss, its states and its gradients."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras.src.utils import naming
from numpy.typing import NDArray

from harness.job.asked import SurveyItem
from harness.worker.backward import derive
from harness.worker.survey.names import modules

Arrays = dict[str, NDArray[Any]]
CHANGED = "its values are others after the call: they were changed in place"
LONGEST = 300  # characters of what an error says


def compute_item(item: SurveyItem, *, exact: bool) -> Arrays:
    """Return every quantity of an item by name, of any shape; text where there is only an error.

    Args:
        item: what is computed.
        exact: whether its inputs are widened to float64.
    """
    naming.reset_uids()  # else a layer's name, and its variables' paths, count those before it
    keras.utils.set_random_seed(item.seed)
    floatx = keras.config.floatx()
    found: Arrays = {}
    try:
        scope = _prepare(item, exact=exact)
        for training in _modes(scope.get("layer")):
            _compute_mode(item, scope, training, found)
    except Exception as error:
        found["setup"] = _describe(error)
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(floatx)
    return found


def _prepare(item: SurveyItem, *, exact: bool) -> dict[str, Any]:
    """Return the names that an item's call can use, its setup done."""
    scope = {**modules(), "np": np, "rng": np.random.default_rng(item.seed)}
    for number, text in enumerate(item.inputs):
        value = np.asarray(eval(text, scope))  # noqa: S307 - the catalogue is this package's own
        is_float = value.dtype.kind == "f"
        scope[f"x{number}"] = value.astype(np.float64) if exact and is_float else value
    exec("\n".join(item.setup), scope)  # noqa: S102 - likewise
    return scope


def _modes(layer: Any) -> tuple[bool, ...]:
    """Return the values of `training` that say something to a layer, or to a function."""
    return (False, True) if getattr(layer, "_call_has_training_arg", False) else (False,)


def _compute_mode(item: SurveyItem, scope: dict[str, Any], training: bool, found: Arrays) -> None:
    """Add the quantities of inference, or of training."""
    start = "training " if training else ""
    program = Program(item, scope, training)
    try:
        outputs, losses, states = program.run(program.values)
    except Exception as error:
        found[f"{start}output"] = _describe(error)
        return
    found |= {f"{start}input {name}": np.array(CHANGED) for name in program.changed_inputs()}
    found |= _numbered(f"{start}output", outputs)
    found |= _numbered(f"{start}loss", losses)
    found |= {f"{start}state {path}": _read(value) for path, value in states.items()}
    if not item.derive or not any(_is_float(value) for value in (*outputs, *losses)):
        return
    try:
        found |= {f"{start}gradient {name}": value for name, value in program.gradients()}
    except Exception as error:
        found[f"{start}gradient"] = _describe(error)


class Program:
    """An item's call as a function of its floats: inputs and trainable variables."""

    def __init__(self, item: SurveyItem, scope: dict[str, Any], training: bool) -> None:
        names = [f"x{number}" for number in range(len(item.inputs))]
        text = f"lambda {', '.join([*names, 'training'])}: {item.call}"
        self.call: Callable[..., Any] = eval(text, scope)  # noqa: S307 - as above
        self.training, self.layer = training, scope.get("layer")
        self.given = {name: scope[name] for name in names}
        self.inputs = {name: _tensor(value) for name, value in self.given.items()}
        self.trained, self.others = _variables(self.layer)
        floats = [name for name in names if self.given[name].dtype.kind == "f"]
        self.names = [*floats, *(each.path for each in self.trained)]
        self.values = [self.inputs[name] for name in floats]
        self.values += [each.value for each in self.trained]

    def run(self, values: list[Any]) -> tuple[list[Any], list[Any], dict[str, Any]]:
        """Return outputs, what is added to the loss, and new states; no variable is changed."""
        n_inputs = len(values) - len(self.trained)
        given = self.inputs | dict(zip(self.names[:n_inputs], values, strict=False))
        mapping = list(zip(self.trained, values[n_inputs:], strict=True))
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
            outputs = _flat(self.call(**given, training=self.training))
            losses = list(self.layer.losses) if self.layer else []
            states = {each.path: scope.get_current_value(each) for each in self.others}
        old = {each.path: each.value for each in self.others}
        return (
            outputs,
            losses,
            {path: old[path] if value is None else value for path, value in states.items()},
        )

    def changed_inputs(self) -> Iterator[str]:
        """Yield the names of the inputs that the call has changed in place."""
        for name, tensor in self.inputs.items():
            before = self.given[name]
            if before.dtype.kind in "fiub" and not _is_equal(_read(tensor), before):
                yield name

    def gradients(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the gradient of a weighted sum of all outputs and losses, by name."""
        found = derive(self._total, self.values)
        for name, value, gradient in zip(self.names, self.values, found, strict=True):
            yield name, np.zeros(value.shape) if gradient is None else _read(gradient)

    def _total(self, values: list[Any]) -> Any:
        outputs, losses, _ = self.run(values)
        parts = [_weigh(number, each) for number, each in enumerate(outputs) if _is_float(each)]
        return sum(parts) + sum(each for each in losses if _is_float(each))


def _tensor(value: NDArray[Any]) -> Any:
    return keras.ops.convert_to_tensor(value.copy()) if value.dtype.kind in "fiub" else value


def _variables(layer: Any) -> tuple[list[Any], list[Any]]:
    """Return a layer's floats that are trained, and its other variables but those of chance."""
    variables = layer.variables if layer else []
    trained = [each for each in variables if each.trainable and _is_float(each)]
    others = [each for each in variables if not each.trainable]
    return trained, [each for each in others if "seed_generator" not in each.path]


def _weigh(number: int, output: Any) -> Any:
    """Return the sum of an output's elements, each with a weight of its own."""
    shape = tuple(output.shape)
    weights = np.random.default_rng(number).uniform(0.5, 1.5, shape)
    if "complex" in str(output.dtype):
        parts = (keras.ops.real(output), keras.ops.imag(output))
        return sum(_weigh(number + index, part) for index, part in enumerate(parts))
    return keras.ops.sum(output * keras.ops.cast(weights, output.dtype))


def _flat(outputs: Any) -> list[Any]:
    return [each for each in keras.tree.flatten(outputs) if each is not None]


def _is_float(value: Any) -> bool:
    """Return whether a gradient can go through a tensor or variable."""
    name = str(getattr(value, "dtype", ""))
    return "float" in name or "complex" in name


def _read(value: Any) -> NDArray[Any]:
    is_tensor = keras.ops.is_tensor(value)
    return np.asarray(keras.ops.convert_to_numpy(value) if is_tensor else value)


def _is_equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return np.array_equal(one.astype(np.float32), other.astype(np.float32), equal_nan=True)


def _numbered(name: str, values: list[Any]) -> Arrays:
    """Return arrays by name, with a number behind it where there are several."""
    if len(values) == 1:
        return {name: _read(values[0])}
    return {f"{name} {number}": _read(value) for number, value in enumerate(values)}


def _describe(error: Exception) -> NDArray[Any]:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = re.sub(r"\x1b\[[0-9;]*m", "", " ".join(lines))
    return np.array(f"{type(error).__name__}: {said[:LONGEST]}")
