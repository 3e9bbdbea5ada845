"""A user's own model and batch: what their functions return, or a batch drawn from a seed.

Arrays of a batch are named by their place: "x" or "y" where there is one, "x[0]" in a tuple,
"x[left]" in a dict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.errors import Refused
from harness.spec.data.own import NAMES, name_parts
from harness.spec.data.own_folder import read
from harness.spec.targets import Target
from harness.worker.own_code import import_file, named_errors

Arrays = dict[str, NDArray[Any]]
N_SAMPLES = 16  # of a drawn batch
MOST_SAMPLES = 32  # of a batch of the user's data
LENGTH = 16  # of an axis whose length the model leaves open
NAME_A_BATCH = "Name a batch: --batch FILE:FUNCTION"
# Losses of Keras's, by what labels they take.
CLASS_NUMBERS = ("sparse_categorical_crossentropy",)
ONE_HOT = (
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "kl_divergence",
)
ZERO_OR_ONE = ("binary_crossentropy", "binary_focal_crossentropy", "dice", "tversky")
SIGNS = ("hinge", "squared_hinge")
POSITIVE = ("poisson", "mean_squared_logarithmic_error")
REAL = (
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "huber",
    "log_cosh",
    "cosine_similarity",
)


class Unusable(Refused):
    """What the user named cannot be compared on any backend: the user must correct it."""

    of_user = True


def check_model(model: Any, where: str) -> Any:
    """Return what a user's function returned, if that is a compiled model.

    Raises:
        Unusable: it is none.
    """
    if not isinstance(model, keras.Model):
        raise Unusable(f"{where}: expected a keras.Model; received {type(model).__name__}")
    if not model.compiled:
        hint = "Call model.compile(optimizer=..., loss=...) before returning it"
        raise Unusable(f"{where}: expected a compiled model. {hint}")
    return model


def call_function(target: Target, arguments: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """Return what a user's function returns.

    Args:
        target: file, function, and name as it was typed.
        arguments: of the function, by name.

    Raises:
        Unusable: there is no such function.
        Refused: it raises; says its last line, and where.
    """
    with named_errors(target.file.name, target.file):
        function = getattr(import_file(target.file), target.function, None)
    if not callable(function):
        expected = f"expected a function {target.function!r} in that file"
        raise Unusable(f"{target.name}: {expected}; received {type(function).__name__}")
    before = keras.distribution.distribution()
    with named_errors(target.function, target.file):
        returned = function(**arguments)
    if keras.distribution.distribution() is not before:
        hint = "on TensorFlow and PyTorch it does nothing. Leave it out, and type --replicas 2"
        raise Unusable(f"{target.name}: sets keras.distribution itself: {hint}")
    return returned


def read_batch(target: Target) -> Arrays:
    """Return the user's batch as named arrays, (n, ...): floats as float32, integers as they are.

    Raises:
        Unusable: it is no (x, y) of arrays of numbers with a first axis of at least two in common.
        Refused: the function raises.
    """
    batch, where = call_function(target), f"--batch: {target.name}"
    if not isinstance(batch, tuple) or len(batch) != 2:
        kind = f"a tuple of {len(batch)}" if isinstance(batch, tuple) else type(batch).__name__
        raise Unusable(f"{where}: expected (x, y), two of them; received {kind}")
    arrays = {**flatten("x", batch[0]), **flatten("y", batch[1])}
    for name, value in arrays.items():
        _check_array(f"{where}: {name}", value)
    lengths = {name: len(value) for name, value in arrays.items()}
    if len(set(lengths.values())) > 1:
        received = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise Unusable(f"{where}: expected as many samples in each array; received {received}")
    return _as_float32(arrays)


def first_batch(folder: Path, batch_size: int | None) -> Arrays:
    """Return the first samples of data that were made: those of a batch, (n, ...) by place.

    Floats are float32, as `fit` has them.

    Args:
        folder: that holds the data.
        batch_size: None: as the data say, or else that of a drawn batch.
    """
    data = read(folder)
    n_samples = min(batch_size or data.batch_size or N_SAMPLES, MOST_SAMPLES)
    parts = dict(zip(NAMES, data.take(slice(0, n_samples)), strict=False))
    return _as_float32({name: np.array(value) for name, value in name_parts(parts).items()})


def _as_float32(arrays: Arrays) -> Arrays:
    """Return arrays of any shape, those of floats as float32."""
    return {
        name: value.astype(np.float32) if value.dtype.kind == "f" else value
        for name, value in arrays.items()
    }


def _check_array(where: str, value: NDArray[Any]) -> None:
    """Check that an array holds finite numbers of at least two samples."""
    if value.dtype.kind not in "fiub":
        raise Unusable(f"{where}: expected an array of numbers; received dtype {value.dtype}")
    if value.ndim == 0 or len(value) < 2:
        raise Unusable(f"{where}: expected at least 2 samples; received shape {value.shape}")
    n_bad = 0 if value.dtype.kind != "f" else np.count_nonzero(~np.isfinite(value))
    if n_bad:
        raise Unusable(f"{where}: {n_bad} elements are not finite")


def flatten(name: str, structure: Any) -> Arrays:
    """Return the arrays of an array, a tuple or a dict, of any shape and dtype, by their place."""
    if isinstance(structure, Mapping):
        return {f"{name}[{key}]": np.asarray(value) for key, value in structure.items()}
    if isinstance(structure, tuple | list):
        return {f"{name}[{index}]": np.asarray(value) for index, value in enumerate(structure)}
    return {name: np.asarray(structure)}


def unflatten(name: str, arrays: Arrays) -> Any:
    """Return a tree of arrays of any shape and dtype by their place; None where there is none."""
    if name in arrays:
        return arrays[name]
    inner = [key[len(name) + 1 :] for key in arrays if key.startswith(f"{name}[")]
    keys = dict.fromkeys(key.partition("]")[0] for key in inner)
    if not keys:
        return None
    parts = {key: unflatten(f"{name}[{key}]", arrays) for key in keys}
    return tuple(parts.values()) if all(key.isdecimal() for key in parts) else parts


def draw_batch(model: Any, seed: int) -> Arrays:
    """Return a batch, (n, ...) each, that fits the model, from a seed.

    Inputs are drawn by shape and dtype, labels by what the loss takes.

    Raises:
        Unusable: the model does not say what it takes, or its loss is not one of Keras's.
    """
    random = np.random.default_rng(seed)
    inputs, outputs = _ends(model)
    inputs_list, outputs_list = keras.tree.flatten(inputs), keras.tree.flatten(outputs)
    n_samples = next((tensor.shape[0] for tensor in inputs_list if tensor.shape[0]), N_SAMPLES)
    x = [_draw_input(random, model, tensor, n_samples) for tensor in inputs_list]
    pairs = zip(_losses(model, outputs), outputs_list, strict=True)
    y = [_draw_labels(random, loss, _shape(tensor, n_samples)) for loss, tensor in pairs]
    return {
        **flatten("x", keras.tree.pack_sequence_as(inputs, x)),
        **flatten("y", keras.tree.pack_sequence_as(outputs, y)),
    }


def _shape(tensor: Any, n_samples: int) -> tuple[int, ...]:
    """Return the shape of a symbolic tensor for `n_samples`."""
    return (n_samples, *(LENGTH if length is None else length for length in tensor.shape[1:]))


def _ends(model: Any) -> tuple[Any, Any]:
    """Return the model's symbolic inputs and outputs, in the structure that it was made with."""
    functional = getattr(model, "_functional", None) or model  # a Sequential holds one
    ends = getattr(functional, "_inputs_struct", None), getattr(functional, "_outputs_struct", None)
    if None in ends:
        unknown = "the model does not say which inputs it takes"
        hint = "Begin it with keras.Input, or name a batch: --batch FILE:FUNCTION"
        raise Unusable(f"--batch: {unknown}. {hint}")
    return ends


