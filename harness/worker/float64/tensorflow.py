"""TensorFlow in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.tensorflow import nn as keras_nn
from keras.src.backend.tensorflow import numpy as keras_numpy
from numpy.typing import NDArray
from tensorflow.python.ops import math_ops

from harness.worker.float64 import KNOWN, SHORT

LOOKS_THROUGH = (
    "a loss of probabilities: TensorFlow goes back to the logits behind them and never clips, the "
    "other backends clip probabilities at 1e-7; it is judged as they compute it"
)
HARMLESS = ("loss_tracker",)  # the number of samples, exact in float32


def patch() -> None:
    """Keep Python's numbers in float64, and three functions that would leave it.

    One more patch changes a formula, see `_clip_probabilities`.

    - `tf.cast` and `tf.convert_to_tensor` make a Python float a float32 first: Adam's 0.999 and
      1e-7 are then 1e-8 off (7e-6 after one update), and CosineDecay does not run at all ("Input
      'y' of 'Sub' Op has type float32").
    - Keras's `signbit` (keras/src/backend/tensorflow/numpy.py) takes the 32 bits of what it has
      cast to "float32", which is float64 under `compute_in_float64`. `argmax`, and so accuracy,
      needs it.
    - `tf.image.resize` returns float32 whatever it is given (7e-7). Bilinear resizing without
      antialiasing is written out here; `watch` names the other methods.
    """
    _clip_probabilities()
    cast, convert, resize = tf.cast, tf.convert_to_tensor, tf.image.resize

    def cast_exactly(x: Any, dtype: Any, name: str | None = None) -> Any:
        if isinstance(x, int | float):
            return tf.constant(x, dtype, name=name)
        return cast(x, dtype, name)

    def convert_exactly(value: Any, dtype: Any = None, *rest: Any, **more: Any) -> Any:
        if dtype is None and _is_python_floats(value):
            dtype = tf.float64
        return convert(value, dtype, *rest, **more)

    def resize_exactly(images: Any, size: Any, method: Any = "bilinear", **more: Any) -> Any:
        shape = images.shape
        known = shape.rank is not None and None not in shape[-3:-1]
        if method != "bilinear" or any(more.values()) or not known:
            return resize(images, size, method=method, **more)
        return resize_bilinear(images, size)

    math_ops.cast = tf.cast = cast_exactly
    tf.convert_to_tensor = convert_exactly
    tf.image.resize = resize_exactly
    keras_numpy.signbit = lambda x: tf.bitcast(cast(x, tf.float64), tf.int64) < 0


def _clip_probabilities() -> None:
    """Compute a loss of probabilities as the other backends do.

    TensorFlow alone goes back to the logits behind a softmax or a sigmoid, and never clips
    (keras/src/backend/tensorflow/nn.py). `KNOWN` says so once it would have. Without logits, its
    loss of class numbers clips before it divides by the sum, and all others after it: where there
    are logits to go back to, class numbers are made one-hot first.
    """
    sparse, looks_through = keras_nn.sparse_categorical_crossentropy, keras_nn._get_logits
    keras_nn.sparse_categorical_crossentropy = _with_one_hot_labels(sparse, looks_through)
    keras_nn._get_logits = _without_logits(looks_through)


def _without_logits(looks_through: Callable[..., Any]) -> Callable[..., Any]:
    """Return what leaves probabilities as they are."""

    def leave(output: Any, from_logits: bool, *rest: Any) -> Any:
        found = looks_through(output, from_logits, *rest)
        if from_logits or not found[1]:
            return found
        KNOWN.append(LOOKS_THROUGH)
        return output, False

    return leave


def _with_one_hot_labels(
    sparse: Callable[..., Any], looks_through: Callable[..., Any]
) -> Callable[..., Any]:
    """Return a loss of class numbers that leaves probabilities of a softmax as they are."""

    def with_one_hot_labels(
        target: Any, output: Any, from_logits: bool = False, axis: int = -1
    ) -> Any:
        name = "sparse_categorical_crossentropy"
        if from_logits or not looks_through(output, from_logits, "Softmax", name)[1]:
            return sparse(target, output, from_logits, axis)
        numbers = tf.cast(tf.convert_to_tensor(target), "int64")
        if len(numbers.shape) == len(output.shape):
            numbers = tf.squeeze(numbers, axis=-1)
        labels = tf.one_hot(numbers, output.shape[-1], dtype=output.dtype)
        return keras_nn.categorical_crossentropy(labels, output, axis=-1)

    return with_one_hot_labels


def _is_python_floats(value: Any) -> bool:
    """Return whether a value is a Python float, or a nest of Python numbers with one among them."""
    parts = keras.tree.flatten(value) if isinstance(value, list | tuple) else [value]
    kinds = {type(part) for part in parts}
    return float in kinds and kinds <= {float, int}


def resize_bilinear(images: Any, size: Any) -> Any:
    """Return images of another size, as `tf.image.resize` does, in float64.

    Args:
        images: (..., height, width, channels).
        size: new height and width.
    """
    rows, columns = (
        _bilinear(int(length), int(new))
        for length, new in zip(images.shape[-3:-1], size, strict=True)
    )
    return tf.einsum("ih,jw,...hwc->...ijc", rows, columns, tf.cast(images, tf.float64))


def _bilinear(length: int, new: int) -> NDArray[np.float64]:
    """Return what each of `length` samples gives to each of `new` ones, (new, length)."""
    at = (np.arange(new) + 0.5) * (length / new) - 0.5
    low = np.floor(at)
    found = np.zeros((new, length))
    for index, share in ((low, 1 - (at - low)), (low + 1, at - low)):
        places = np.clip(index, 0, length - 1).astype(int)
        np.add.at(found, (np.arange(new), places), share)
    return found


@contextmanager
def watch() -> Iterator[Callable[[], list[str]]]:
    """Look at the graphs of each `tf.function` that is made meanwhile.

    Harmless, and left out: constants without elements (the shape of a scalar is a float32 one), and
    the number of samples that the tracker of the loss counts.

    Yields:
        What returns the operations of those that have run so far.
    """
    function, made = tf.function, list[Any]()

    def seen(*rest: Any, **more: Any) -> Any:
        found = function(*rest, **more)
        made.append(found)
        return found

    with mock.patch.object(tf, "function", seen):
        yield lambda: [text for each in made for graph in _graphs(each) for text in _short(graph)]


def _graphs(function: Any) -> list[Any]:
    """Return the graphs of what `tf.function` has made."""
    if not hasattr(function, "_list_all_concrete_functions"):
        return []  # a decorator
    return [each.graph for each in function._list_all_concrete_functions()]


def _short(graph: Any) -> Iterator[str]:
    """Yield a line for each operation of a graph that gives a short float."""
    definition = graph.as_graph_def()
    inner = [node for each in definition.library.function for node in each.node_def]
    known = {each.name: each for each in graph.get_operations()}
    for node in (*definition.node, *inner):
        given = set(_types(node)) & set(SHORT)
        if given and not _is_harmless(node):
            own = known.get(node.name)
            where = _place(own) if own else "inside a function of the graph"
            yield f"{node.op} {node.name}: {', '.join(sorted(given))} ({where})"


def _is_harmless(node: Any) -> bool:
    sizes = [axis.size for axis in node.attr["value"].tensor.tensor_shape.dim]
    is_empty = node.op == "Const" and 0 in sizes
    return is_empty or any(part in node.name for part in HARMLESS)


def _types(node: Any) -> Iterator[str]:
    """Yield the dtypes that a node of a graph works with; not the one that a Cast comes from."""
    for name, attribute in node.attr.items():
        if name != "SrcT":
            several = [attribute.type, *attribute.list.type]
            yield from (tf.as_dtype(each).name for each in several if each)


def _place(operation: Any) -> str:
    """Return file:line of what made an operation: the last line of neither TensorFlow nor here."""
    own = ("/tensorflow/python/", "/tensorflow/core/", __file__)
    frames = [
        frame for frame in operation.traceback if not any(each in frame.filename for each in own)
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
