"""A user's own functions, called: the model that one builds, the batch that another returns, or one drawn from a seed.

Arrays of a batch are named by their place: "x" or "y" where there is one, "x[0]" in a tuple,
"x[left]" in a dict.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from harness.errors import Refused

Arrays = dict[str, NDArray[Any]]
N_SAMPLES = 32
LENGTH = 16  # of an axis whose length the model leaves open
NO_ANSI = re.compile(r"\x1b\[[0-9;]*m")
WHOLE = ("sparse_categorical_crossentropy",)
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
    """What the user named cannot be compared on any backend: something to mend and type again."""


def model_of(target: Any, seed: int) -> Any:
    """Return the compiled model that the user's function builds, its own draws from the seed: the same check twice is the same.

    Raises:
        Unusable: it returns something else.
        Refused: it raises.
    """
    keras.utils.set_random_seed(seed)
    model = called(target)
    if not isinstance(model, keras.Model):
        raise Unusable(
            f"--model: {target.name}: expected a keras.Model; received {type(model).__name__}"
        )
    if not model.compiled:
        raise Unusable(
            f"--model: {target.name}: expected a compiled model. Call model.compile(optimizer=..., loss=...) before returning it"
        )
    return model


def called(target: Any) -> Any:
    """Return what a user's function returns, called without arguments.

    Args:
        target: file, function, and name as it was typed.

    Raises:
        Unusable: there is no such function.
        Refused: it raises; says its last line, and where.
    """
    try:
        function = getattr(_module(target.file), target.function, None)
    except (Exception, SystemExit) as error:
        raise Refused(f"{Path(target.file).name} {said(error, target.file)}") from None
    if not callable(function):
        raise Unusable(
            f"{target.name}: expected a function {target.function!r} in that file; received {type(function).__name__}"
        )
    try:
        return function()
    except (Exception, SystemExit) as error:
        raise Refused(f"{target.function} {said(error, target.file)}") from None


def said(error: BaseException, file: str) -> str:
    """Return "raised TypeError: its message (file.py:12)": the last line of that file that was running."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == file] or list(frames)
    place = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    lines = NO_ANSI.sub("", str(error)).partition("Arguments received")[0].split()
    said = " ".join(lines)
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        foreign = error.name in ("tensorflow", "jax", "torch")
        hint = (
            ". A model that needs it is one backend's alone"
            if foreign
            else ". Add it to this backend's requirements in backends.toml"
        )
    return f"raised {type(error).__name__}: {said[:400]}{place}{hint}"


def batch_of(target: Any) -> Arrays:
    """Return the user's batch as named arrays: floats as float32, whole numbers as they are.

    Raises:
        Unusable: it is no (x, y) of NumPy arrays with a first axis in common, of at least two
            samples.
        Refused: the function raises.
    """
    batch = called(target)
    if not isinstance(batch, tuple) or len(batch) != 2:
        kind = f"a tuple of {len(batch)}" if isinstance(batch, tuple) else type(batch).__name__
        raise Unusable(f"--batch: {target.name}: expected (x, y), two of them; received {kind}")
    arrays = {**flat("x", batch[0]), **flat("y", batch[1])}
    for name, value in arrays.items():
        if value.dtype.kind not in "fiub":
            raise Unusable(
                f"--batch: {target.name}: {name}: expected an array of numbers; received dtype {value.dtype}"
            )
        if value.ndim == 0 or len(value) < 2:
            raise Unusable(
                f"--batch: {target.name}: {name}: expected at least 2 samples; received shape {value.shape}"
            )
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise Unusable(
                f"--batch: {target.name}: {name}: {np.count_nonzero(~np.isfinite(value))} elements are not finite"
            )
    if len({len(value) for value in arrays.values()}) > 1:
        lengths = ", ".join(f"{name} {len(value)}" for name, value in arrays.items())
        raise Unusable(
            f"--batch: {target.name}: expected as many samples in each array; received {lengths}"
        )
    return {
        name: value.astype(np.float32) if value.dtype.kind == "f" else value
        for name, value in arrays.items()
    }