def _draw_input(
    random: np.random.Generator, model: Any, tensor: Any, n_samples: int
) -> NDArray[Any]:
    """Return an input of the model, drawn: integers of every table where it is looked up in one."""
    shape, kind = _shape(tensor, n_samples), keras.backend.standardize_dtype(tensor.dtype)
    if "int" in kind or _is_looked_up(model, tensor):
        sizes = _table_sizes(model)
        numbers = random.integers(0, min(sizes, default=2), shape)
        return numbers.astype(kind if "int" in kind else np.int32)
    if kind == "bool":
        return random.random(shape) < 0.5
    if "float" not in kind:
        expected = f"input {tensor.name}: expected floats or integers; received {kind}"
        raise Unusable(f"--batch: {expected}. {NAME_A_BATCH}")
    return random.standard_normal(shape, np.float32)


def _table_sizes(model: Any) -> list[int]:
    """Return how many rows each table of the model has in which an integer is looked up."""
    sizes = (
        getattr(layer, "input_dim", None) or getattr(layer, "num_tokens", None)
        for layer in model._flatten_layers()
    )
    return [size for size in sizes if size]


def _is_looked_up(model: Any, tensor: Any) -> bool:
    """Return whether an input of the model goes into an Embedding."""
    layers = model._flatten_layers()
    tables = [layer for layer in layers if isinstance(layer, keras.layers.Embedding)]
    nodes = [node for layer in tables for node in layer._inbound_nodes]
    return any(tensor is each for node in nodes for each in node.input_tensors)


def _losses(model: Any, outputs: Any) -> list[str]:
    """Return the name of each output's loss, in the order of `keras.tree.flatten`."""
    n_outputs, given = len(keras.tree.flatten(outputs)), model.loss
    if isinstance(given, Mapping):
        names = sorted(outputs) if isinstance(outputs, Mapping) else list(model.output_names)
        several = [given.get(name) for name in names]
    else:
        several = list(given) if isinstance(given, tuple | list) else [given] * n_outputs
    return [_name(loss) for loss in several]


def _name(loss: Any) -> str:
    function: Callable[..., Any] | None = keras.losses.get(loss) if isinstance(loss, str) else loss
    return str(getattr(getattr(function, "fn", function), "__name__", type(function).__name__))


def _draw_labels(random: np.random.Generator, loss: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return labels of an output of that shape, as its loss takes them."""
    if loss in CLASS_NUMBERS:
        return random.integers(0, shape[-1], shape[:-1]).astype(np.int32)
    if loss in ONE_HOT:
        return np.eye(shape[-1], dtype=np.float32)[random.integers(0, shape[-1], shape[:-1])]
    if loss in ZERO_OR_ONE:
        return random.integers(0, 2, shape).astype(np.float32)
    if loss in SIGNS:
        return (random.integers(0, 2, shape) * 2 - 1).astype(np.float32)
    if loss in POSITIVE:
        return random.poisson(2.0, shape).astype(np.float32)
    if loss in REAL:
        return random.standard_normal(shape, np.float32)
    unknown = f"no labels can be drawn for the loss {loss!r}, which is not one of Keras's"
    raise Unusable(f"--batch: {unknown}. {NAME_A_BATCH}")