def flat(name: str, structure: Any) -> Arrays:
    """Return the arrays of an array, a tuple or a dict, by their place."""
    if isinstance(structure, Mapping):
        return {f"{name}[{key}]": np.asarray(value) for key, value in structure.items()}
    if isinstance(structure, tuple | list):
        return {f"{name}[{index}]": np.asarray(value) for index, value in enumerate(structure)}
    return {name: np.asarray(structure)}


def nested(name: str, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Return what `flat` took apart: an array, a tuple or a dict."""
    if name in arrays:
        return arrays[name]
    parts = {
        key[len(name) + 1 : -1]: value
        for key, value in arrays.items()
        if key.startswith(f"{name}[")
    }
    return tuple(parts.values()) if all(key.isdecimal() for key in parts) else parts


def drawn(model: Any, seed: int) -> Arrays:
    """Return a batch that fits the model, from a seed: inputs by shape and dtype, labels by what the loss takes.

    Raises:
        Unusable: the model does not say what it takes, or its loss is not one of Keras's.
    """
    random = np.random.default_rng(seed)
    inputs, outputs = _ends(model)
    flat_inputs = keras.tree.flatten(inputs)
    n_samples = next((tensor.shape[0] for tensor in flat_inputs if tensor.shape[0]), N_SAMPLES)
    x = [_input(random, model, tensor, n_samples) for tensor in flat_inputs]
    losses = _losses(model, outputs)
    y = [
        _labels(random, loss, tensor, n_samples)
        for tensor, loss in zip(keras.tree.flatten(outputs), losses, strict=True)
    ]
    return {
        **flat("x", keras.tree.pack_sequence_as(inputs, x)),
        **flat("y", keras.tree.pack_sequence_as(outputs, y)),
    }


def _ends(model: Any) -> tuple[Any, Any]:
    """Return the model's symbolic inputs and outputs, in the structure that it was made with."""
    functional = getattr(model, "_functional", None) or model  # a Sequential holds one
    ends = getattr(functional, "_inputs_struct", None), getattr(functional, "_outputs_struct", None)
    if None in ends:
        said = "the model does not say which inputs it takes. Begin it with keras.Input, or name a batch: --batch FILE:FUNCTION"
        raise Unusable(f"--batch: {said}")
    return ends


def _input(random: np.random.Generator, model: Any, tensor: Any, n_samples: int) -> NDArray[Any]:
    shape = (n_samples, *(LENGTH if length is None else length for length in tensor.shape[1:]))
    kind = keras.backend.standardize_dtype(tensor.dtype)
    bounds = [
        bound
        for layer in model._flatten_layers()
        if (bound := getattr(layer, "input_dim", None) or getattr(layer, "num_tokens", None))
    ]
    looked_up = any(
        tensor is one
        for layer in _looking_up(model)
        for node in layer._inbound_nodes
        for one in node.input_tensors
    )
    if "int" in kind or looked_up:
        return random.integers(0, min(bounds, default=2), shape).astype(
            kind if "int" in kind else np.int32
        )
    if kind == "bool":
        return random.random(shape) < 0.5
    if kind != "float32":
        raise Unusable(
            f"--batch: input {tensor.name}: expected float32 or integers; received {kind}. Name a batch: --batch FILE:FUNCTION"
        )
    return random.standard_normal(shape, np.float32)


def _looking_up(model: Any) -> Iterable[Any]:
    return (layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding))


def _losses(model: Any, outputs: Any) -> list[str]:
    """Return the name of each output's loss, as Keras's function is called; outputs in the order of `keras.tree.flatten`."""
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


def _labels(random: np.random.Generator, loss: str, tensor: Any, n_samples: int) -> NDArray[Any]:
    shape = (n_samples, *(LENGTH if length is None else length for length in tensor.shape[1:]))
    if loss in WHOLE:
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
    raise Unusable(
        f"--batch: no labels can be drawn for the loss {loss!r}, which is not one of Keras's. Name a batch: --batch FILE:FUNCTION"
    )


def _module(file: str) -> Any:
    """Return a user's file as a module, run once; what lies beside it can be imported.

    **Differs** from `python FILE`, which looks beside the file before it looks into the environment:
    in a clone of Keras it would import ./keras.
    """
    name = f"user_{Path(file).stem}"
    if name in sys.modules and sys.modules[name].__file__ == file:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise Unusable(f"{file}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.append(str(Path(file).parent))
    spec.loader.exec_module(module)
    return module
